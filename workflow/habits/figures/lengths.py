"""Accuracy by response length, across problems and among responses to one problem, and its slope.

Shared by ``cot_length``, ``social_cot_length`` and ``habits analyze``.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from habits.analysis.cot_length import ALL, ALL_PROBLEMS, SAME_PROBLEM
from habits.artifacts import ArtifactError
from habits.figures.drawing import Bar, Drawing, handle, point
from habits.figures.marks import Mark, Origin, note
from habits.figures.style import BLACK, Look, look
from habits.figures.tables import Tables

METRIC = "accuracy"
# Whose bins are drawn, the first that there are; slopes are drawn for all.
BINNED = (
    ("plain", "none"),
    ("searching", "none"),
    ("plain", "backtracking_verification"),
    ("plain", "empty_cot"),
)
MOST_BINNED = 4
UNUSUAL = 8  # times the median width of an interval
MARKERS = {ALL_PROBLEMS: "all problems together", SAME_PROBLEM: "same problem"}


@dataclass(frozen=True)
class Group:
    """One line of the panels: its look, its rows of length_bins and of length_slopes, where they stand."""

    look: Look
    bins: pd.DataFrame
    slopes: pd.DataFrame
    bins_origin: Origin | None = None
    slopes_origin: Origin | None = None


def draw_conditions(tables: Tables, looks: dict[tuple[str, str], Look]) -> Drawing:
    """The figure for models and primings, each with its look."""
    bins, slopes = (_main(tables.read(name)) for name in ("length_bins", "length_slopes"))
    groups = [
        _group(tables, f"{model}/{priming}/{tables.algorithm}", shown, bins, slopes)
        for (model, priming), shown in looks.items()
    ]
    n = int(bins.loc[bins["comparison"] == ALL_PROBLEMS].groupby("condition")["n"].sum().min())
    confidence = tables.params.statistics.confidence
    return Drawing(
        draw_lengths(groups, "tokens"),
        "Is a longer response a better one?",
        f"Evaluation rollouts of all steps, n = {n:,} or more a condition. {caption(confidence)}",
        "Two panels of accuracy against response length in tokens, one line a condition: across all "
        "problems, and relative to the same problem; beside them each condition's slope in both comparisons.",
    )


def _group(tables: Tables, condition: str, shown: Look, bins: pd.DataFrame, slopes: pd.DataFrame) -> Group:
    own = [table[table["condition"] == condition] for table in (bins, slopes)]
    if any(part.empty for part in own):
        raise ArtifactError(
            f"{tables.folder}: length_bins.parquet or length_slopes.parquet has nothing for "
            f"{condition}; run the analyses again"
        )
    where = {"condition": condition, "source": "evaluation", "phase": ALL, "metric": METRIC}
    origins = [tables.origin(name, **where) for name in ("length_bins", "length_slopes")]
    return Group(shown, own[0], own[1], origins[0], origins[1])


def caption(confidence: float) -> str:
    """What the panels show and how their intervals were made."""
    return (
        f"Left: accuracy in ten quantile bins of length, of at most {MOST_BINNED} conditions (colors as at "
        "the right). Middle: the same after taking out each problem's and each policy's own mean, among "
        "problems with several responses; across problems length and difficulty are mixed up, here they are "
        "not. Open markers: most responses of the bin were cut off. Right: change in accuracy per 100 more "
        "tokens, responses that were cut off left out; where lengths hardly differ the slope is off the "
        "axis, and written. "
        f"Bars: {confidence:.0%} intervals, cluster-robust by problem."
    )


def draw_lengths(groups: list[Group], unit: str) -> Figure:
    """Bins of all problems, bins within problems, slopes; one line or row a group."""
    figure = Figure(figsize=(13, max(4.2, 1.6 + 0.32 * len(groups))))
    left, middle, right = figure.subplots(1, 3, width_ratios=[1, 1, 0.9])
    for ax, comparison in ((left, ALL_PROBLEMS), (middle, SAME_PROBLEM)):
        for group in _binned(groups):
            rows = group.bins[group.bins["comparison"] == comparison]
            _draw_bins(ax, rows.sort_values("mean_length"), group.look)
            if group.bins_origin is not None:
                origin = group.bins_origin.at(comparison=comparison)
                note(ax, *(_bin_mark(row, group.look, origin) for row in rows.to_dict("records")))
    left.set(title="All problems together", xlabel=f"Response length ({unit})", ylabel="Accuracy")
    left.set_ylim(bottom=0)
    middle.set(
        title="Same problem",
        xlabel=f"Length relative to the problem's mean ({unit})",
        ylabel="Accuracy relative to it",
    )
    middle.axhline(0, color=BLACK, linewidth=0.7)
    _draw_slopes(right, groups, unit)
    return figure


def _binned(groups: list[Group]) -> list[Group]:
    """Few enough groups to be told apart: those of `BINNED`, then others in their order."""
    wanted = [look(model, priming) for model, priming in BINNED]
    first = sorted(groups, key=lambda group: group.look not in wanted)
    return [group for group in groups if any(group is other for other in first[:MOST_BINNED])]


def _bin_mark(row: dict[Hashable, Any], appearance: Look, origin: Origin) -> Mark:
    at = (row["mean_length"], row["mean"])
    numbers = (*at, row["low"], row["high"])
    return Mark(at, appearance.label, *numbers, origin.at(bin=int(row["bin"])), int(row["n_problems"]))


def _main(table: pd.DataFrame) -> pd.DataFrame:
    return table[(table["source"] == "evaluation") & (table["phase"] == ALL) & (table["metric"] == METRIC)]


def _draw_bins(ax: Axes, rows: pd.DataFrame, appearance: Look) -> None:
    ax.plot(rows["mean_length"], rows["mean"], color=appearance.color, linewidth=1.1, zorder=2)
    numbers = rows[["mean_length", "mean", "low", "high", "truncated"]].to_numpy(dtype=float)
    for length, mean, low, high, truncated in numbers.tolist():
        bar = Bar(mean, low, high) if np.isfinite(low) else Bar(mean, mean, mean)
        point(ax, Bar(length, length, length), bar, appearance, filled=not truncated > 0.5, size=4.5)


@dataclass(frozen=True)
class Slope:
    """A slope of a group, in points per 100 units, and the height at which it is drawn."""

    group: Group
    comparison: str
    bar: Bar
    height: float


def _slopes(groups: list[Group]) -> Iterator[Slope]:
    for place, group in enumerate(groups):
        rows = group.slopes[group.slopes["responses"] == "complete"]
        for comparison, offset in ((ALL_PROBLEMS, -0.16), (SAME_PROBLEM, 0.16)):
            own = rows.loc[rows["comparison"] == comparison, ["slope", "low", "high"]].to_numpy(dtype=float)
            if np.isfinite(own).all():
                yield Slope(group, comparison, Bar(*(100 * own[0]).tolist()), place + offset)


def _draw_slopes(ax: Axes, groups: list[Group], unit: str) -> None:
    slopes = list(_slopes(groups))
    left, right = _axis_ends([slope.bar for slope in slopes])
    for slope in slopes:
        bar, group, height = slope.bar, slope.group, slope.height
        shown = float(np.clip(bar.mean, left, right))
        if shown == bar.mean:
            filled = slope.comparison == SAME_PROBLEM
            point(ax, bar, Bar(height, height, height), group.look, filled=filled, size=6)
        else:
            told = f"{bar.mean:+.0f} [{bar.low:+.0f}, {bar.high:+.0f}]".replace("-", "\N{MINUS SIGN}")
            side = "left" if bar.mean < 0 else "right"
            ax.text(shown, height, told, color=group.look.color, ha=side, va="center", fontsize=7)
        if group.slopes_origin is not None:
            origin = group.slopes_origin.at(comparison=slope.comparison, responses="complete")
            label = f"{group.look.label}, {MARKERS[slope.comparison]}"
            note(ax, Mark((shown, height), label, None, bar.mean, bar.low, bar.high, origin))
    ax.set_xlim(left, right)
    ax.axvline(0, color=BLACK, linewidth=0.7)
    ax.set_yticks(range(len(groups)), [group.look.label for group in groups])
    ax.set_ylim(len(groups) - 0.5, -0.5)
    ax.set(title="Slope", xlabel=f"Change in accuracy per 100 {unit} (points)")
    ax.grid(axis="y", visible=False)
    looks = [Look(MARKERS[ALL_PROBLEMS], BLACK, "o"), Look(MARKERS[SAME_PROBLEM], BLACK, "o")]
    handles = [handle(item) for item in looks]
    for item, filled in zip(handles, (False, True), strict=True):
        item.set(linestyle="none", markerfacecolor=BLACK if filled else "white")
    ax.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2)


def _axis_ends(bars: list[Bar]) -> tuple[float, float]:
    """Where the axis ends. Intervals far wider than most do not count: the rest would be a dot."""
    widths = [bar.high - bar.low for bar in bars]
    usual = [bar for bar in bars if bar.high - bar.low <= UNUSUAL * float(np.median(widths))]
    ends = [0.0, *(end for bar in usual for end in (bar.low, bar.high))]
    room = 0.06 * (max(ends) - min(ends)) or 1.0
    return min(ends) - room, max(ends) + room
