"""The experiments: which question each asks, its runs, and the figures that answer it.

An experiment is a page: its claims, its figures with the rows behind them, its runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from habits.figures.style import BEHAVIOR_SETS, CONTROL_SETS, MODEL, SEARCHING
from habits.params import Params, RunId
from habits.report.claims import ShownClaim
from habits.report.material import Material
from habits.report.site import Page

GROUP = "Experiments"


@dataclass(frozen=True)
class Experiment:
    """A question, the runs that it compares, and its figures.

    Attributes:
        file: of its page.
        name: in the navigation and in the filter of the rollout browser.
        question: the title of its page.
        intro: one or two sentences on what is compared.
        figures: names in the figures' registry; a figure belongs to one experiment.
        holds: whether a run belongs to it.
    """

    file: str
    name: str
    question: str
    intro: str
    figures: tuple[str, ...]
    holds: Callable[[Params, RunId], bool]


def _is_main(params: Params, run: RunId) -> bool:
    return run.algorithm == params.rl.algorithm


def _behavior_sets(params: Params, run: RunId) -> bool:
    return _is_main(params, run) and run.model == MODEL and run.priming in BEHAVIOR_SETS


def _controls(params: Params, run: RunId) -> bool:
    matched = run.model == MODEL and run.priming == "none"
    return run.model == MODEL and run.priming in CONTROL_SETS and (_is_main(params, run) or matched)


def _base_models(params: Params, run: RunId) -> bool:
    return _is_main(params, run) and run.model in (MODEL, SEARCHING) and run.priming == "none"


def _variants(params: Params, run: RunId) -> bool:
    return not _is_main(params, run)


EXPERIMENTS = (
    Experiment(
        "behavior_sets.html",
        "Behavior sets",
        "Do behaviors taught before RL decide what RL can improve?",
        "A base model that lacks the behaviors is primed with traces that show them, set by set; then all "
        "models get the same RL.",
        ("accuracy_over_steps", "behaviors_over_steps", "backtracking_vs_accuracy"),
        _behavior_sets,
    ),
    Experiment(
        "controls.html",
        "Controls",
        "Is it the behaviors, or tokens, tries and endings?",
        "Priming without content, with right answers only, with wrong endings; and an unprimed model that "
        "gets as many tokens or tries as a primed one.",
        ("sinking_controls", "response_length_over_steps"),
        _controls,
    ),
    Experiment(
        "base_models.html",
        "Base models",
        "Does a base model that searches already gain more from RL?",
        "Two base models without priming, of which one has read searches in pretraining: the parts of Llama "
        "and Qwen in the paper.",
        ("plain_vs_searching",),
        _base_models,
    ),
    Experiment(
        "algorithms.html",
        "RL settings",
        "What do other RL settings and algorithms change?",
        "Runs whose RL differs from the main setting: in algorithm, penalty, or length.",
        (),
        _variants,
    ),
)


def experiment_pages() -> tuple[Page, ...]:
    """A page for each experiment that the matrix has runs of."""
    return tuple(
        Page(
            experiment.file,
            experiment.name,
            experiment.question,
            partial(experiment_content, experiment),
            group=GROUP,
            template="experiment.html",
            shown=partial(_has_runs, experiment),
        )
        for experiment in EXPERIMENTS
    )


def experiment_content(experiment: Experiment, material: Material) -> dict[str, Any]:
    """What the page of an experiment shows."""
    params = material.inputs.params
    return {
        "experiment": experiment,
        "figures": material.chosen(experiment.figures),
        "claims": claims_of(experiment, material),
        "axis": material.claims.axis,
        "confidence": material.confidence,
        "runs": [line for line in material.runs if experiment.holds(params, line.run)],
    }


@dataclass(frozen=True)
class Outline:
    """An experiment as the overview lists it: with how many runs, and the claims that it decides."""

    experiment: Experiment
    runs: int
    claims: list[ShownClaim]


def experiments_of(material: Material) -> list[Outline]:
    """The experiments that the matrix has runs of."""
    params = material.inputs.params
    counts = {e: sum(e.holds(params, run) for run in params.runs) for e in EXPERIMENTS}
    return [Outline(e, n, claims_of(e, material)) for e, n in counts.items() if n]


def claims_of(experiment: Experiment, material: Material) -> list[ShownClaim]:
    """The claims that a figure of the experiment shows."""
    return [item for item in material.claims.shown if item.claim.figure in experiment.figures]


def _has_runs(experiment: Experiment, params: Params) -> bool:
    return any(experiment.holds(params, run) for run in params.runs)
