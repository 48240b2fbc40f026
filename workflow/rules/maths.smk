"""maths: the problems of one maths set, for evaluation only."""


rule maths:
    input:
        published_maths,
    output:
        "data/maths/{problems}.parquet",
    log:
        "logs/maths/{problems}.log",
    benchmark:
        "logs/maths/{problems}.tsv"
    priority: 10**9
    conda:
        ENVIRONMENT
    params:
        settings=settings("maths"),
        code=fingerprint("tasks.maths.maths"),
    message:
        "maths {wildcards.problems}"
    shell:
        "habits maths --name {wildcards.problems} --out {output} --log {log}"
