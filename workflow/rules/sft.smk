"""sft: a base model primed with a set of traces."""


rule sft:
    input:
        base="results/base_model/{model}",
        traces="data/priming/{priming}/seed{seed}.parquet",
    output:
        directory("results/sft/{model}/{priming}/seed{seed}"),
    log:
        "logs/sft/{model}/{priming}/seed{seed}.log",
    benchmark:
        "logs/sft/{model}/{priming}/seed{seed}.tsv"
    priority: 10**8
    conda:
        ENVIRONMENT
    threads: PARAMS.runtime.threads
    resources:
        **resources_of("sft"),
    params:
        settings=settings("training", "runtime"),
        templates=TEMPLATES,
        sft=sft_settings,
        code=fingerprint(trainer("sft")),
    message:
        "sft {wildcards.model}/{wildcards.priming}/seed{wildcards.seed} [{resources.gpu} GPUs, {resources.mem_mb} MB, {resources.runtime} min]"
    shell:
        "habits sft --model {wildcards.model} --priming {wildcards.priming} --seed {wildcards.seed}"
        " --base {input.base} --traces {input.traces} --gpus {resources.gpu} --out {output} --log {log}"
