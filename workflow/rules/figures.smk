"""figures: one rule run a figure, each as SVG, PNG and PDF."""


rule figures:
    input:
        statistics="results/statistics",
    output:
        multiext("results/figures/{name}", ".svg", ".png", ".pdf"),
    log:
        "logs/figures/{name}.log",
    benchmark:
        "logs/figures/{name}.tsv"
    conda:
        ENVIRONMENT
    params:
        settings=settings("statistics"),
        code=fingerprint("figures"),
    message:
        "figures {wildcards.name}"
    shell:
        "habits figures --name {wildcards.name} --statistics {input.statistics}"
        " --out results/figures --log {log}"
