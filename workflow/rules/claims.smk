"""claims: each claim of the paper with its effect, interval and verdict."""


rule claims:
    input:
        statistics="results/statistics",
        claims=CLAIMS,
    output:
        report(
            "results/claims/claims.json",
            caption="../report/claims.rst",
            category="Claims",
            labels={"content": "effects, intervals, verdicts"},
        ),
    log:
        "logs/claims.log",
    benchmark:
        "logs/claims.tsv"
    conda:
        ENVIRONMENT
    params:
        settings=ANALYSIS,
        code=fingerprint("analysis.claims"),
    message:
        "claims"
    shell:
        "habits claims --statistics {input.statistics} --claims {input.claims}" " --out {output} --log {log}"
