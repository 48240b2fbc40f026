"""analyses: length, language mixing and words of reconsideration in the responses of all runs."""


rule analyses:
    input:
        rollouts_of_runs(),
    output:
        report(
            directory("results/analyses"),
            caption="../report/analyses.rst",
            category="Tables",
            labels={"table": "{table}"},
            patterns=["{table}.parquet"],
        ),
    log:
        "logs/analyses.log",
    benchmark:
        "logs/analyses.tsv"
    conda:
        ENVIRONMENT
    params:
        settings=settings("matrix", "statistics", "rl.algorithm"),
        code=fingerprint("analysis.analyses"),
    message:
        "analyses"
    shell:
        "habits analyses --results results --out {output} --log {log}"
