"""Settings, paths and helpers that all stages share. Helper functions stand here and nowhere else."""

import atexit
import json
import mimetypes
import os
import subprocess
import sys
import threading
from pathlib import Path

# This checkout's package, also where another one is installed (an experiment of DVC in a folder of its own).
sys.path.insert(0, f"{ROOT}/workflow")

from habits import jobs, manifests, versions, workdir
from habits.artifacts import ArtifactError, hash_json, hash_path
from habits.figures import FIGURES as FIGURE_SPECS
from habits.figures import available_figures, task_of_figure
from habits.params import ParamsError, validate
from habits.cluster_params import PretrainedModel
from habits.pretraining_params import REWRITTEN, VLLM
from habits.priming.instructions import system_prompt
from habits.priming.sets import INSTRUCTIONS, SYMBOLIC, demonstrations_for
from habits.sources import fingerprint
from snakemake.exceptions import WorkflowError

try:
    PARAMS = None if workflow.is_main_process else workdir.handed_down()
    PARAMS = PARAMS or validate(config, ", ".join(map(os.path.relpath, workflow.configfiles)) or "--config")
except ParamsError as error:
    raise WorkflowError(str(error)) from None

RUN = "{model}/{priming}/{algorithm}/seed{seed}"
SPLITS = ["train", "validation", "test"]
COUNTDOWN, SOCIAL = PARAMS.only("countdown"), PARAMS.only("social_iqa")
TASKS = [task for task, part in [("countdown", COUNTDOWN), ("social_iqa", SOCIAL)] if part.matrix]
# What follows RL in the Countdown chain is asked for these; stories have statistics of their own.
RUNS = [run.path for run in COUNTDOWN.runs]
SOCIAL_RUNS = [run.path for run in SOCIAL.runs]
STATISTICS = {"countdown": "results/statistics", "social_iqa": "results/social_statistics"}
CLAIMS = os.path.relpath(f"{ROOT}/workflow/claims/countdown.yaml")
# Runs that are also asked about something else than their task.
TRANSFERRED = [run.path for run in SOCIAL.runs if any(run.model in line.models for line in PARAMS.transfer)]
SOCIAL_CLAIMS = os.path.relpath(f"{ROOT}/workflow/claims/social_iqa.yaml")
SOCIAL_FINDINGS = os.path.relpath(f"{ROOT}/workflow/claims/social_findings.yaml")
PUBLISHED = os.path.relpath(f"{ROOT}/workflow/published/cognitive_behaviors.csv")
PUBLISHED_SOCIAL = [
    os.path.relpath(f"{ROOT}/workflow/published/deepenlighten_{table}.csv") for table in ("language", "words")
]
ENVIRONMENT = f"{ROOT}/envs/cpu/environment.yaml"

try:
    os.environ.update(workdir.environment(PARAMS))
    LOCK = workdir.enter(alone=manifests.reconcile) if workflow.is_main_process else None
except ArtifactError as error:
    raise WorkflowError(str(error)) from None


wildcard_constraints:
    corpus="[a-z0-9_]+",
    shard=r"\d+",
    model="|".join(PARAMS.models),
    priming="[a-z_]+",
    set="|".join(INSTRUCTIONS),
    algorithm="[a-z0-9_]+",
    seed=r"\d+",
    split="|".join(SPLITS),
    task="|".join(STATISTICS),
    problems="[a-z0-9_]+",


def is_whole_run():
    """Whether this run stands for params.yaml as it is: nothing left out, no setting from elsewhere."""
    dag, config_settings = workflow.dag_settings, workflow.config_settings
    parts = (dag.targets, dag.until, dag.omit_from, dag.allowed_rules, dag.batch)
    return not any((*parts, config_settings.overwrite_config, config_settings.configfiles))


# What not every matrix makes; DVC wants the folders all the same.
OPTIONAL = [
    *("data/corpus", "data/deduplication", "data/labels", "data/rewriting"),
    *("data/teaching", "data/maths", "results/judging", "results/calibration"),
    *("results/transfer", "results/social_statistics"),
]


