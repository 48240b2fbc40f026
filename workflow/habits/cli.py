"""The command line: one sub-command per rule of the workflow, each also usable by hand.

Reads params.yaml (or ``--params``) and the inputs named on the line, writes ``--out``. Nothing is
searched for: what a step reads stands in its command. A mistake of the user (bad setting, missing
file) is one message and exit code 2; a traceback is a bug of ours.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from habits import jobs
from habits.cluster_params import PretrainedModel
from habits.params import Params, ParamsError, load, schema_text
from habits.params import validate as validate_settings
from habits.section import Task

PACKAGE = Path(__file__).parent
PRESETS = PACKAGE.parent / "presets"
PROBLEMS = Path("data/problems/countdown")
SCHEMA = PACKAGE.parent / "schemas" / "params.schema.json"

app = App(
    name="habits",
    help="The cognitive-behaviors chain, from problems to report. One sub-command per rule of the workflow.",
    name_transform=str,
    default_parameter=Parameter(negative=()),
    result_action="return_none",
)


@Parameter(name="*")
@dataclass(frozen=True)
class Common:
    """Options of every step.

    Attributes:
        params: the settings in effect; the workflow sets the environment variable.
        log: also write all messages to this file.
    """

    params: Annotated[Path, Parameter(env_var=jobs.PARAMS_FILE)] = Path("params.yaml")
    log: Path | None = None


COMMON = Common()
File = Annotated[Path, Parameter(show_default=False)]


@contextmanager
def step(common: Common) -> Iterator[Params]:
    """Settings for one step, with its environment, log and error messages set up around it."""
    with jobs.reported(common.log):
        params = load(common.params)
        jobs.prepare_environment(params.runtime.threads)
        yield params


@app.command
def problems(*, task: Task = "countdown", out: File, common: Common = COMMON) -> None:
    """Write the problems of a task: train, validation and test, disjoint."""
    with step(common) as params:
        if task == "social_iqa":
            jobs.allow_network()  # the published set may have to be fetched
            from habits.tasks.social_iqa.problems import write_problems
        else:
            from habits.tasks.countdown.problems import write_problems

        write_problems(params, out)


@app.command
def base_model(*, model: str, problems: File, out: File, common: Common = COMMON) -> None:
    """Train a tiny base model from scratch on its generated corpus, or fetch a pretrained one."""
    with step(common) as params:
        if isinstance(spec := params.models[model], PretrainedModel):
            jobs.allow_network()
            from habits.models.pretrained import fetch_pretrained

            fetch_pretrained(spec, out)
        else:
            from habits.models.base_model import train_base_model

            train_base_model(params, model, problems, out)


@app.command
def teaching(
    *, name: Annotated[str, Parameter(name="--set")], problems: File, out: File, common: Common = COMMON
) -> None:
    """Ask an LLM teacher for the demonstrations of a set. Spends money: `habits plan` says how much.

    Args:
        name: a behavior set, negative_control or negative_only.
    """
    with step(common) as params:
        from habits.priming.teaching import write_teaching

        write_teaching(params.only("countdown"), name, problems, out)


@app.command
def corpus(*, corpus: str, shard: int, out: File, common: Common = COMMON) -> None:
    """Generate or fetch one shard of a corpus: documents, cleaned, cut, with fingerprints."""
    with step(common) as params:
        jobs.allow_network()
        from habits.pretraining.corpus import write_shard

        write_shard(params, corpus, shard, out)


@app.command
def deduplication(*, corpus: str, documents: File, out: File, common: Common = COMMON) -> None:
    """Find the documents of a corpus that repeat an earlier one, exactly or nearly."""
    with step(common) as params:
        from habits.pretraining.deduplication import write_duplicates

        write_duplicates(params, corpus, documents, out)


@app.command
def labels(
    *,
    corpus: str,
    shard: int,
    documents: File,
    repeated: File,
    cascade: File,
    out: File,
    gpus: int = 0,
    common: Common = COMMON,
) -> None:
    """Count the behaviors in one shard's documents. `habits plan` says what a language model costs.

    Args:
        documents: the shard.
        repeated: the documents of the corpus that are left out.
        cascade: folder with the classifier; only labelling.cascade needs it.
        gpus: over which vLLM spreads the model.
    """
    with step(common) as params:
        from habits.pretraining.labels import write_labels

        write_labels(params, corpus, shard, documents, repeated, cascade, out, gpus)


@app.command
def pretraining_statistics(*, labels: File, documents: File, out: File, common: Common = COMMON) -> None:
    """How often behaviors occur in each corpus and domain, with intervals."""
    with step(common) as params:
        from habits.analysis.pretraining_statistics import write_pretraining_statistics

        write_pretraining_statistics(params, labels, documents, out)


@app.command
def cascade(*, data: File, out: File, gpus: int = 0, common: Common = COMMON) -> None:
    """Plan how few documents a language model has to read, and measure what that is worth.

    Args:
        data: folder of corpora, duplicates and labels.
        gpus: over which vLLM spreads the model.
    """
    with step(common) as params:
        from habits.analysis.cascade import write_cascade

        write_cascade(params, data, out, gpus)


@app.command
def leakage(*, problems: File, priming: File, documents: File, out: File, common: Common = COMMON) -> None:
    """Count what training and evaluation data share."""
    with step(common) as params:
        from habits.analysis.leakage import write_leakage

        write_leakage(params.only("countdown"), problems, priming, documents, out)


@app.command
def rewriting(
    *, documents: File, labels: File, problems: File, out: File, gpus: int = 0, common: Common = COMMON
) -> None:
    """Rewrite documents with behaviors, and matched ones without, as question, thought and answer.

    Args:
        gpus: over which vLLM spreads the model.
    """
    with step(common) as params:
        from habits.pretraining.rewriting import write_rewriting

        write_rewriting(params.only("countdown"), documents, labels, problems, out, gpus)


@app.command
def priming(
    *,
    priming: str,
    seed: int,
    problems: File,
    teaching: File,
    rewriting: File,
    out: File,
    common: Common = COMMON,
) -> None:
    """Write the traces of a priming set or control.

    Args:
        teaching: folder with the demonstrations of an LLM teacher; the symbolic one needs none.
        rewriting: folder with the rewritten documents; only sets made from them need it.
    """
    with step(common) as params:
        from habits.priming.priming import write_priming

        write_priming(params.only("countdown"), priming, seed, problems, teaching, rewriting, out)


@app.command
def quality(*, priming: File, teaching: File, out: File, common: Common = COMMON) -> None:
    """Sum up every priming set: verdicts, lengths, behaviors asked for and found."""
    with step(common) as params:
        from habits.behaviors.quality import write_quality

        write_quality(params.only("countdown"), priming, teaching, out)


@app.command
def sft(
    *,
    model: str,
    priming: str,
    seed: int,
    base: File,
    traces: File,
    out: File,
    gpus: int = 0,
    common: Common = COMMON,
) -> None:
    """Fine-tune a base model on a priming set.

    Args:
        gpus: GPUs that the verl backend trains on.
    """
    with step(common) as settings:
        params = settings.primed_with(priming)
        if params.training.backend == "verl":
            from habits.training.verl.sft import run_sft as run_verl_sft

            run_verl_sft(params, model, priming, seed, base, traces, out, gpus)
        else:
            from habits.training.sft import run_sft

            run_sft(params, model, priming, seed, base, traces, out)


@app.command
def rl(*, run: str, start: File, problems: File, out: File, gpus: int = 0, common: Common = COMMON) -> None:
    """Train one run of the matrix with RL; goes on from its last checkpoint if it was interrupted.

    Args:
        run: model/priming/algorithm/seedN, as in the matrix.
        start: checkpoint folder that RL starts from.
        gpus: GPUs that the verl backend trains on.
    """
    with step(common) as params:
        if params.training.backend == "verl":
            from habits.training.verl.rl import run_rl as run_verl_rl

            run_verl_rl(params, run, start, problems, out, gpus)
        else:
            from habits.training.rl import run_rl

            run_rl(params, run, start, problems, out)


@app.command
def rollouts(
    *, run: str, rl: File, problems: File, out: File, gpus: int = 0, common: Common = COMMON
) -> None:
    """Sample evaluation rollouts from every checkpoint of a run.

    Args:
        gpus: over which vLLM spreads the model.
    """
    with step(common) as params:
        from habits.rollouts.rollouts import sample_rollouts

        sample_rollouts(params, run, rl, problems, out, gpus)


@app.command
def maths(*, name: str, out: File, common: Common = COMMON) -> None:
    """Write the problems of a maths set for evaluation: word_problems, or a published one, fetched."""
    with step(common) as params:
        jobs.allow_network()
        from habits.tasks.maths.maths import write_maths

        write_maths(params, name, out)


@app.command
def transfer(*, run: str, rl: File, data: File, out: File, gpus: int = 0, common: Common = COMMON) -> None:
    """Put problems of another task to a run's first and last checkpoint.

    Args:
        gpus: over which vLLM spreads the model.
    """
    with step(common) as params:
        from habits.rollouts.transfer import sample_transfer

        sample_transfer(params, run, rl, data, out, gpus)


@app.command
def behaviors(*, run: str, rollouts: File, out: File, common: Common = COMMON) -> None:
    """Count the four behaviors in a run's rollouts with the symbolic oracle."""
    with step(common) as params:
        from habits.behaviors.behaviors import count_behaviors

        count_behaviors(params, run, rollouts, out)


