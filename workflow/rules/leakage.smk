"""leakage: what training and evaluation data share."""


rule leakage:
    input:
        traces_of_runs(),
        shards_of(PARAMS.rewriting.corpora),
        expand("data/problems/countdown/{split}.parquet", split=["train", "validation", "test"]),
    output:
        report(
            directory("results/leakage"),
            caption="../report/leakage.rst",
            category="Tables",
            labels={"table": "{table}"},
            patterns=["{table}.parquet"],
        ),
    log:
        "logs/leakage.log",
    benchmark:
        "logs/leakage.tsv"
    conda:
        ENVIRONMENT
    params:
        settings=settings("countdown", "rewriting", "pretraining", "matrix"),
        templates=TEMPLATES,
        code=fingerprint("analysis.leakage"),
    message:
        "leakage"
    shell:
        "habits leakage --problems data/problems/countdown --priming data/priming --documents data/corpus"
        " --out {output} --log {log}"