def record_run():
    """Write manifests; let DVC record a whole run. Results stay good if that fails, so it only says so."""
    for folder in OPTIONAL:
        os.makedirs(folder, exist_ok=True)  # DVC wants the folders also where nobody was asked.
    manifests.export()
    try:
        if is_whole_run() or versions.is_stage():
            versions.record()
    except ArtifactError as error:
        print(error, file=sys.stderr)


def stop_timers():
    """End the scheduler's timers (max-jobs-per-timespan): the process would wait for them."""
    for thread in threading.enumerate():
        if type(thread) is threading.Timer:
            thread.cancel()


def record_what_is_left():
    """Finish the record of a run that was killed before it had; with nothing to do, Snakemake calls no handler."""
    if workflow.scheduler and not workflow.dryrun and not len(workflow.dag):
        record_run()


def settings(*keys, of=PARAMS):
    """Settings by dotted key, for `params`: what depends on them runs again when they change."""
    found = {}
    for key in keys:
        found[key] = of.model_dump(mode="json")
        for part in key.split("."):
            found[key] = found[key][part]
    return json.dumps(found, sort_keys=True)


def rater_settings(name):
    """What the replies of a teacher or judge depend on; neither prices nor pacing."""
    return PARAMS.llm.models[name].identity if name in PARAMS.llm.models else name


def prompts(stage):
    """A hash of the prompts of a stage, which are code to it."""
    return hash_path(Path(f"{ROOT}/workflow/prompts") / stage)


def shards_of(corpora):
    """All shards of corpora."""
    shards = PARAMS.pretraining.shards
    return [f"data/corpus/{name}/shard{shard:04d}.parquet" for name in corpora for shard in shards(name)]


def labels_of(corpora):
    """The labels of all their shards."""
    return [path.replace("data/corpus/", "data/labels/", 1) for path in shards_of(corpora)]


def shards_of_corpus(wildcards):
    """All shards of one corpus."""
    return shards_of([wildcards.corpus])


def corpus_settings(wildcards):
    """What a shard depends on; not how many others there are."""
    section = PARAMS.pretraining
    corpus = section.corpora[wildcards.corpus].model_dump()
    last = section.shards(wildcards.corpus)[-1] == int(wildcards.shard)
    corpus["documents"] = corpus["documents"] if last else None
    return json.dumps([corpus, section.shard_documents, section.min_tokens, section.max_tokens])


def rows_for(wildcards):
    """The rewritten documents that a priming set is made from; none for other sets."""
    return f"data/rewriting/{wildcards.priming}.parquet" if wildcards.priming in REWRITTEN else []


def rows_of_runs():
    """The rewritten documents, where the matrix has a set that is made from them."""
    names = (*REWRITTEN, "accounting") if {run.priming for run in PARAMS.runs} & set(REWRITTEN) else ()
    return [f"data/rewriting/{name}.parquet" for name in names]


def sft_settings(wildcards):
    """The SFT settings of a priming set."""
    return PARAMS.primed_with(wildcards.priming).sft.model_dump_json()


def human_labels():
    """The CSV of labels by people, if there is one."""
    path = PARAMS.calibration.human_labels
    return [] if path is None else [path]


def if_judged(paths):
    """What only an LLM judge makes; nothing when there is none."""
    return [] if PARAMS.judge == "none" else paths


def if_cascade(paths):
    """What labels wait for when a language model is asked about few documents only."""
    return paths if CASCADE else []


def if_social(paths):
    """What is made of runs on Social IQa; nothing when there are none."""
    return paths if SOCIAL_RUNS else []


def line_of(wildcards):
    """The matrix line that asks for a run."""
    return PARAMS.run(RUN.format(**wildcards))[1]


def is_pretrained(wildcards):
    """Whether a base model is fetched, not trained here."""
    return isinstance(PARAMS.models[wildcards.model], PretrainedModel)


def task_of(wildcards):
    """The task that a model belongs to."""
    return PARAMS.models[wildcards.model].task


def published_files(wildcards):
    """Local files that published problems are read from."""
    files = PARAMS.social_iqa.files if wildcards.task == "social_iqa" else None
    return [str(files[split]) for split in sorted(files or {})]


def published_maths(wildcards):
    """The local file that a maths set is read from."""
    file = PARAMS.maths.files.get(wildcards.problems)
    return [] if file is None else [str(file)]


