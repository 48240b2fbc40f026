"""A metric over RL steps by condition: behavior sets above, controls below; ours left, the paper's right.

Shared by ``accuracy_over_steps`` and ``response_length_over_steps``.
"""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.figure import Figure

from habits.analysis.published import LLAMA, has_series
from habits.artifacts import ArtifactError
from habits.figures.drawing import axes_words, curves, handle, seeds
from habits.figures.style import BEHAVIOR_SETS, CONDITIONS, CONTROL_SETS, GROUPS, MODEL, OURS, PAPER, Look
from habits.figures.tables import Series, Tables, paper_series

LEGEND_TITLE = "Primed with (seeds in this run)"


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
    figure = Figure(figsize=(11, 3.6 * len(rows)))
    grid = figure.subplots(len(rows), 3, squeeze=False, width_ratios=[1, 1, 0.68])
    for (left, right, beside), (title, primings) in zip(grid, rows.items(), strict=True):
        ours = [(CONDITIONS[p], tables.series(MODEL, p, metric.ours)) for p in primings]
        curves(left, ours)
        curves(right, _paper(tables, metric, primings))
        axes_words(left, f"{title}: {OURS.lower()}, tiny base", "RL step", metric.label)
        axes_words(right, f"{title}: {PAPER.lower()}, {LLAMA}", "RL step", metric.label)
        handles = [handle(look, f"{look.label} ({series.n_seeds})") for look, series in ours]
        beside.axis("off")
        beside.legend(handles=handles, title=LEGEND_TITLE, loc="center left", alignment="left")
    return figure


def _paper(tables: Tables, metric: Metric, primings: list[str]) -> list[tuple[Look, Series]]:
    """The published curves of those ``primings`` that the paper ran."""
    confidence = tables.params.statistics.confidence
    run = [p for p in primings if has_series(LLAMA, p)]
    return [(CONDITIONS[p], paper_series(LLAMA, p, metric.paper, confidence)) for p in run]


def sample_words(tables: Tables, primings: tuple[str, ...] = BEHAVIOR_SETS + CONTROL_SETS) -> str:
    """What our points and intervals rest on, for captions; ``primings``: the conditions that are drawn."""
    shown = [tables.series(MODEL, p, "accuracy") for p in tables.primings(MODEL, primings)]
    problems = max(series.n_problems for series in shown)
    counts = sorted({series.n_seeds for series in shown})
    few = " or ".join(str(n) for n in counts[:-1])
    runs = f"{few} or {seeds(counts[-1])}" if few else seeds(counts[-1])
    confidence = tables.params.statistics.confidence
    return (
        f"n = {problems} held-out problems a seed ({runs} a condition). "
        f"Bars and bands: {confidence:.0%} intervals, bootstrap over seeds and problems; with one seed they "
        "cover problems only (Wilson for shares)"
    )
