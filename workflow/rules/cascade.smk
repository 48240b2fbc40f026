"""cascade: how few documents a language model has to read, planned and measured."""


rule cascade:
    input:
        shards_of(PARAMS.pretraining.corpora),
        labels_of(PARAMS.pretraining.corpora),
    output:
        report(
            directory("results/cascade"),
            caption="../report/cascade.rst",
            category="Tables",
            labels={"table": "{table}"},
            patterns=["{table}.parquet"],
        ),
    log:
        "logs/cascade.log",
    benchmark:
        "logs/cascade.tsv"
    conda:
        ENVIRONMENT
    params:
        settings=settings("cascade", "pretraining", "labelling", "statistics.confidence"),
        code=fingerprint("analysis.cascade"),
    message:
        "cascade"
    shell:
        "habits cascade --documents data/corpus --labels data/labels --out {output} --log {log}"