def transfer_problems(wildcards):
    """What a run's checkpoints are asked besides their own task."""
    asked = [line.problems for line in PARAMS.transfer if wildcards.model in line.models]
    countdown = f"data/problems/countdown/{PARAMS.rollouts.split}.parquet"
    return [
        countdown if name == "countdown" else f"data/maths/{name}.parquet" for name in dict.fromkeys(asked)
    ]


def problem_settings(wildcards):
    """The settings that decide a task's problems; its reward and RL settings do not."""
    if wildcards.task == "countdown":
        return settings("countdown")
    return PARAMS.social_iqa.model_dump_json(exclude={"reward", "rl"})


def code_of_problems(wildcards):
    """Fingerprint of what makes a task's problems."""
    return fingerprint(f"tasks.{wildcards.task}.problems")


def problems_folder(wildcards):
    """Where the problems of a model's task are."""
    return f"data/problems/{task_of(wildcards)}"


def training_problems(wildcards):
    """What a run is trained on."""
    return f"{problems_folder(wildcards)}/train.parquet"


def evaluation_problems(wildcards):
    """What a run is evaluated on."""
    return f"{problems_folder(wildcards)}/{PARAMS.rollouts.split}.parquet"


def task_settings(wildcards):
    """Reward and prompt template of a run."""
    template = PARAMS.models[wildcards.model].prompt_template
    rewards = {"countdown": PARAMS.reward, "social_iqa": PARAMS.social_iqa.reward}
    return template + rewards[task_of(wildcards)].model_dump_json()


def code_of_run(module):
    """Fingerprint of a step of runs and of their task; another task's code has no part in it."""
    return lambda wildcards: fingerprint(module, f"tasks.{task_of(wildcards)}.task")


def model_settings(wildcards):
    """The settings of one base model, with those of its corpus if it has one."""
    model = PARAMS.models[wildcards.model]
    if is_pretrained(wildcards):
        return model.model_dump_json()
    if model.task == "social_iqa":
        return model.model_dump_json() + settings("maths", "runtime")
    teacher = settings("priming") if model.corpus_search > 0 else ""
    return model.model_dump_json() + settings("countdown", "runtime") + teacher


def corpus_of_base_model(wildcards):
    """The problems that a tiny base model reads about; one of stories reads about Countdown too."""
    if is_pretrained(wildcards):
        return []
    return sorted({training_problems(wildcards), "data/problems/countdown/train.parquet"})


def code_of_base_model(wildcards):
    """Fingerprint of what makes a base model: an edited corpus must not touch a fetched one."""
    if is_pretrained(wildcards):
        return fingerprint("models.pretrained")
    return fingerprint("models.base_model", f"models.{task_of(wildcards)}_corpus")


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
    searches = wildcards.priming not in ("none", "empty_cot") or is_pretrained(wildcards)
    searches = searches or getattr(PARAMS.models[wildcards.model], "corpus_search", 1) > 0
    return rl.steps * rl.prompts_per_step * rl.group_size * (rl.max_response_tokens if searches else 20)


def instructions(wildcards):
    """What an LLM teacher is told for a set of demonstrations, as a hash."""
    return hash_json(system_prompt(COUNTDOWN, wildcards.set))


def asked_before(wildcards):
    """Demonstrations with the same instructions, whose replies are shared: asked for first, paid for once."""
    same = INSTRUCTIONS[wildcards.set]
    return [] if same == wildcards.set else f"data/teaching/{same}.parquet"


def demonstrations(wildcards):
    """The demonstrations that a priming set is made from; none with the symbolic teacher."""
    name = demonstrations_for(wildcards.priming)
    asked = PARAMS.teacher != SYMBOLIC and wildcards.priming not in REWRITTEN
    return f"data/teaching/{name}.parquet" if asked else []


def demonstrations_of_runs():
    """The demonstrations behind all priming sets of the matrix."""
    names = {
        demonstrations_for(run.priming) for run in PARAMS.runs if run.priming not in ("none", *REWRITTEN)
    }
    return [] if PARAMS.teacher == SYMBOLIC else [f"data/teaching/{name}.parquet" for name in sorted(names)]


