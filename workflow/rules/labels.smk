"""labels: the behaviors in one shard's documents, by rules or by a language model."""


rule labels:
    input:
        documents="data/corpus/{corpus}/shard{shard}.parquet",
        repeated="data/deduplication/{corpus}.parquet",
        cascade=if_cascade(["results/cascade"]),
    output:
        "data/labels/{corpus}/shard{shard}.parquet",
    log:
        "logs/labels/{corpus}/shard{shard}.log",
    benchmark:
        "logs/labels/{corpus}/shard{shard}.tsv"
    priority: 10**9
    localrule: LABELLER_ASKS
    conda:
        ENVIRONMENT
    # Who waits for a server takes no core from others; vLLM takes GPUs.
    threads: 0 if LABELLER_ASKS else 1
    resources:
        **resources_of_model(PARAMS.labelling.labeller),
    params:
        settings=settings("labelling", "pretraining.max_tokens"),
        labeller=LABELLER,
        prompts=prompts("labels"),
        code=fingerprint("pretraining.labels"),
    message:
        told("labels {wildcards.corpus} shard {wildcards.shard}", PARAMS.labelling.labeller)
    shell:
        "habits labels --corpus {wildcards.corpus} --shard {wildcards.shard} --documents {input.documents}"
        " --repeated {input.repeated} --cascade results/cascade --gpus {resources.gpu} --out {output} --log {log}"
