"""transfer: answers of a run's first and last checkpoint to problems that its RL did not train on."""


rule transfer:
    input:
        checkpoints=f"results/rl/{RUN}/checkpoints",
        problems=transfer_problems,
    output:
        f"results/transfer/{RUN}.parquet",
    log:
        f"logs/transfer/{RUN}.log",
    benchmark:
        f"logs/transfer/{RUN}.tsv"
    conda:
        ENVIRONMENT
    threads: PARAMS.runtime.threads
    resources:
        **resources_of("rollouts"),
    params:
        run=RUN,
        settings=settings("transfer", "rollouts", "reward", "runtime"),
        models=TINY_MODELS,
        code=fingerprint("rollouts.transfer"),
    message:
        "transfer {params.run} [{resources.gpu} GPUs, {resources.mem_mb} MB, {resources.runtime} min]"
    shell:
        "habits transfer --run {params.run} --rl results/rl/{params.run} --data data"
        " --gpus {resources.gpu} --out {output} --log {log}"
