"""deduplication: the documents of a corpus that repeat an earlier one, exactly or nearly."""


rule deduplication:
    input:
        shards_of_corpus,
    output:
        "data/deduplication/{corpus}.parquet",
    log:
        "logs/deduplication/{corpus}.log",
    benchmark:
        "logs/deduplication/{corpus}.tsv"
    priority: 10**9
    conda:
        ENVIRONMENT
    params:
        settings=settings("pretraining.near_duplicate"),
        code=fingerprint("pretraining.deduplication"),
    message:
        "deduplication {wildcards.corpus}"
    shell:
        "habits deduplication --corpus {wildcards.corpus} --documents data/corpus"
        " --out {output} --log {log}"
