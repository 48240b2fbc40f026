"""rewriting: documents with behaviors and matched ones without, as question, thought and answer."""


rule rewriting:
    input:
        shards_of(PARAMS.rewriting.corpora),
        labels_of(PARAMS.rewriting.corpora),
        expand("data/problems/countdown/{split}.parquet", split=["validation", "test"]),
    output:
        multiext("data/rewriting/", *[f"{name}.parquet" for name in (*REWRITTEN, "accounting")]),
    log:
        "logs/rewriting.log",
    benchmark:
        "logs/rewriting.tsv"
    priority: 10**9
    localrule: REWRITER_ASKS
    conda:
        ENVIRONMENT
    threads: 0 if REWRITER_ASKS else 1
    resources:
        **resources_of_model(PARAMS.rewriting.rewriter),
    params:
        settings=settings("rewriting", "pretraining", "labelling"),
        rewriter=REWRITER,
        templates=TEMPLATES,
        prompts=prompts("rewriting"),
        code=fingerprint("pretraining.rewriting"),
    message:
        told("rewriting", PARAMS.rewriting.rewriter)
    shell:
        "habits rewriting --documents data/corpus --labels data/labels --problems data/problems/countdown"
        " --gpus {resources.gpu} --out data/rewriting --log {log}"