def trainer(step):
    """The module of the trainer in use: editing the other one leaves what this one has trained alone."""
    return f"training.{step}" if PARAMS.training.backend == "local" else f"training.verl.{step}"


def check_trainer():
    """Let verl judge all that its jobs will be started with, before the first one waits for GPUs."""
    if PARAMS.training.backend == "verl":
        # In a process of its own: verl's import changes how this one logs.
        command = ["habits", "validate", "--params", os.environ[jobs.PARAMS_FILE]]
        checked = subprocess.run(command, capture_output=True, text=True)
        if checked.returncode:
            raise WorkflowError(checked.stderr.strip().removeprefix("error: "))


def resources_of(rule):
    """What a job of a rule asks for; `set-resources` of a profile wins over it."""
    wanted = getattr(PARAMS.resources, rule)
    return {"gpu": wanted.gpus, "mem_mb": wanted.memory_gb * 1000, "runtime": f"{wanted.hours}h"}


def resources_of_model(name):
    """What a job asks for that a language model on this machine or at a vendor answers; None: no model does."""
    if name == VLLM:
        return {"waiting": 0, **resources_of("labelling")}
    return {"waiting": int(name in PARAMS.llm.models), "gpu": 0}


def told(job, name):
    """A job's message: what it does and, if it starts a language model itself, what it asks a cluster for."""
    return (
        f"{job} [{{resources.gpu}} GPUs, {{resources.mem_mb}} MB, {{resources.runtime}} min]"
        if name == VLLM
        else job
    )


def rollouts_of_runs():
    """Evaluation rollouts of every run, and those that its RL trained on."""
    runs = RUNS + SOCIAL_RUNS
    return expand("results/rollouts/{run}.parquet", run=runs) + expand(
        "results/rl/{run}/rollouts.parquet", run=runs
    )


def traces_of_runs():
    """The traces of every priming set in the matrix."""
    primed = {(run.priming, run.seed) for run in PARAMS.runs if run.priming != "none"}
    return [f"data/priming/{priming}/seed{seed}.parquet" for priming, seed in sorted(primed)]


def tables_of_figure(wildcards):
    """The folder of tables that a figure is drawn from."""
    return f"results/{FIGURE_SPECS[wildcards.name].tables}"


def analysis_of_figure(wildcards):
    """The settings behind a figure."""
    return SOCIAL_ANALYSIS if task_of_figure(wildcards.name) == "social_iqa" else ANALYSIS


def code_of_figure(wildcards):
    """Fingerprint of one figure's module and what it imports: an edited plot leaves the others alone."""
    return fingerprint(f"figures.{wildcards.name}")


def judge_for(wildcards):
    """The judge, for a figure about it."""
    return JUDGE if FIGURE_SPECS[wildcards.name].tables == "calibration" else ""


# Else Snakemake's own report would show the bytes of a table as text.
mimetypes.add_type("application/vnd.apache.parquet", ".parquet")


def figure_labels(wildcards, output):
    """How Snakemake's own report lists a drawn figure: by its title."""
    return {"figure": json.loads(Path(output[-1]).read_text())["title"]}


TEACHER = rater_settings(PARAMS.teacher)
JUDGE = rater_settings(PARAMS.judge)
LABELLER = rater_settings(PARAMS.labelling.labeller)
LABELLER_ASKS = PARAMS.labelling.labeller in PARAMS.llm.models
CASCADE = PARAMS.labelling.cascade
REWRITER = rater_settings(PARAMS.rewriting.rewriter)
REWRITER_ASKS = PARAMS.rewriting.rewriter in PARAMS.llm.models
ANALYSIS = settings("matrix", "statistics", "rl.algorithm", of=COUNTDOWN)
SOCIAL_ANALYSIS = settings("matrix", "statistics", "rl", "transfer", of=SOCIAL)
TINY_MODELS = sorted(name for name, model in PARAMS.models.items() if not isinstance(model, PretrainedModel))
TEMPLATES = [model.prompt_template for model in COUNTDOWN.models.values()]
FIGURES = available_figures(PARAMS)
SOCIAL_FIGURES = [name for name in FIGURES if task_of_figure(name) == "social_iqa"]
if LOCK:
    atexit.register(record_what_is_left)
