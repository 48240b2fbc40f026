"""rollouts: evaluation samples from every checkpoint of a run."""


rule rollouts:
    input:
        checkpoints=f"results/rl/{RUN}/checkpoints",
        problems=f"data/problems/countdown/{PARAMS.rollouts.split}.parquet",
    output:
        f"results/rollouts/{RUN}.parquet",
    log:
        f"logs/rollouts/{RUN}.log",
    benchmark:
        f"logs/rollouts/{RUN}.tsv"
    conda:
        ENVIRONMENT
    threads: PARAMS.runtime.threads
    resources:
        **resources_of("rollouts"),
    params:
        run=RUN,
        settings=settings("reward", "runtime"),
        rollouts=rollout_settings,
        templates=TEMPLATES,
        code=fingerprint("rollouts.rollouts"),
    message:
        "rollouts {params.run} [{resources.gpu} GPUs, {resources.mem_mb} MB, {resources.runtime} min]"
    shell:
        "habits rollouts --run {params.run} --rl results/rl/{params.run} --problems data/problems/countdown"
        " --gpus {resources.gpu} --out {output} --log {log}"
