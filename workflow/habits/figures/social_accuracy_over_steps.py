"""Figure: accuracy on Social IQa over RL steps, overall and by difficulty, beside the length of responses."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from habits.analysis.evaluations import IDENTITY
from habits.analysis.social_statistics import CHANCE, GROUPINGS
from habits.figures.drawing import Drawing, axes_words, curves, handle, seeds
from habits.figures.marks import Origin
from habits.figures.style import BLACK, GRAY, GROUP_LOOKS, OVERALL, Look
from habits.figures.tables import Series, Tables

SEED_ALPHA = 0.35


def draw(tables: Tables) -> Drawing:
    """One row of panels a model that RL trained on Social IQa with the main algorithm."""
    models = list(dict.fromkeys(run.model for run in tables.params.runs if run.algorithm == tables.algorithm))
    figure = Figure(figsize=(11, 3.9 * len(models)))
    grid = figure.subplots(len(models), 3, squeeze=False)
    for (overall, by_group, length), model in zip(grid, models, strict=True):
        _overall(overall, tables, model)
        _by_group(by_group, tables, model)
        curves(length, [(OVERALL, tables.series(model, "none", "n_tokens"))])
        axes_words(length, "Length of responses", "RL step", "Tokens")
    return Drawing(
        figure,
        "Reinforcement learning on social situations, without fine-tuning before it",
        _caption(tables, models),
        "Line charts against RL step: accuracy, with one thin line a seed and a dashed line at chance, one "
        "third; accuracy by group of questions; mean response length.",
    )


def _overall(ax: Axes, tables: Tables, model: str) -> None:
    series = tables.series(model, "none", "accuracy")
    every = tables.read("per_seed")
    mine = every[
        (every[IDENTITY] == [model, "none", tables.algorithm]).all(axis=1) & (every.metric == "accuracy")
    ]
    for _, rows in mine.groupby("seed"):
        ordered = rows.sort_values("rl_step")
        ax.plot(ordered.rl_step, ordered["mean"], color=BLACK, alpha=SEED_ALPHA, linewidth=0.9)
    curves(ax, [(OVERALL, series)])
    _chance(ax)
    axes_words(ax, f"{model}: all held-out problems", "RL step", "Accuracy")
    _legend_below(
        ax,
        handle(OVERALL, f"mean of {seeds(series.n_seeds)}"),
        handle(Look("one seed", GRAY, "", "-")),
        handle(Look("chance", GRAY, "", "--")),
    )


def _by_group(ax: Axes, tables: Tables, model: str) -> None:
    table = tables.read("groups")
    mine = table[(table[IDENTITY] == [model, "none", tables.algorithm]).all(axis=1)]
    mine = mine[mine["metric"] == "accuracy"]
    grouping = next(name for name in GROUPINGS if (mine.grouping == name).any())
    where = {"model": model, "algorithm": tables.algorithm, "metric": "accuracy", "grouping": grouping}
    origin = tables.origin("groups", **where, priming="none")
    drawn = [
        (look, _series(rows, origin.at(group=name)))
        for name, look in GROUP_LOOKS.items()
        if len(rows := mine[(mine.grouping == grouping) & (mine.group == name)])
    ]
    curves(ax, drawn)
    _chance(ax)
    axes_words(ax, f"By {grouping}", "RL step", "Accuracy")
    _legend_below(ax, *(handle(look, f"{look.label} ({series.n_problems})") for look, series in drawn))


def _legend_below(ax: Axes, *handles: Line2D) -> None:
    """At most three entries a line, clear of the points."""
    ax.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.16),
        ncols=3,
        columnspacing=1.2,
        handlelength=1.6,
    )


def _series(rows: pd.DataFrame, origin: Origin) -> Series:
    points = rows.sort_values("rl_step").rename(columns={"rl_step": "step"})
    return Series(
        points[["step", "mean", "low", "high"]], int(rows.n_seeds.max()), int(rows.n_problems.max()), origin
    )


def _chance(ax: Axes) -> None:
    ax.axhline(CHANCE, color=GRAY, linestyle="--", linewidth=1)
    ax.set_ylim(0, 1)


def _caption(tables: Tables, models: list[str]) -> str:
    shown = [tables.series(model, "none", "accuracy") for model in models]
    source = tables.params.social_iqa.source
    what = (
        "social stories composed by this project" if source == "stories" else "published Social IQa questions"
    )
    return (
        f"Share of held-out {what} answered right; n = {max(s.n_problems for s in shown)} problems a seed, "
        f"{seeds(max(s.n_seeds for s in shown))}. Bars: {tables.params.statistics.confidence:.0%} intervals, "
        "bootstrap over seeds and problems. Dashed: chance, one of three. In brackets: problems of a group. "
        "RL starts from the base model."
    )
