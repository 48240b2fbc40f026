"""statistics: every table behind the claims and figures, with intervals over seeds and problems."""


rule statistics:
    input:
        expand("results/rollouts/{run}.parquet", run=RUNS),
        expand("results/behaviors/{run}.parquet", run=RUNS),
        expand("results/rl/{run}/metrics.parquet", run=RUNS),
    output:
        report(
            directory("results/statistics"),
            caption="../report/statistics.rst",
            category="Tables",
            labels={"table": "{table}", "format": "{format}"},
            patterns=["{table}.{format,parquet|csv}"],
        ),
    log:
        "logs/statistics.log",
    benchmark:
        "logs/statistics.tsv"
    conda:
        ENVIRONMENT
    params:
        settings=ANALYSIS,
        code=fingerprint("analysis.statistics"),
    message:
        "statistics"
    shell:
        "habits statistics --results results --out {output} --log {log}"
