"""The pages of the experiments, and how the overview lists them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from habits.report.claims import ShownClaim
from habits.report.experiments import EXPERIMENTS, Experiment
from habits.report.material import Material
from habits.report.site import Page

GROUP = "Experiments"


def experiment_pages() -> tuple[Page, ...]:
    """A page for each experiment that the settings ask for."""
    return tuple(
        Page(
            experiment.file,
            experiment.name,
            experiment.question,
            partial(experiment_content, experiment),
            group=GROUP,
            template="experiment.html",
            shown=experiment.is_there,
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
    """The experiments that have a page."""
    params = material.inputs.params
    counts = {e: sum(e.holds(params, run) for run in params.runs) for e in EXPERIMENTS}
    return [Outline(e, n, claims_of(e, material)) for e, n in counts.items() if e.is_there(params)]


def claims_of(experiment: Experiment, material: Material) -> list[ShownClaim]:
    """The claims that contrast two conditions of the experiment."""
    params = material.inputs.params
    main = (run for run in params.runs if run.algorithm == params.rl.algorithm)
    held = {(run.model, run.priming) for run in main if experiment.holds(params, run)}
    return [
        item
        for item in material.claims.shown
        if {(side.model, side.priming) for side in (item.claim.better, item.claim.worse)} <= held
    ]
