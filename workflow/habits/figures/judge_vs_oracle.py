"""Figure: mean counts by the judge, at face value and corrected, against the oracle's over all rollouts."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from habits.analysis.evaluations import IDENTITY, ORACLE
from habits.figures.drawing import Drawing
from habits.figures.marks import Mark, Origin, note
from habits.figures.style import BEHAVIOR_LOOKS, GRAY, Look
from habits.figures.style import look as look_of
from habits.figures.tables import Tables

SIZE = 46  # of a marker, in square points


def draw(tables: Tables) -> Drawing:
    """One panel a behavior, two points a condition and RL step."""
    rows = tables.corrected()
    figure = Figure(figsize=(10.5, 9.4))
    for ax, (behavior, look) in zip(np.ravel(figure.subplots(2, 2)), BEHAVIOR_LOOKS.items(), strict=True):
        part = rows[rows["behavior"] == behavior]
        _draw_panel(ax, look, part)
        note(ax, *_marks(part, tables.origin("corrected", gold=ORACLE, behavior=behavior)))
    figure.legend(handles=_handles(), loc="outside lower center", ncols=4)
    shown = rows.dropna(subset=["low", "high"])
    held = int(shown["oracle_mean"].between(shown["low"], shown["high"]).sum())
    confidence = tables.params.statistics.confidence
    return Drawing(
        figure,
        "The judge's mean counts, at face value and corrected",
        f"A pair of points for each condition and RL step: n = {int(rows['n_responses'].max())} judged "
        f"responses at most, {int(rows['n_gold'].max())} problems of them with gold labels by the oracle, "
        "which correct the judge (prediction-powered inference, PPI++). Across: the oracle's mean over all "
        f"evaluation rollouts, most of which the correction has not seen. {held} of {len(shown)} corrected "
        f"{confidence:.0%} intervals hold it. Intervals are over problems, for the runs at hand; there is "
        "none (open markers) where fewer than 5 gold problems show the behavior.",
        "Four scatter plots, one a behavior, of mean counts by the judge against those by the oracle; the "
        "corrected ones have vertical intervals, and a diagonal marks equality.",
    )


def _draw_panel(ax: Axes, look: Look, rows: pd.DataFrame) -> None:
    values = rows[["oracle_mean", "naive", "mean", "high"]].to_numpy(dtype=float)
    top = float(np.nanmax(values, initial=0.1))
    ax.plot([0, top], [0, top], color="black", linewidth=0.8, zorder=1)
    ax.scatter(
        rows["oracle_mean"], rows["naive"], s=SIZE, c=GRAY, marker="X", edgecolors="white", linewidths=0.8
    )
    certain = rows["low"].notna()
    x = rows["oracle_mean"]
    ax.vlines(
        x[certain], rows["low"][certain], rows["high"][certain], color=look.color, linewidth=1.3, zorder=2
    )
    for chosen, face, edge in ((certain, look.color, "white"), (~certain, "white", look.color)):
        part = rows[chosen]
        ax.scatter(
            part["oracle_mean"], part["mean"], s=SIZE, c=face, marker=look.marker, edgecolors=edge, zorder=3
        )
    room = 0.03 * top
    ax.set(title=look.label.capitalize(), xlabel="Oracle, all rollouts", ylabel="Judge, sample")
    ax.set(xlim=(-room, top + room), ylim=(min(-room, float(rows["mean"].min()) - room), top + room))


def _marks(rows: pd.DataFrame, origin: Origin) -> list[Mark]:
    """The corrected mean over the oracle's, by condition and RL step."""
    return [
        Mark(
            (row["oracle_mean"], row["mean"]),
            f"{look_of(row['model'], row['priming']).label}, step {row['rl_step']}",
            row["oracle_mean"],
            row["mean"],
            row["low"],
            row["high"],
            origin.at(**{name: row[name] for name in (*IDENTITY, "rl_step")}),
        )
        for row in rows.to_dict("records")
    ]


def _handles() -> list[Line2D]:
    def marker(shape: str, color: str, face: str, label: str) -> Line2D:
        return Line2D(
            [],
            [],
            color=color,
            marker=shape,
            markerfacecolor=face,
            markersize=7,
            linestyle="none",
            label=label,
        )

    return [
        marker("X", GRAY, GRAY, "judge at face value"),
        marker("o", "black", "black", "corrected"),
        marker("o", "black", "white", "corrected, no interval"),
        Line2D([], [], color="black", linewidth=0.8, label="equal"),
    ]