@app.command
def judging(*, run: str, rollouts: File, out: File, common: Common = COMMON) -> None:
    """Let an LLM judge count the behaviors in a sample of a run's rollouts. `habits plan` says the cost."""
    with step(common) as params:
        from habits.behaviors.judging import judge_rollouts

        judge_rollouts(params.only("countdown"), run, rollouts, out)


@app.command
def statistics(*, results: File, out: File, common: Common = COMMON) -> None:
    """Accuracies, behavior counts and lengths with intervals over seeds and problems."""
    with step(common) as params:
        from habits.analysis.statistics import write_statistics

        write_statistics(params.only("countdown"), results, out)


@app.command
def social_statistics(
    *, results: File, problems: File, claims: File, findings: File, out: File, common: Common = COMMON
) -> None:
    """Accuracy on Social IQa, transfer to other problems, and what is claimed about both."""
    with step(common) as params:
        from habits.analysis.social_statistics import write_social_statistics

        write_social_statistics(params.only("social_iqa"), results, problems, claims, findings, out)


@app.command
def claims(*, statistics: File, claims: File, out: File, common: Common = COMMON) -> None:
    """Decide each claim: effect, interval, verdict."""
    with step(common) as params:
        from habits.analysis.claims import decide_claims

        decide_claims(params.only("countdown"), statistics, claims, out)


