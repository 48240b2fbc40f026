"""Settings, paths and helpers that all stages share. Helper functions stand here and nowhere else."""

import atexit
import json
import os
import sys
from functools import partial

# This checkout's package, also where another one is installed (an experiment of DVC in a folder of its own).
sys.path.insert(0, f"{workflow.basedir}/workflow")

from habits import manifests, versions, workdir
from habits.artifacts import ArtifactError
from habits.figures import available_figures
from habits.params import ParamsError, validate
from habits.sources import fingerprint
from snakemake.exceptions import WorkflowError

try:
    PARAMS = None if workflow.is_main_process else workdir.handed_down()
    PARAMS = PARAMS or validate(config, ", ".join(map(os.path.relpath, workflow.configfiles)) or "--config")
except ParamsError as error:
    raise WorkflowError(str(error)) from None

RUN = "{model}/{priming}/{algorithm}/seed{seed}"
RUNS = [run.path for run in PARAMS.runs]
CLAIMS = os.path.relpath(f"{workflow.basedir}/workflow/claims/countdown.yaml")
PUBLISHED = os.path.relpath(f"{workflow.basedir}/workflow/published/cognitive_behaviors.csv")
ENVIRONMENT = f"{workflow.basedir}/envs/cpu/environment.yaml"


wildcard_constraints:
    model="|".join(PARAMS.models),
    priming="[a-z_]+",
    algorithm="[a-z0-9_]+",
    seed=r"\d+",
    split="train|validation|test",


def begin():
    """Make this process the one that works here, and its records fit the files; returns its lock."""
    try:
        os.environ.update(workdir.environment(PARAMS))
        if not workflow.is_main_process:
            return None
        atexit.register(record_what_is_left)
        return workdir.enter(alone=partial(manifests.reconcile, all_results()))
    except ArtifactError as error:
        raise WorkflowError(str(error)) from None


def all_results():
    """Every output that the settings ask for: what is deleted of it is missed and comes back."""
    return [
        *traces_of_runs(),
        *expand("data/problems/countdown/{split}.parquet", split=["train", "validation", "test"]),
        *expand("results/base_model/{model}", model=sorted({run.model for run in PARAMS.runs})),
        *checkpoints_of_runs(),
        *expand("results/rl/{run}/checkpoints", run=RUNS),
        *expand("results/rl/{run}/{table}.parquet", run=RUNS, table=["metrics", "timing", "rollouts"]),
        *expand("results/{step}/{run}.parquet", step=["rollouts", "behaviors"], run=RUNS),
        "results/statistics",
        "results/claims/claims.json",
        *expand("results/figures/{name}.{kind}", name=FIGURES, kind=["svg", "png", "pdf", "json"]),
        "reports/index.html",
    ]


def is_whole_run():
    """Whether this run stands for params.yaml as it is: nothing left out, no setting from elsewhere."""
    dag, config_settings = workflow.dag_settings, workflow.config_settings
    parts = (dag.targets, dag.until, dag.omit_from, dag.allowed_rules, dag.batch)
    return not any((*parts, config_settings.overwrite_config, config_settings.configfiles))


def record_run():
    """Write manifests; let DVC record a whole run. Results stay good if that fails, so it only says so."""
    manifests.export()
    try:
        if is_whole_run() or versions.is_stage():
            versions.record()
    except ArtifactError as error:
        print(error, file=sys.stderr)


def record_what_is_left():
    """Finish the record of a run that was killed before it had; with nothing to do, Snakemake calls no handler."""
    if workflow.scheduler and not workflow.dryrun and not len(workflow.dag):
        record_run()


def settings(*keys):
    """Settings by dotted key, for `params`: what depends on them runs again when they change."""
    found = {}
    for key in keys:
        found[key] = PARAMS.model_dump(mode="json")
        for part in key.split("."):
            found[key] = found[key][part]
    return json.dumps(found, sort_keys=True)


def line_of(wildcards):
    """The matrix line that asks for a run."""
    return PARAMS.run(RUN.format(**wildcards))[1]


def model_settings(wildcards):
    """The settings of one base model, with the teacher's if its corpus shows searches."""
    model = PARAMS.models[wildcards.model]
    teacher = settings("priming") if model.corpus_search > 0 else ""
    return model.model_dump_json() + teacher


def rl_settings(wildcards):
    """The RL settings of one run."""
    return PARAMS.rl_settings(line_of(wildcards)).model_dump_json()


def rollout_settings(wildcards):
    """The evaluation settings of one run."""
    line = line_of(wildcards)
    samples = {"samples": line.samples, "last_samples": line.samples} if line.samples else {}
    longest = PARAMS.rl_settings(line).max_response_tokens
    return PARAMS.rollouts.model_copy(update=samples).model_dump_json() + str(longest)


def start_of_rl(wildcards):
    """The checkpoint that a run's RL starts from: the primed model, or the base model itself."""
    if wildcards.priming == "none":
        return f"results/base_model/{wildcards.model}"
    return "results/sft/{model}/{priming}/seed{seed}".format(**wildcards)


def expected_tokens(wildcards):
    """Rollout tokens that a run will need, roughly. The longest runs start first."""
    rl = PARAMS.rl_settings(line_of(wildcards))
    searches = wildcards.priming not in ("none", "empty_cot")
    searches = searches or PARAMS.models[wildcards.model].corpus_search > 0
    return rl.steps * rl.prompts_per_step * rl.group_size * (rl.max_response_tokens if searches else 20)


def traces_of_runs():
    """The traces of every priming set in the matrix."""
    primed = {(run.priming, run.seed) for run in PARAMS.runs if run.priming != "none"}
    return [f"data/priming/{priming}/seed{seed}.parquet" for priming, seed in sorted(primed)]


def checkpoints_of_runs():
    """The primed model of every run that has one."""
    primed = {(run.model, run.priming, run.seed) for run in PARAMS.runs if run.priming != "none"}
    return [f"results/sft/{model}/{priming}/seed{seed}" for model, priming, seed in sorted(primed)]


ANALYSIS = settings("matrix", "statistics", "rl.algorithm")
TEMPLATES = [model.prompt_template for model in PARAMS.models.values()]
FIGURES = available_figures(PARAMS)
LOCK = begin()
