"""teaching: an LLM teacher's demonstrations, one set of instructions each. Not needed by the symbolic teacher."""


rule teaching:
    input:
        problems="data/problems/countdown/train.parquet",
        before=asked_before,
    output:
        "data/teaching/{set}.parquet",
    log:
        "logs/teaching/{set}.log",
    benchmark:
        "logs/teaching/{set}.tsv"
    priority: 10**9
    conda:
        ENVIRONMENT
    params:
        settings=settings("countdown", "priming", "teaching"),
        teacher=TEACHER,
        templates=TEMPLATES,
        instructions=instructions,
        code=fingerprint("priming.teaching"),
    message:
        "teaching {wildcards.set}"
    shell:
        "habits teaching --set {wildcards.set} --problems data/problems/countdown"
        " --out {output} --log {log}"
