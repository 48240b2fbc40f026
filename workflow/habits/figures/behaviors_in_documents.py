"""Figure: share of documents with each behavior, by corpus, beside the paper's OpenWebMath and FineMath."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from habits.analysis.published import web_math
from habits.analysis.resampling import wilson
from habits.artifacts import ArtifactError
from habits.figures.drawing import Drawing
from habits.figures.marks import Mark, Origin, note
from habits.figures.style import BEHAVIOR_LOOKS, OURS, PAPER
from habits.figures.tables import Tables

ALL = "all"
PUBLISHED_SHARES = "workflow/published/web_math.csv"
COLORS = ("#4B5AA8", "#DE8F05", "#029E73", "#CC78BC")


def draw(tables: Tables) -> Drawing:
    """Bars with intervals, one group a behavior."""
    confidence = tables.params.statistics.confidence
    ours, papers = _ours(tables), _papers(confidence)
    figure = Figure(figsize=(10.5, 3.9))
    left, right = figure.subplots(1, 2)
    _bars(left, ours, OURS, tables.origin("shares", domain=ALL, metric="share"))
    _bars(right, papers, PAPER, Origin(PUBLISHED_SHARES))
    left.set_ylabel("Share of documents")
    sizes = ", ".join(f"{name} n = {rows['n_documents'].max()}" for name, rows in ours.groupby("corpus"))
    return Drawing(
        figure,
        "Behaviors in pretraining documents",
        f"Share of documents with at least one instance. This run: {sizes}, labelled by "
        f"{tables.params.labelling.labeller}; the embedded corpus is generated and much richer in behaviors "
        "than the web. Right: the paper's shares, labelled by Qwen2.5-32B-Instruct with other prompts. Bars: "
        f"{confidence:.0%} Wilson intervals; the right ones take n = 200000, the range of the authors' "
        "scripts.",
        "Two bar charts of the share of documents that show verification, backtracking, subgoal setting and "
        "backward chaining: the corpora of this run, and OpenWebMath and FineMath in the paper.",
    )


def _ours(tables: Tables) -> pd.DataFrame:
    shares = tables.read("shares")
    rows = shares[(shares["domain"] == ALL) & (shares["metric"] == "share")]
    wanted = {(c, b) for c in tables.params.pretraining.corpora for b in BEHAVIOR_LOOKS}
    missing = wanted - set(zip(rows["corpus"], rows["behavior"], strict=True))
    if missing:
        raise ArtifactError(
            f"{tables.folder}/shares.parquet is not complete: nothing for {sorted(missing)[:3]}; "
            "compute it again"
        )
    return rows


def _papers(confidence: float) -> pd.DataFrame:
    rows = web_math().rename(columns={"share": "mean"})
    bounds = [
        wilson(share * n, n, confidence) for share, n in zip(rows["mean"], rows["n_documents"], strict=True)
    ]
    return rows.assign(low=[bound.low for bound in bounds], high=[bound.high for bound in bounds])


def _bars(ax: Axes, rows: pd.DataFrame, title: str, origin: Origin) -> None:
    corpora = list(dict.fromkeys(rows["corpus"]))
    places = np.arange(len(BEHAVIOR_LOOKS))
    width = 0.8 / len(corpora)
    for number, corpus in enumerate(corpora):
        own = rows[rows["corpus"] == corpus].set_index("behavior").loc[list(BEHAVIOR_LOOKS)]
        mean = own["mean"].to_numpy(float)
        spread = np.abs(np.array([mean - own["low"], own["high"] - mean]))
        shift = (number - (len(corpora) - 1) / 2) * width
        color = COLORS[number % len(COLORS)]
        ax.bar(places + shift, mean, width * 0.92, label=corpus, color=color, alpha=0.9)
        records = enumerate(own.reset_index().to_dict("records"))
        note(ax, *(_mark(place + shift, record, corpus, origin) for place, record in records))
        ax.errorbar(places + shift, mean, spread, fmt="none", ecolor="#333333", elinewidth=1, capsize=2)
    ax.set_xticks(places, [look.label.replace(" ", "\n") for look in BEHAVIOR_LOOKS.values()])
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    ax.grid(False, axis="x")
    ax.set_title(title)
    ax.legend(loc="best")


def _mark(place: float, row: dict[Any, Any], corpus: str, origin: Origin) -> Mark:
    behavior = str(row["behavior"])
    return Mark(
        (place, row["mean"]),
        f"{corpus}: {BEHAVIOR_LOOKS[behavior].label}",
        None,
        row["mean"],
        row["low"],
        row["high"],
        origin.at(corpus=corpus, behavior=behavior),
    )
