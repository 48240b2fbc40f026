"""rl: one run of the matrix. Work in progress lives in scratch/; an interrupted run goes on from there."""


rule rl:
    input:
        start=start_of_rl,
        problems=training_problems,
    output:
        directory(f"results/rl/{RUN}/checkpoints"),
        f"results/rl/{RUN}/metrics.parquet",
        f"results/rl/{RUN}/timing.parquet",
        f"results/rl/{RUN}/rollouts.parquet",
    log:
        f"logs/rl/{RUN}.log",
    benchmark:
        f"logs/rl/{RUN}.tsv"
    priority: expected_tokens
    conda:
        ENVIRONMENT
    threads: PARAMS.runtime.threads
    resources:
        **resources_of("rl"),
    params:
        run=RUN,
        settings=settings("training", "runtime"),
        task=task_settings,
        rl=rl_settings,
        problems=problems_folder,
        code=code_of_run(trainer("rl")),
    message:
        "rl {params.run} [{resources.gpu} GPUs, {resources.mem_mb} MB, {resources.runtime} min]"
    shell:
        "habits rl --run {params.run} --start {input.start} --problems {params.problems}"
        " --gpus {resources.gpu} --out results/rl/{params.run} --log {log}"
