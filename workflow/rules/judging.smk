"""judging: an LLM judge's counts for a sample of every run's rollouts. In the plan only if there is a judge."""


rule judging:
    input:
        f"results/rollouts/{RUN}.parquet",
    output:
        f"results/judging/{RUN}.parquet",
    log:
        f"logs/judging/{RUN}.log",
    benchmark:
        f"logs/judging/{RUN}.tsv"
    localrule: True
    conda:
        ENVIRONMENT
    # It waits for a server, on the machine that has the network, and takes no core from others.
    threads: 0
    resources:
        waiting=1,
    params:
        run=RUN,
        judge=JUDGE,
        settings=settings("judging"),
        prompts=prompts("judging"),
        code=fingerprint("behaviors.judging"),
    message:
        "judging {params.run}"
    shell:
        "habits judging --run {params.run} --rollouts {input}" " --out {output} --log {log}"
