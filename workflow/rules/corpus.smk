"""corpus: one shard of a corpus, cleaned and cut, with fingerprints for duplicates."""


rule corpus:
    output:
        "data/corpus/{corpus}/shard{shard}.parquet",
    log:
        "logs/corpus/{corpus}/shard{shard}.log",
    benchmark:
        "logs/corpus/{corpus}/shard{shard}.tsv"
    priority: 10**9
    conda:
        ENVIRONMENT
    params:
        settings=corpus_settings,
        code=fingerprint("pretraining.corpus"),
    message:
        "corpus {wildcards.corpus} shard {wildcards.shard}"
    shell:
        "habits corpus --corpus {wildcards.corpus} --shard {wildcards.shard}" " --out {output} --log {log}"
