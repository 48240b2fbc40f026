"""rollouts: evaluation samples from every checkpoint of a run."""


rule rollouts:
    input:
        checkpoints=f"results/rl/{RUN}/checkpoints",
        problems=evaluation_problems,
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
        settings=settings("runtime"),
        task=task_settings,
        rollouts=rollout_settings,
        problems=problems_folder,
        code=code_of_run("rollouts.rollouts"),
    message:
        "rollouts {params.run} [{resources.gpu} GPUs, {resources.mem_mb} MB, {resources.runtime} min]"
    shell:
        "habits rollouts --run {params.run} --rl results/rl/{params.run} --problems {params.problems}"
        " --gpus {resources.gpu} --out {output} --log {log}"
