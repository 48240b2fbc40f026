"""figures: one rule run a figure, each as SVG, PNG and PDF, with its words in JSON."""


rule figures:
    input:
        tables=tables_of_figure,
        published=PUBLISHED,
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
        settings=analysis_of_figure,
        documents=settings("pretraining.corpora", "labelling.labeller", "cascade"),
        judge=judge_for,
        code=code_of_figure,
    message:
        "figures {wildcards.name}"
    shell:
        "habits figures --name {wildcards.name} --tables {input.tables}" " --out results/figures --log {log}"
