"""Figure: does the backtracking that a model shows before RL foretell its accuracy after RL?"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from habits.analysis.correlations import SMALLEST, Correlation, correlate
from habits.analysis.published import LLAMA, QWEN, published
from habits.analysis.resampling import wilson
from habits.analysis.statistics import resampler_of
from habits.artifacts import ArtifactError
from habits.figures.drawing import Drawing, axes_words, legend
from habits.figures.style import CONDITIONS, OURS, PAPER, Look, look
from habits.figures.tables import Tables

BEHAVIOR = "backtracking"
X_LABEL = "Backtracking a response before RL (mean count)"


def draw(tables: Tables) -> Drawing:
    """Final accuracy against backtracking at step 0, one point a condition, with correlations."""
    settings = tables.params.statistics
    ours, paper = _our_points(tables), _paper_points(settings.confidence)
    our_looks = [look(model, priming) for model, priming in zip(ours.model, ours.priming, strict=True)]
    paper_looks = [CONDITIONS[priming] for priming in paper.priming]
    figure = Figure(figsize=(11.5, 4.8))
    left, right = figure.subplots(1, 2)
    _points(left, ours, our_looks, [True] * len(ours))
    _points(right, paper, paper_looks, (paper.model == LLAMA).to_list())
    _write_correlations(left, {"": _our_correlations(tables)})
    _write_correlations(right, {f"{m}: ": _paper_correlations(tables, paper, m) for m in (LLAMA, QWEN)})
    axes_words(left, f"{OURS}: tiny models", X_LABEL, "Accuracy after RL")
    axes_words(right, f"{PAPER}: {LLAMA} (filled), {QWEN} (open)", X_LABEL, "Accuracy after RL")
    shown = dict.fromkeys([*our_looks, *paper_looks])
    legend(figure, [_marker(appearance) for appearance in shown], "Primed with")
    return Drawing(
        figure,
        "Backtracking before RL and accuracy after RL",
        f"One point a condition (n = {len(ours)} here). Bars: {settings.confidence:.0%} intervals over seeds and "
        "problems, over problems alone for conditions with one seed. Intervals of r (Pearson) and rho (Spearman) "
        "come from resampling conditions. The paper's points are single runs at their last published step, with "
        "Wilson intervals for accuracy; two of its step-0 rows repeat another condition's and are left out.",
        "Two scatter plots of accuracy after RL against the mean backtracking count before RL, one point a "
        "condition; left this run, right the paper's two 3B models.",
    )


def _our_points(tables: Tables) -> pd.DataFrame:
    """x, y and their interval lengths of every condition; ArtifactError below three conditions."""
    curves, final = tables.read("curves"), tables.read("final")
    keys = ["model", "priming"]
    start = curves[
        (curves.algorithm == tables.algorithm) & (curves.metric == BEHAVIOR) & (curves.rl_step == 0)
    ]
    end = final[(final.algorithm == tables.algorithm) & (final.metric == "accuracy")]
    points = start.merge(end, on=keys, suffixes=("_x", "_y"), validate="one_to_one", how="outer")
    if len(points) < SMALLEST or points[["mean_x", "mean_y"]].isna().any(axis=None):
        raise ArtifactError(
            f"{tables.folder}: backtracking before and accuracy after RL of at least {SMALLEST} conditions are "
            f"needed, {len(points)} found"
        )
    return points


def _paper_points(confidence: float) -> pd.DataFrame:
    """First and last row of every published series that has its step 0, in the columns of our points."""
    table = published().sort_values("step")
    start = table[table.step == 0]
    end = table.groupby(["model", "condition"], as_index=False).last()
    points = start.merge(end, on=["model", "condition"], suffixes=("_start", "_end"))
    ends = zip(points.accuracy_end, points.n_accuracy_end, strict=True)
    bounds = np.array([wilson(accuracy * n, int(n), confidence) for accuracy, n in ends])
    return pd.DataFrame(
        {
            "model": points.model,
            "priming": points.condition,
            "mean_x": points[f"{BEHAVIOR}_start"],
            "low_x": points[f"{BEHAVIOR}_start"],
            "high_x": points[f"{BEHAVIOR}_start"],
            "mean_y": points.accuracy_end,
            "low_y": bounds[:, 0],
            "high_y": bounds[:, 1],
        }
    )


def _our_correlations(tables: Tables) -> dict[str, Correlation]:
    table = tables.read("correlation")
    rows = table[(table.behavior == BEHAVIOR) & (table.algorithm == tables.algorithm)]
    return {
        str(r.statistic): Correlation(float(r.value), float(r.low), float(r.high), int(r.n_conditions))
        for r in rows.itertuples()
    }


def _paper_correlations(tables: Tables, paper: pd.DataFrame, model: str) -> dict[str, Correlation]:
    rows = paper[paper.model == model]
    x, y = rows.mean_x.to_numpy(dtype=float), rows.mean_y.to_numpy(dtype=float)
    resampler = resampler_of(tables.params)
    return {name: correlate(x, y, name, resampler) for name in ("pearson", "spearman")}


def _points(ax: Axes, points: pd.DataFrame, looks: list[Look], filled: list[bool]) -> None:
    for point, appearance, full in zip(points.itertuples(), looks, filled, strict=True):
        ax.errorbar(
            point.mean_x,
            point.mean_y,
            xerr=[[point.mean_x - point.low_x], [point.high_x - point.mean_x]],
            yerr=[[point.mean_y - point.low_y], [point.high_y - point.mean_y]],
            color=appearance.color,
            marker=appearance.marker,
            markerfacecolor=appearance.color if full else "white",
            markersize=7.5,
            elinewidth=1.0,
            linestyle="none",
            clip_on=False,
        )


def _write_correlations(ax: Axes, found: dict[str, dict[str, Correlation]]) -> None:
    lines = []
    for source, coefficients in found.items():
        r, rho = coefficients["pearson"], coefficients["spearman"]
        lines.append(f"{source}r = {_words(r)},  \u03c1 = {_words(rho)},  n = {r.n_conditions}")
    ax.text(0.98, 0.03, "\n".join(lines), transform=ax.transAxes, ha="right", va="bottom", fontsize=8.5)


def _words(result: Correlation) -> str:
    if np.isnan(result.value):
        return "undefined"
    return f"{result.value:.2f} [{result.low:.2f}, {result.high:.2f}]"


def _marker(appearance: Look) -> Line2D:
    return Line2D(
        [], [], color=appearance.color, marker=appearance.marker, linestyle="none", label=appearance.label
    )
