"""Figure: recall of each behavior against the share of documents that a language model reads."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from habits.artifacts import ArtifactError, read_parquet
from habits.figures.drawing import Drawing, handle
from habits.figures.marks import Mark, Origin, note
from habits.figures.style import BAND_ALPHA, BEHAVIOR_LOOKS, BLACK, Look
from habits.figures.tables import Tables

LINEAR = 0.01  # shares below this lie on a linear scale, as 0 is one of them


def draw(tables: Tables) -> Drawing:
    """One panel a corpus, a curve and the chosen point a behavior."""
    plans = read_parquet(tables.folder / "plan.parquet")
    if plans.empty:
        raise ArtifactError(
            f"{tables.folder}/plan.parquet is empty: no corpus has enough documents with a behavior and "
            "without; raise cascade.sample"
        )
    curves, corpora = tables.read("curve"), list(dict.fromkeys(plans["corpus"]))
    figure = Figure(figsize=(5.4 * len(corpora) + 2.2, 3.9))
    for ax, corpus in zip(figure.subplots(1, len(corpora), squeeze=False)[0], corpora, strict=True):
        for behavior, look in BEHAVIOR_LOOKS.items():
            picked = {"corpus": corpus, "behavior": behavior}
            curve, plan = (_pick(rows, picked) for rows in (curves, plans))
            if len(plan):
                origin = tables.origin("curve", **picked)
                _curve(ax, look, curve.sort_values("asked"), plan.iloc[0], origin)
        _words(ax, corpus, tables.params.cascade.target_recall)
    figure.legend(handles=[handle(look) for look in BEHAVIOR_LOOKS.values()], loc="outside right center")
    n = ", ".join(f"{corpus} n = {rows['n_documents'].max()}" for corpus, rows in plans.groupby("corpus"))
    return Drawing(
        figure,
        "What cheap labels cost",
        "Rules and a classifier label the documents of which they are sure; a language model reads the rest. "
        "Recall of each behavior on the sample that plans (cross-validated), as the threshold falls below "
        f"which it counts as absent: {n} documents. Large markers: what the planner chose for a recall of "
        f"{tables.params.cascade.target_recall:.0%} (dotted) and a precision of "
        f"{tables.params.cascade.target_precision:.0%}. Bands: {tables.params.statistics.confidence:.0%} "
        "Wilson intervals. Shares below 1 % are on a linear scale.",
        "Curves of recall against the share of documents that a language model reads, one a behavior; all "
        "reach 100 % at the right.",
    )


def _pick(rows: pd.DataFrame, columns: dict[str, str]) -> pd.DataFrame:
    return rows[(rows[list(columns)] == pd.Series(columns)).all(axis=1)]


def _curve(ax: Axes, look: Look, rows: pd.DataFrame, plan: pd.Series, origin: Origin) -> None:
    asked, recall, low, high = (rows[name].to_numpy(float) for name in ("asked", "recall", "low", "high"))
    ax.plot(asked, recall, color=look.color, linewidth=1.6)
    ax.fill_between(asked, low, high, color=look.color, alpha=BAND_ALPHA, linewidth=0)
    chosen = float(plan["asked"]), float(plan["recall"])
    ax.plot(*chosen, color=look.color, marker=look.marker, markersize=9, markeredgecolor="white", zorder=4)
    points = np.column_stack([asked, recall, low, high]).tolist()
    note(ax, *(Mark((x, y), look.label, x, y, a, b, origin.at(asked=x)) for x, y, a, b in points))


def _words(ax: Axes, corpus: str, target: float) -> None:
    ax.axhline(target, color=BLACK, linewidth=0.8, linestyle=":", zorder=1)
    ax.set(title=corpus, xlabel="Documents that a language model reads", ylabel="Recall")
    ax.set_xscale("symlog", linthresh=LINEAR)
    ax.set_xlim(0, 1)
    ax.set_xticks([0, 0.01, 0.1, 1])
    ax.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
