"""base_model: a tiny language model trained from scratch on a generated corpus, or a pretrained one, fetched."""


rule base_model:
    input:
        corpus_of_base_model,
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
        model=model_settings,
        problems=problems_folder,
        code=code_of_base_model,
    message:
        "base_model {wildcards.model}"
    shell:
        "habits base_model --model {wildcards.model} --problems {params.problems}"
        " --out {output} --log {log}"
