# From problems to report. Each rule file is one stage; they stand in the order they run.
# Settings: params.yaml (all of it is replaced by --configfile, single keys are changed by --config).
from snakemake.utils import min_version

min_version("9.27.1")
# Not workflow.basedir, which is another one when workflow/Snakefile includes this file.
ROOT = workflow.current_basedir.get_path_or_uri(secret_free=True)


if not workflow.overwrite_configfiles:

    configfile: f"{ROOT}/params.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/problems.smk"
include: "workflow/rules/base_model.smk"
include: "workflow/rules/teaching.smk"
include: "workflow/rules/corpus.smk"
include: "workflow/rules/deduplication.smk"
include: "workflow/rules/labels.smk"
include: "workflow/rules/pretraining_statistics.smk"
include: "workflow/rules/cascade.smk"
include: "workflow/rules/rewriting.smk"
include: "workflow/rules/priming.smk"
include: "workflow/rules/quality.smk"
include: "workflow/rules/leakage.smk"
include: "workflow/rules/sft.smk"
include: "workflow/rules/rl.smk"
include: "workflow/rules/rollouts.smk"
include: "workflow/rules/maths.smk"
include: "workflow/rules/transfer.smk"
include: "workflow/rules/behaviors.smk"
include: "workflow/rules/judging.smk"
include: "workflow/rules/statistics.smk"
include: "workflow/rules/analyses.smk"
include: "workflow/rules/social_statistics.smk"
include: "workflow/rules/claims.smk"
include: "workflow/rules/calibration.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"


rule all_figures:
    input:
        expand("results/figures/{name}.{kind}", name=FIGURES, kind=["svg", "png", "pdf", "json"]),
    message:
        "all figures are up to date"


rule social_iqa:
    input:
        if_social([STATISTICS["social_iqa"]]),
        expand("results/figures/{name}.{kind}", name=SOCIAL_FIGURES, kind=["svg", "png", "pdf", "json"]),
    message:
        "Social IQa is up to date"


rule all:
    default_target: True
    input:
        "reports/index.html",
        rules.all_figures.input,
    message:
        "everything is up to date"


onstart:
    check_trainer()


onsuccess:
    record_run()
    stop_timers()


onerror:
    manifests.export()
    stop_timers()
