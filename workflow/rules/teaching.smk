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
    priority: 10**10
    localrule: True
    conda:
        ENVIRONMENT
    # It waits for a server, on the machine that has the network, and takes no core from others.
    threads: 0
    resources:
        waiting=1,
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
