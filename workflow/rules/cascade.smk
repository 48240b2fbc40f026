"""cascade: how few documents a language model has to read, planned and measured."""


rule cascade:
    input:
        shards_of(PARAMS.pretraining.corpora),
        [] if CASCADE else labels_of(PARAMS.pretraining.corpora),
        expand("data/deduplication/{corpus}.parquet", corpus=PARAMS.pretraining.corpora),
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
    # Where it plans for the labels to come, it asks about a sample.
    localrule: CASCADE and LABELLER_ASKS
    conda:
        ENVIRONMENT
    threads: 0 if CASCADE and LABELLER_ASKS else 1
    resources:
        **resources_of_model(PARAMS.labelling.labeller if CASCADE else None),
    params:
        settings=settings("cascade", "pretraining", "labelling", "statistics.confidence"),
        labeller=LABELLER,
        prompts=prompts("labels"),
        code=fingerprint("analysis.cascade"),
    message:
        told("cascade", PARAMS.labelling.labeller if CASCADE else None)
    shell:
        "habits cascade --data data --gpus {resources.gpu} --out {output} --log {log}"
