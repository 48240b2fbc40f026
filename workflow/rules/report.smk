"""report: one static site that opens from disk."""


rule report:
    input:
        traces_of_runs(),
        demonstrations_of_runs(),
        expand("results/rollouts/{run}.parquet", run=RUNS),
        expand("results/behaviors/{run}.parquet", run=RUNS),
        expand("results/rl/{run}/{table}.parquet", run=RUNS, table=["metrics", "timing", "rollouts"]),
        expand("results/base_model/{model}", model=sorted({run.model for run in PARAMS.runs})),
        expand("data/problems/{task}/{split}.parquet", task=TASKS, split=SPLITS),
        expand("results/rollouts/{run}.parquet", run=SOCIAL_RUNS),
        expand("results/rl/{run}/{table}.parquet", run=SOCIAL_RUNS, table=["metrics", "timing", "rollouts"]),
        expand("results/figures/{name}.svg", name=FIGURES),
        "results/quality/quality.parquet",
        [STATISTICS[task] for task in TASKS],
        if_social(PUBLISHED_SOCIAL),
        "results/pretraining_statistics",
        "results/cascade",
        "results/leakage",
        rows_of_runs(),
        "results/analyses",
        "results/claims/claims.json",
        if_judged(expand("results/judging/{run}.parquet", run=RUNS)),
        if_judged(["results/calibration"]),
    output:
        "reports/index.html",
    log:
        "logs/report.log",
    benchmark:
        "logs/report.tsv"
    conda:
        ENVIRONMENT
    params:
        settings=PARAMS.model_dump_json(),
        code=fingerprint("report"),
    message:
        "report"
    shell:
        "habits report --results results --data data --out reports --log {log}"
