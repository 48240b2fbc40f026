"""calibration: the judge beside the oracle and people, and its counts corrected."""


rule calibration:
    input:
        expand("results/rollouts/{run}.parquet", run=RUNS),
        expand("results/behaviors/{run}.parquet", run=RUNS),
        expand("results/judging/{run}.parquet", run=RUNS),
        human_labels(),
    output:
        report(
            directory("results/calibration"),
            caption="../report/calibration.rst",
            category="Tables",
            labels={"table": "{table}"},
            patterns=["{table}.parquet"],
        ),
    log:
        "logs/calibration.log",
    benchmark:
        "logs/calibration.tsv"
    conda:
        ENVIRONMENT
    params:
        settings=settings("matrix", "statistics", "rl.algorithm", "calibration", "judging.seed"),
        code=fingerprint("analysis.calibration"),
    message:
        "calibration"
    shell:
        "habits calibration --results results --out {output} --log {log}"
