"""pretraining_statistics: how often behaviors occur in each corpus and domain."""


rule pretraining_statistics:
    input:
        labels_of(PARAMS.pretraining.corpora),
        shards_of(PARAMS.pretraining.corpora),
    output:
        report(
            directory("results/pretraining_statistics"),
            caption="../report/pretraining_statistics.rst",
            category="Tables",
            labels={"table": "{table}"},
            patterns=["{table}.parquet"],
        ),
    log:
        "logs/pretraining_statistics.log",
    benchmark:
        "logs/pretraining_statistics.tsv"
    conda:
        ENVIRONMENT
    params:
        settings=settings("pretraining", "statistics.confidence"),
        code=fingerprint("analysis.pretraining_statistics"),
    message:
        "pretraining_statistics"
    shell:
        "habits pretraining_statistics --labels data/labels --documents data/corpus"
        " --out {output} --log {log}"
