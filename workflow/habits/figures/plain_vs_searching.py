"""Figure: the plain and the searching base under the same RL, beside Llama and Qwen in the paper."""

from __future__ import annotations

from collections.abc import Callable

from matplotlib.figure import Figure, SubFigure

from habits.analysis.published import LLAMA, QWEN
from habits.figures.drawing import Drawing, axes_words, curve, handle
from habits.figures.over_steps import MODEL, sample_words
from habits.figures.style import BEHAVIOR_LOOKS, OURS, PAPER, SEARCHING, look
from habits.figures.tables import Series, Tables, paper_series

Source = Callable[[str, str], Series]


def draw(tables: Tables) -> Drawing:
    """Accuracy of both base models, then the behaviors of each."""
    confidence = tables.params.statistics.confidence
    paper_models = {MODEL: LLAMA, SEARCHING: QWEN}
    figure = Figure(figsize=(10.5, 8.6))
    left, right = figure.subfigures(1, 2)
    left.suptitle(f"{OURS}: tiny models", fontweight="bold", fontsize=11.5)
    right.suptitle(f"{PAPER}: 3B models", fontweight="bold", fontsize=11.5)
    names = {MODEL: "plain base", SEARCHING: "searching base"}
    _draw_column(left, lambda model, metric: tables.series(model, "none", metric), names)
    _draw_column(
        right,
        lambda model, metric: paper_series(paper_models[model], "none", metric, confidence),
        paper_models,
    )
    handles = [handle(appearance) for appearance in BEHAVIOR_LOOKS.values()]
    figure.legend(handles=handles, title="Behavior (lower panels)", loc="outside lower center", ncols=4)
    runs = {m: tables.series(m, "none", "accuracy").n_seeds for m in names}
    return Drawing(
        figure,
        "The same RL on a base that searches and on one that does not",
        f"Neither model is primed. {sample_words(tables)}; seeds: plain {runs[MODEL]}, searching "
        f"{runs[SEARCHING]}. Right: the paper's Llama-3.2-3B and Qwen2.5-3B (one seed; accuracy on 1024 problems, "
        "for Qwen 200 at most steps, with Wilson intervals; behavior counts without intervals because only "
        "means were published).",
        "Line charts in two columns, this run and the paper: accuracy against RL step for the plain and the "
        "searching base model, below it the four behavior counts of each.",
    )


def _draw_column(part: SubFigure, source: Source, names: dict[str, str]) -> None:
    top, *below = part.subplots(3, 1)
    for model, name in names.items():
        series = source(model, "accuracy")
        curve(top, series, look(model, "none"), markers=len(series.points) <= 12)
        top.plot([], [], color=look(model, "none").color, label=name)
    axes_words(top, "Accuracy", "RL step", "Accuracy")
    top.legend(loc="upper left")
    for ax, (model, name) in zip(below, names.items(), strict=True):
        for behavior, appearance in BEHAVIOR_LOOKS.items():
            series = source(model, behavior)
            curve(ax, series, appearance, markers=len(series.points) <= 12)
        axes_words(ax, f"Behaviors of the {name}", "RL step", "Mean count a response")
    highest = max(ax.get_ylim()[1] for ax in below)
    for ax in below:
        ax.set_ylim(0, highest)
