"""Figure: does the backtracking that a model shows before RL foretell its accuracy after RL?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from habits.analysis.correlations import SMALLEST, Correlation, correlate
from habits.analysis.published import LLAMA, QWEN, published
from habits.analysis.resampling import wilson
from habits.analysis.statistics import resampler_of
from habits.artifacts import ArtifactError
from habits.figures.drawing import Bar, Drawing, axes_words, point
from habits.figures.marks import PUBLISHED, Mark, Origin, note
from habits.figures.style import CONDITIONS, OURS, PAPER, Look, look
from habits.figures.tables import Tables

BEHAVIOR = "backtracking"
X_LABEL = "Backtracking per response before RL (mean count)"


@dataclass(frozen=True)
class Point:
    """A condition: backtracking before RL (x) against accuracy after RL (y)."""

    model: str
    priming: str
    x: Bar
    y: Bar


def draw(tables: Tables) -> Drawing:
    """Final accuracy against backtracking at step 0, one point a condition, with correlations."""
    settings = tables.params.statistics
    ours, paper = _our_points(tables), _paper_points(settings.confidence)
    figure = Figure(figsize=(11.5, 4.8))
    left, right = figure.subplots(1, 2)
    for p in ours:
        point(left, p.x, p.y, look(p.model, p.priming))
        key = {"model": p.model, "priming": p.priming, "algorithm": tables.algorithm}
        note(left, _mark(p, look(p.model, p.priming).label, tables.origin("final", **key, metric="accuracy")))
    for p in paper:
        note(right, _mark(p, f"{CONDITIONS[p.priming].label}, {p.model}", _paper_origin(p)))
        point(right, p.x, p.y, CONDITIONS[p.priming], filled=p.model == LLAMA)
    axes_words(left, f"{OURS}: tiny models", X_LABEL, "Accuracy after RL")
    axes_words(right, f"{PAPER}: {LLAMA} (filled), {QWEN} (open)", X_LABEL, "Accuracy after RL")
    _write_correlations(left, {"": _our_correlations(tables)})
    _write_correlations(right, {f"{m}: ": _paper_correlations(tables, paper, m) for m in (LLAMA, QWEN)})
    shown = [*(look(p.model, p.priming) for p in ours), *(CONDITIONS[p.priming] for p in paper)]
    handles = [_marker(appearance) for appearance in dict.fromkeys(shown)]
    figure.legend(handles=handles, title="Primed with", loc="outside right center", alignment="left")
    return Drawing(
        figure,
        "Backtracking before RL and accuracy after RL",
        f"One point a condition (n = {len(ours)} here). Bars: {settings.confidence:.0%} intervals over seeds "
        "and problems, over problems alone for conditions with one seed. Intervals of r (Pearson) and rho "
        "(Spearman) come from resampling conditions. The paper's points are single runs at their last "
        "published step, with Wilson intervals for accuracy; two of its step-0 rows repeat another "
        "condition's and are left out.",
        "Two scatter plots of accuracy after RL against the mean backtracking count before RL, one point a "
        "condition; left this run, right the paper's two 3B models.",
    )


def _our_points(tables: Tables) -> list[Point]:
    """Every condition of the main algorithm; ArtifactError below three, or when a side is missing."""
    start = _bars(tables, "curves", BEHAVIOR, 0)
    end = _bars(tables, "final", "accuracy", None)
    missing = {f"{r.model}/{r.priming}" for r in tables.params.runs if r.algorithm == tables.algorithm}
    missing -= {"/".join(key) for key in start.keys() & end.keys()}
    if missing or len(end) < SMALLEST:
        raise ArtifactError(
            f"{tables.folder}: {len(end)} conditions, at least {SMALLEST} are needed; backtracking before or "
            f"accuracy after RL is missing for {', '.join(sorted(missing)) or 'none'}"
        )
    return [Point(model, priming, start[model, priming], bar) for (model, priming), bar in end.items()]


def _bars(tables: Tables, name: str, metric: str, step: int | None) -> dict[tuple[str, str], Bar]:
    """Mean and interval of ``metric`` by (model, priming), from a statistics table."""
    table = tables.read(name).dropna(subset=["mean", "low", "high"])
    rows = table[(table.algorithm == tables.algorithm) & (table.metric == metric)]
    if step is not None:
        rows = rows[rows.rl_step == step]
    keys = zip(rows.model, rows.priming, strict=True)
    values = rows[["mean", "low", "high"]].to_numpy(dtype=float)
    return {key: Bar(*numbers) for key, numbers in zip(keys, values.tolist(), strict=True)}


def _paper_points(confidence: float) -> list[Point]:
    """First count and last accuracy of every published series that has its step 0."""
    points = []
    for (model, priming), rows in published().sort_values("step").groupby(["model", "condition"]):
        if rows.step.iloc[0] != 0:
            continue
        count, accuracy = float(rows[BEHAVIOR].iloc[0]), float(rows.accuracy.iloc[-1])
        n = int(rows.n_accuracy.iloc[-1])
        y = Bar(accuracy, *wilson(accuracy * n, n, confidence))
        points.append(Point(str(model), str(priming), Bar(count, count, count), y))
    return points


def _our_correlations(tables: Tables) -> dict[str, Correlation]:
    table = tables.read("correlation")
    rows = table[(table.behavior == BEHAVIOR) & (table.algorithm == tables.algorithm)]
    values = rows[["value", "low", "high"]].to_numpy(dtype=float).tolist()
    counts = rows.n_conditions.astype(int)
    return {
        str(name): Correlation(numbers[0], numbers[1], numbers[2], n)
        for name, numbers, n in zip(rows.statistic, values, counts, strict=True)
    }


def _paper_correlations(tables: Tables, paper: list[Point], model: str) -> dict[str, Correlation]:
    chosen = [p for p in paper if p.model == model]
    x, y = np.array([p.x.mean for p in chosen]), np.array([p.y.mean for p in chosen])
    resampler = resampler_of(tables.params)
    return {name: correlate(x, y, name, resampler) for name in ("pearson", "spearman")}


def _write_correlations(ax: Axes, found: dict[str, dict[str, Correlation]]) -> None:
    lines = []
    for source, coefficients in found.items():
        r, rho = coefficients["pearson"], coefficients["spearman"]
        lines.append(f"{source}r = {_words(r)},  \u03c1 = {_words(rho)},  n = {r.n_conditions}")
    ax.text(0, 1.015, "\n".join(lines), transform=ax.transAxes, ha="left", va="bottom", fontsize=8.5)
    ax.set_title(ax.get_title(loc="left"), pad=34)


def _words(result: Correlation) -> str:
    if np.isnan(result.value):
        return "undefined"
    return f"{result.value:.2f} [{result.low:.2f}, {result.high:.2f}]"


def _mark(p: Point, label: str, origin: Origin) -> Mark:
    return Mark((p.x.mean, p.y.mean), label, p.x.mean, p.y.mean, p.y.low, p.y.high, origin)


def _paper_origin(p: Point) -> Origin:
    return Origin(PUBLISHED, {"model": p.model, "condition": p.priming})


def _marker(appearance: Look) -> Line2D:
    return Line2D(
        [], [], color=appearance.color, marker=appearance.marker, linestyle="none", label=appearance.label
    )
