"""Figure: mixed scripts and words of reconsideration over RL steps."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from habits.analysis.aha_words import ANY
from habits.figures.drawing import axes_words, curves
from habits.figures.style import Look
from habits.figures.tables import Series


class Line(NamedTuple):
    """One line of both panels: its look, its rows of mixing_by_step and of aha_by_step."""

    look: Look
    mixing: pd.DataFrame
    aha: pd.DataFrame


def draw_words(lines: list[Line], unit: str) -> Figure:
    """Share of responses that mix scripts; words of reconsideration per 1,000 units of length."""
    figure = Figure(figsize=(11, 3.8))
    left, right = figure.subplots(1, 2)
    curves(left, [(line.look, _series(line.mixing, "mixed", "low", "high")) for line in lines])
    any_kind = [(line.look, line.aha[line.aha["kind"] == ANY]) for line in lines]
    curves(right, [(look, _series(rows, "per_1000", "rate_low", "rate_high")) for look, rows in any_kind])
    axes_words(left, "Responses that mix scripts", "RL step", "Share of responses")
    axes_words(right, "Words of reconsideration", "RL step", f"Per 1,000 {unit}")
    left.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
    _legend(left, lines)
    return figure


def caption(confidence: float) -> str:
    """What the panels show and how their intervals were made."""
    return (
        "Left: share of thoughts with at least one word in a script that is not the prompt's; names and "
        "words copied from the prompt, and single letters, left out. Right: words such as a sentence-initial "
        '"Wait," or "let me check again" (seven kinds, by context). '
        f"Bars and bands: {confidence:.0%} intervals, cluster-robust by problem."
    )


def _series(rows: pd.DataFrame, mean: str, low: str, high: str) -> Series:
    points = rows.sort_values("rl_step")[["rl_step", mean, low, high]].reset_index(drop=True)
    points.columns = pd.Index(["step", "mean", "low", "high"])
    return Series(points, 1, int(rows["n_problems"].max()))


def _legend(ax: Axes, lines: list[Line]) -> None:
    if len(lines) > 1:
        ax.legend([line.look.label for line in lines], loc="best")
