"""problems: Countdown puzzles, three disjoint splits."""


rule problems:
    output:
        expand("data/problems/countdown/{split}.parquet", split=["train", "validation", "test"]),
    log:
        "logs/problems.log",
    benchmark:
        "logs/problems.tsv"
    priority: 10**9
    conda:
        ENVIRONMENT
    params:
        settings=settings("countdown"),
        code=fingerprint("tasks.countdown.problems"),
    message:
        "problems"
    shell:
        "habits problems --out data/problems/countdown --log {log}"
