"""quality: what the priming sets hold: sizes, verdicts, behaviors asked for and found, what a teacher's replies were worth."""


rule quality:
    input:
        traces_of_runs(),
        demonstrations_of_runs(),
    output:
        "results/quality/quality.parquet",
    log:
        "logs/quality.log",
    benchmark:
        "logs/quality.tsv"
    conda:
        ENVIRONMENT
    params:
        settings=settings("matrix", "teacher"),
        code=fingerprint("behaviors.quality"),
    message:
        "quality"
    shell:
        "habits quality --priming data/priming --teaching data/teaching" " --out {output} --log {log}"
