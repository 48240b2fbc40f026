"""behaviors: the symbolic oracle's counts for every rollout of a run."""


rule behaviors:
    input:
        f"results/rollouts/{RUN}.parquet",
    output:
        f"results/behaviors/{RUN}.parquet",
    log:
        f"logs/behaviors/{RUN}.log",
    benchmark:
        f"logs/behaviors/{RUN}.tsv"
    conda:
        ENVIRONMENT
    params:
        run=RUN,
        code=fingerprint("behaviors.behaviors"),
    message:
        "behaviors {params.run}"
    shell:
        "habits behaviors --run {params.run} --rollouts {input}" " --out {output} --log {log}"