@app.command
def calibration(*, results: File, out: File, common: Common = COMMON) -> None:
    """Compare the judge with the oracle and with people; correct its counts."""
    with step(common) as params:
        from habits.analysis.calibration import write_calibration

        write_calibration(params.only("countdown"), results, out)


@app.command
def figures(*, name: str, tables: File, out: File, common: Common = COMMON) -> None:
    """Draw one figure as SVG, PNG and PDF.

    Args:
        tables: the folder of its tables: results/statistics, or another one that the figure names.
    """
    with step(common) as params:
        from habits.figures import draw_figure

        draw_figure(params, name, tables, out)


@app.command
def analyses(*, results: File, out: File, common: Common = COMMON) -> None:
    """Response length, language mixing and words of reconsideration in the rollouts of all runs."""
    with step(common) as params:
        from habits.analysis.analyses import write_analyses

        write_analyses(params, results, out)


@app.command
def analyze(
    file: Path,
    /,
    *,
    out: File,
    tokenizer: str | None = None,
    confidence: float = 0.95,
    log: Path | None = None,
) -> None:
    """The same analyses of a file that you bring; writes tables, figures and a page to read.

    Args:
        file: rollouts as parquet, or a log of DeepEnlighten's training (plain or raw from Ray).
        tokenizer: folder or hub name of the tokenizer that counts response tokens; default: the file's own
            n_tokens, or words where it has none.
        confidence: of all intervals.
    """
    with jobs.reported(log):
        from habits.report.analyze import write_analysis

        write_analysis(file, out, tokenizer, confidence)


@app.command
def report(*, results: File, data: File, out: File, common: Common = COMMON) -> None:
    """Write the HTML report."""
    with step(common) as params:
        from habits.report.report import write_report

        write_report(params, results, data, out)


@app.command
def compare(a: str, b: str, /, *, out: Path = Path("compare.html"), log: Path | None = None) -> None:
    """Compare two finished runs on one page: settings, data, metrics, problems whose outcome changed.

    Args:
        a: a working directory with results/, or a git revision or DVC experiment of this repository.
        b: the same.
        out: the HTML file to write.
    """
    with jobs.reported(log):
        from habits.report.compare import write_comparison

        write_comparison(a, b, out)
        print(f"{out} compares {a} and {b}")


