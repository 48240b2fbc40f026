"""base_model: a tiny language model, trained from scratch on a generated corpus."""


rule base_model:
    input:
        "data/problems/countdown/train.parquet",
    output:
        directory("results/base_model/{model}"),
    log:
        "logs/base_model/{model}.log",
    benchmark:
        "logs/base_model/{model}.tsv"
    priority: 10**10
    conda:
        ENVIRONMENT
    params:
        settings=settings("countdown", "runtime"),
        model=model_settings,
        code=fingerprint("models.base_model"),
    message:
        "base_model {wildcards.model}"
    shell:
        "habits base_model --model {wildcards.model} --problems data/problems/countdown"
        " --out {output} --log {log}"
