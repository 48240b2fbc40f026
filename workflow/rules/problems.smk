"""problems: those of a task, in three disjoint splits."""


rule problems:
    input:
        published_files,
    output:
        expand("data/problems/{{task}}/{split}.parquet", split=SPLITS),
    log:
        "logs/problems/{task}.log",
    benchmark:
        "logs/problems/{task}.tsv"
    priority: 10**9
    conda:
        ENVIRONMENT
    params:
        settings=problem_settings,
        code=code_of_problems,
    message:
        "problems {wildcards.task}"
    shell:
        "habits problems --task {wildcards.task} --out data/problems/{wildcards.task} --log {log}"
