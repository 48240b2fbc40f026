"""Figure: how far the judge agrees with the oracle over RL steps, behavior by behavior."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from habits.figures.drawing import Drawing, axes_words, curves, handle
from habits.figures.marks import Origin
from habits.figures.style import BEHAVIOR_LOOKS
from habits.figures.tables import Series, Tables

PANELS = {
    "weighted_kappa": ("Counts: weighted kappa", "Kappa"),
    "bias": ("Counts: judge minus oracle", "Mean difference per response"),
    "precision": ("Presence: precision", "Share of what the judge sees"),
    "recall": ("Presence: recall", "Share of what the oracle sees"),
}


def draw(tables: Tables) -> Drawing:
    """One panel a statistic, one line a behavior that occurs."""
    rows = tables.agreement()
    judge = rows["rater"].iloc[0]
    figure = Figure(figsize=(10.5, 7.0))
    for ax, (statistic, (title, label)) in zip(np.ravel(figure.subplots(2, 2)), PANELS.items(), strict=True):
        part = rows[rows["statistic"] == statistic]
        origin = tables.origin("agreement", rater=judge, statistic=statistic)
        drawn = [
            (look, _series(part, name, origin.at(behavior=name))) for name, look in BEHAVIOR_LOOKS.items()
        ]
        curves(ax, [(look, series) for look, series in drawn if series.points["mean"].notna().any()])
        axes_words(ax, title, "RL step", label)
        ax.set_ylim(*_limits(part, 0.0 if statistic == "bias" else 1.0))
        ax.axhline(0, color="black", linewidth=0.8, zorder=1)
    figure.legend(
        handles=[handle(look) for look in BEHAVIOR_LOOKS.values()], loc="outside lower center", ncols=4
    )
    confidence = tables.params.statistics.confidence
    return Drawing(
        figure,
        "Does the judge agree with the oracle, and does that drift?",
        f"{judge} against the symbolic oracle on the same responses, in all main conditions: "
        f"n = {int(rows['n_responses'].min())} to {int(rows['n_responses'].max())} responses a step, "
        f"{int(rows['n_problems'].max())} problems. Bars: {confidence:.0%} intervals over problems. Kappa "
        "has quadratic weights. What is not defined (a behavior that does not occur) is left out. All four "
        "depend on how often a behavior occurs, which changes during RL too.",
        "Four line charts against RL step, one line a behavior: weighted kappa of judge and oracle, mean "
        "difference of their counts, precision and recall of the judge's finding a behavior at all.",
    )


def _limits(rows: pd.DataFrame, highest: float) -> tuple[float, float]:
    """Room for 0, ``highest`` and every interval."""
    ends = rows[["low", "high"]].to_numpy(dtype=float)
    bottom, top = float(np.nanmin(ends, initial=0.0)), float(np.nanmax(ends, initial=highest))
    room = 0.04 * (top - bottom)
    return (bottom - room if bottom < 0 else 0.0), top + room


def _series(rows: pd.DataFrame, behavior: str, origin: Origin) -> Series:
    points = rows[rows["behavior"] == behavior].rename(columns={"rl_step": "step", "value": "mean"})
    table = points[["step", "mean", "low", "high"]]
    return Series(table, 0, int(points["n_problems"].max()), origin)
