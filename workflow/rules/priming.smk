"""priming: traces of the teacher, one set a behavior combination or control."""


rule priming:
    input:
        "data/problems/countdown/train.parquet",
        demonstrations,
        rows_for,
    output:
        "data/priming/{priming}/seed{seed}.parquet",
    log:
        "logs/priming/{priming}/seed{seed}.log",
    benchmark:
        "logs/priming/{priming}/seed{seed}.tsv"
    priority: 10**9
    conda:
        ENVIRONMENT
    params:
        settings=settings("countdown", "priming", "teacher"),
        templates=TEMPLATES,
        code=fingerprint("priming.priming"),
    message:
        "priming {wildcards.priming} seed {wildcards.seed}"
    shell:
        "habits priming --priming {wildcards.priming} --seed {wildcards.seed} --problems data/problems/countdown"
        " --teaching data/teaching --rewriting data/rewriting --out {output} --log {log}"
