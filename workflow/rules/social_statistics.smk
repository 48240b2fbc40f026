"""social_statistics: accuracy on Social IQa, transfer to other problems, and the claims about both."""


rule social_statistics:
    input:
        expand("results/rollouts/{run}.parquet", run=SOCIAL_RUNS),
        expand("results/rl/{run}/metrics.parquet", run=SOCIAL_RUNS),
        transfer=expand("results/transfer/{run}.parquet", run=TRANSFERRED),
        problems=f"data/problems/social_iqa/{PARAMS.rollouts.split}.parquet",
        claims=SOCIAL_CLAIMS,
        findings=SOCIAL_FINDINGS,
    output:
        report(
            directory("results/social_statistics"),
            caption="../report/social_statistics.rst",
            category="Tables",
            labels={"table": "{table}"},
            patterns=["{table}.parquet"],
        ),
    log:
        "logs/social_statistics.log",
    benchmark:
        "logs/social_statistics.tsv"
    conda:
        ENVIRONMENT
    params:
        settings=SOCIAL_ANALYSIS,
        code=fingerprint("analysis.social_statistics"),
    message:
        "social_statistics"
    shell:
        "habits social_statistics --results results --problems {input.problems} --claims {input.claims}"
        " --findings {input.findings} --out {output} --log {log}"
