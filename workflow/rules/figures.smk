"""figures: one rule run a figure, each as SVG, PNG and PDF, with its words in JSON."""


rule figures:
    input:
        statistics="results/statistics",
        published=PUBLISHED,
        calibration=calibration_for,
    output:
        report(
            "results/figures/{name}.svg",
            caption="../report/figures.rst",
            category="Figures",
            labels=figure_labels,
        ),
        multiext("results/figures/{name}", ".png", ".pdf", ".json"),
    log:
        "logs/figures/{name}.log",
    benchmark:
        "logs/figures/{name}.tsv"
    conda:
        ENVIRONMENT
    params:
        settings=ANALYSIS,
        judge=judge_for,
        code=fingerprint("figures"),
    message:
        "figures {wildcards.name}"
    shell:
        "habits figures --name {wildcards.name} --statistics {input.statistics}"
        " --calibration results/calibration --out results/figures --log {log}"
