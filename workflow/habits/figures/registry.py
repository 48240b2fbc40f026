"""All figures by name, which of them a matrix can fill, and how one is drawn.

Reads ``results/statistics/*.parquet`` and the published series; writes ``results/figures/{name}.*``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from habits.analysis.controls import CONTROLS, control_conditions
from habits.analysis.correlations import SMALLEST
from habits.analysis.evaluations import ConditionKey
from habits.artifacts import ArtifactError, stamp
from habits.figures import (
    accuracy_over_steps,
    backtracking_vs_accuracy,
    behaviors_over_steps,
    plain_vs_searching,
    response_length_over_steps,
    sinking_controls,
    social_accuracy_over_steps,
)
from habits.figures.drawing import Drawing, save
from habits.figures.over_steps import GROUPS, MODEL
from habits.figures.style import BEHAVIOR_SETS, SEARCHING, themed
from habits.figures.tables import Tables
from habits.params import Params
from habits.sections import Task


@dataclass(frozen=True)
class FigureSpec:
    """How a figure is drawn, whether a matrix has what it needs, and the need in words."""

    draw: Callable[[Tables], Drawing]
    possible: Callable[[Params], bool]
    needs: str
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


FIGURES = {
    "accuracy_over_steps": FigureSpec(
        accuracy_over_steps.draw, _any_group, "two or more conditions on the plain model"
    ),
    "behaviors_over_steps": FigureSpec(
        behaviors_over_steps.draw,
        lambda params: _on(params, MODEL, BEHAVIOR_SETS) > 0,
        "a behavior set or no priming on the plain model",
    ),
    "response_length_over_steps": FigureSpec(
        response_length_over_steps.draw, _any_group, "two or more conditions on the plain model"
    ),
    "plain_vs_searching": FigureSpec(
        plain_vs_searching.draw,
        lambda params: all(_on(params, model, ("none",)) for model in (MODEL, SEARCHING)),
        "the plain and the searching model without priming",
    ),
    "backtracking_vs_accuracy": FigureSpec(
        backtracking_vs_accuracy.draw, lambda params: _main(params) >= SMALLEST, f"{SMALLEST} conditions"
    ),
    "sinking_controls": FigureSpec(
        sinking_controls.draw,
        lambda params: any(control_conditions(c, params.rl.algorithm) <= _keys(params) for c in CONTROLS),
        "the conditions of one of the controls",
    ),
    "social_accuracy_over_steps": FigureSpec(
        social_accuracy_over_steps.draw,
        lambda params: _main(params) > 0,
        "a run on Social IQa",
        task="social_iqa",
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


def draw_figure(params: Params, name: str, statistics: Path, out: Path) -> None:
    """Draw one figure into the folder ``out``: ``name``.svg, .png, .pdf and .json (title, caption, alt).

    Raises:
        ArtifactError: no such figure, the matrix cannot fill it, or a series is empty or incomplete.
    """
    params = params.only(task_of_figure(name))
    spec = FIGURES[name]
    if not spec.possible(params):
        raise ArtifactError(f"figure {name} needs {spec.needs} in the matrix of params.yaml")
    with themed():
        save(spec.draw(Tables(params, statistics)), name, out)
    parents = sorted(statistics.glob("*.parquet"))
    stamp(out / f"{name}.json", settings={"figure": name}, parents=parents)
