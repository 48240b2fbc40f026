"""A metric over RL steps by condition: behavior sets above, controls below; ours left, the paper's right.

Shared by ``accuracy_over_steps`` and ``response_length_over_steps``.
"""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from habits.analysis.published import LLAMA, has_series
from habits.artifacts import ArtifactError
from habits.figures.drawing import axes_words, curve, handle, legend, seeds
from habits.figures.style import BEHAVIOR_SETS, CONDITIONS, CONTROL_SETS, OURS, PAPER
from habits.figures.tables import Tables, paper_series

MODEL = "plain"
GROUPS = {"Behavior sets": BEHAVIOR_SETS, "Controls": CONTROL_SETS}


@dataclass(frozen=True)
class Metric:
    """What is drawn: our column, the paper's column, and the axis label."""

    ours: str
    paper: str
    label: str


def draw_groups(tables: Tables, metric: Metric) -> Figure:
    """One row of panels a group of conditions that the matrix holds."""
    rows = {title: tables.primings(MODEL, wanted) for title, wanted in GROUPS.items()}
    rows = {title: primings for title, primings in rows.items() if len(primings) > 1}
    if not rows:
        raise ArtifactError(
            f"the matrix has fewer than two conditions on {MODEL}; there is nothing to compare"
        )
    figure = Figure(figsize=(10.5, 3.5 * len(rows)))
    parts = figure.subfigures(len(rows), 1, squeeze=False)[:, 0]
    for part, (title, primings) in zip(parts, rows.items(), strict=True):
        _draw_row(part, tables, metric, title, primings)
    return figure


def _draw_row(part: SubFigure, tables: Tables, metric: Metric, title: str, primings: list[str]) -> None:
    left, right = part.subplots(1, 2)
    counted = _draw_ours(left, tables, metric, primings)
    _draw_paper(right, tables, metric, primings)
    axes_words(left, f"{title}: {OURS.lower()}, tiny base model", "RL step", metric.label)
    axes_words(right, f"{title}: {PAPER.lower()}, {LLAMA}", "RL step", metric.label)
    handles = [handle(CONDITIONS[p], f"{CONDITIONS[p].label} ({counted[p]})") for p in primings]
    legend(part, handles, "Primed with (seeds in this run)")


def _draw_ours(ax: Axes, tables: Tables, metric: Metric, primings: list[str]) -> dict[str, int]:
    counted = {}
    for priming in primings:
        series = tables.series(MODEL, priming, metric.ours)
        counted[priming] = series.n_seeds
        curve(ax, series, CONDITIONS[priming])
    return counted


def _draw_paper(ax: Axes, tables: Tables, metric: Metric, primings: list[str]) -> None:
    confidence = tables.params.statistics.confidence
    for priming in primings:
        if has_series(LLAMA, priming):
            series = paper_series(LLAMA, priming, metric.paper, confidence)
            curve(ax, series, CONDITIONS[priming], markers=False)


def sample_words(tables: Tables) -> str:
    """What our points and intervals rest on, for captions."""
    problems = tables.series(
        MODEL, tables.primings(MODEL, BEHAVIOR_SETS + CONTROL_SETS)[0], "accuracy"
    ).n_problems
    settings = tables.params.statistics
    found = {
        seeds(tables.series(MODEL, p, "accuracy").n_seeds)
        for p in tables.primings(MODEL, BEHAVIOR_SETS + CONTROL_SETS)
    }
    return (
        f"n = {problems} held-out problems a seed ({' or '.join(sorted(found))} a condition). "
        f"Bands: {settings.confidence:.0%} intervals, bootstrap over seeds and problems; with one seed they "
        "cover problems only (Wilson for shares)"
    )
