"""figures: one rule run a figure, each as SVG, PNG and PDF, with its words in JSON."""


rule figures:
    input:
        statistics=statistics_of_figure,
        published=PUBLISHED,
    output:
        multiext("results/figures/{name}", ".svg", ".png", ".pdf", ".json"),
    log:
        "logs/figures/{name}.log",
    benchmark:
        "logs/figures/{name}.tsv"
    conda:
        ENVIRONMENT
    params:
        settings=analysis_of_figure,
        code=fingerprint("figures"),
    message:
        "figures {wildcards.name}"
    shell:
        "habits figures --name {wildcards.name} --statistics {input.statistics}"
        " --out results/figures --log {log}"
