"""All figures by name, which of them a matrix can fill, and how one is drawn.

Reads the folder of tables that a figure names (under ``results``) and the published series; writes
``results/figures/{name}.*``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from habits.analysis.controls import CONTROLS, control_conditions
from habits.analysis.correlations import SMALLEST
from habits.analysis.evaluations import ConditionKey
from habits.artifacts import ArtifactError, stamp
from habits.figures.style import BEHAVIOR_SETS, GROUPS, MODEL, SEARCHING, themed
from habits.params import Params
from habits.pretraining_params import GENERATOR, REWRITTEN, RULES
from habits.section import Task


@dataclass(frozen=True)
class FigureSpec:
    """Whether a matrix has what a figure needs, the need in words, and where its tables are.

    The module of the figure's name has ``draw``.
    """

    possible: Callable[[Params], bool]
    needs: str
    tables: str = "statistics"
    task: Task = "countdown"


def _keys(params: Params) -> set[ConditionKey]:
    return {ConditionKey(run.model, run.priming, run.algorithm) for run in params.runs}


def _on(params: Params, model: str, primings: tuple[str, ...]) -> int:
    """How many of ``primings`` the matrix runs on ``model`` with the main algorithm."""
    return len({ConditionKey(model, p, params.rl.algorithm) for p in primings} & _keys(params))


def _any_group(params: Params) -> bool:
    return any(_on(params, MODEL, wanted) > 1 for wanted in GROUPS.values())


def _main(params: Params) -> int:
    return sum(key.algorithm == params.rl.algorithm for key in _keys(params))


def _judged(params: Params) -> bool:
    return params.judge != "none" and _main(params) > 0


def _planned(params: Params) -> bool:
    """Whether some corpus has labels that a cascade is measured against."""
    asks = params.labelling.labeller != RULES
    return any(asks or spec.source == GENERATOR for spec in params.pretraining.corpora.values())


A_JUDGE = "a judge, and conditions of the main algorithm"
FIGURES = {
    "accuracy_over_steps": FigureSpec(_any_group, "two or more conditions on the plain model"),
    "behaviors_over_steps": FigureSpec(
        lambda params: _on(params, MODEL, BEHAVIOR_SETS) > 0,
        "a behavior set or no priming on the plain model",
    ),
    "response_length_over_steps": FigureSpec(_any_group, "two or more conditions on the plain model"),
    "plain_vs_searching": FigureSpec(
        lambda params: all(_on(params, model, ("none",)) for model in (MODEL, SEARCHING)),
        "the plain and the searching model without priming",
    ),
    "backtracking_vs_accuracy": FigureSpec(
        lambda params: _main(params) >= SMALLEST, f"{SMALLEST} conditions"
    ),
    "sinking_controls": FigureSpec(
        lambda params: any(control_conditions(c, params.rl.algorithm) <= _keys(params) for c in CONTROLS),
        "the conditions of one of the controls",
    ),
    "judge_over_steps": FigureSpec(_judged, A_JUDGE, tables="calibration"),
    "judge_vs_oracle": FigureSpec(_judged, A_JUDGE, tables="calibration"),
    "pretraining_over_steps": FigureSpec(
        lambda params: _on(params, MODEL, REWRITTEN) > 0,
        "a set that is made from documents, on the plain model",
    ),
    "behaviors_in_documents": FigureSpec(
        lambda params: bool(params.pretraining.corpora), "a corpus", tables="pretraining_statistics"
    ),
    "labelling_cost": FigureSpec(_planned, "a cascade with a reference", tables="cascade"),
    "cot_length": FigureSpec(lambda params: _main(params) > 0, "a condition", tables="analyses"),
    "social_accuracy_over_steps": FigureSpec(
        lambda params: _main(params) > 0, "a run on Social IQa", tables="social_statistics", task="social_iqa"
    ),
    "social_cot_length": FigureSpec(
        lambda params: _main(params) > 0, "a run on Social IQa", tables="social_statistics", task="social_iqa"
    ),
}


def available_figures(params: Params) -> list[str]:
    """Names of the figures whose conditions are in the matrix of ``params``."""
    return [name for name, spec in FIGURES.items() if spec.possible(params.only(spec.task))]


def task_of_figure(name: str) -> Task:
    """The task whose statistics a figure shows; ArtifactError when there is no such figure."""
    if name not in FIGURES:
        raise ArtifactError(f"figure {name!r} does not exist; choose one of {', '.join(FIGURES)}")
    return FIGURES[name].task


def draw_figure(params: Params, name: str, tables: Path, out: Path) -> None:
    """Draw one figure into the folder ``out``: ``name``.svg, .png, .pdf and .json (title, caption, alt).

    Args:
        tables: the folder that ``FIGURES[name].tables`` names.

    Raises:
        ArtifactError: no such figure, the matrix cannot fill it, or a series is empty or incomplete.
    """
    params = params.only(task_of_figure(name))
    spec = FIGURES[name]
    if not spec.possible(params):
        raise ArtifactError(f"figure {name} needs {spec.needs}; see matrix and judge in params.yaml")
    # Here, as every parse of the workflow asks which figures there are, and few of its runs draw one.
    from habits.figures.drawing import save
    from habits.figures.tables import Tables

    draw = import_module(f"habits.figures.{name}").draw
    with themed():
        save(draw(Tables(params, tables)), name, out)
    parents = sorted(tables.glob("*.parquet"))
    stamp(out / f"{name}.json", settings={"figure": name}, parents=parents)