@app.command
def plan(
    *,
    teacher: str | None = None,
    judge: str | None = None,
    problems: Path = PROBLEMS,
    results: Path = Path("results"),
    count: bool = False,
    json: bool = False,
    common: Common = COMMON,
) -> None:
    """Say what language models will be asked in this run, and what it costs, before anything is asked.

    Args:
        teacher: another one than in params.yaml, as with `snakemake --config teacher=...`.
        judge: the same.
        problems: the problems folder; they are drawn for the occasion where it is not there yet.
        results: the results folder; rollouts that are there already are counted exactly.
        count: let the vendors count the tokens of a few prompts (free of charge; wants keys and network).
        json: JSON instead of a table.
    """
    with step(common) as loaded:
        from datetime import date

        from habits.behaviors.planning import judging_errands
        from habits.llm.plan import examples_of, plan_errands
        from habits.llm.store import ReplyStore
        from habits.llm.tokens import count_examples
        from habits.pretraining.planning import document_errands
        from habits.priming.planning import teaching_errands
        from habits.tasks.countdown.sampling import sample
        from habits.tasks.countdown.table import read_problems

        raters = {key: name for key, name in (("teacher", teacher), ("judge", judge)) if name}
        chosen = validate_settings({**loaded.model_dump(mode="json"), **raters}, "--teacher, --judge")
        params = chosen.only("countdown")
        source = problems / "train.parquet"
        train = read_problems(source) if source.exists() else sample(params.countdown)["train"]
        documents = document_errands(params, results.with_name("data") / "corpus", results / "cascade")
        errands = [*documents, *teaching_errands(params, train), *judging_errands(params, results, train)]
        counted = count_examples(params.llm, examples_of(errands)) if count else None
        with ReplyStore() as store:
            bill = plan_errands(params.llm, errands, store, date.today(), counted)
        print(bill.to_json() if json else bill.to_text(), end="")


@app.command
def preset(name: str, /, *, params: Path = Path("params.yaml"), force: bool = False) -> None:
    """Put a preset in effect: write it to params.yaml, comments included.

    Args:
        name: a file of workflow/presets without its ending.
        params: the file to write.
        force: replace settings that were changed by hand (a copy is kept beside them).
    """
    with jobs.reported(None):
        source = PRESETS / f"{name}.yaml"
        known = {path.stem: path.read_bytes() for path in sorted(PRESETS.glob("*.yaml"))}
        if name not in known:
            raise ParamsError(f"preset {name!r} does not exist; choose {', '.join(known)}")
        changed = params.exists() and params.read_bytes() not in known.values()
        if changed and not force:
            raise ParamsError(f"{params} holds settings of your own; --force replaces it and keeps a copy")
        if changed:
            print(f"old settings kept as {_keep_copy(params)}")
        shutil.copyfile(source, params)
        print(f"{params} is now the {name} preset")


def _keep_copy(path: Path) -> Path:
    number = 1
    while (copy := path.with_name(f"{path.name}.{number}.bak")).exists():
        number += 1
    shutil.copyfile(path, copy)
    return copy


@app.command
def accept(*files: Path) -> None:
    """Take results that were changed by hand as they are; what was made from them will be made again."""
    with jobs.reported(None):
        from habits import manifests

        manifests.accept(list(files))


@app.command
def repair() -> None:
    """Compare all results with what was recorded of them; restore what is broken or gone from DVC.

    What DVC does not have is deleted, with a word how to make it again. Every byte is read.
    """
    with jobs.reported(None):
        from habits import workdir
        from habits.repair import repair

        with workdir.undisturbed():
            print(repair())


@app.command
def record() -> None:
    """Let DVC take in the results of a finished run; a run of the whole chain ends with this by itself."""
    with jobs.reported(None):
        from habits import manifests, restore, versions, workdir

        with workdir.undisturbed():
            restore.tidy()
            restore.give_back()
            manifests.export()
            versions.record()


@app.command
def schema(*, out: Path = SCHEMA) -> None:
    """Write the JSON schema of params.yaml, for editors."""
    with jobs.reported(None):
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(schema_text())


@app.command
def validate(*, params: Path = Path("params.yaml")) -> None:
    """Check params.yaml, with verl its configurations too, and list the runs that it asks for."""
    with jobs.reported(None):
        settings = load(params)
        if settings.training.backend == "verl":
            from habits.training.verl.plan import check_plan

            check_plan(settings)
        runs = "".join(f"\n  {run.path}" for run in settings.runs)
        print(f"{params}: preset {settings.preset}, {len(settings.runs)} runs{runs}")


def main() -> None:
    """Entry point of the ``habits`` command."""
    app()


if __name__ == "__main__":
    main()
