"""Figure: the plain and the searching base under the same RL, beside Llama and Qwen in the paper."""

from __future__ import annotations

from collections.abc import Callable

from matplotlib.figure import Figure, SubFigure

from habits.analysis.published import LLAMA, QWEN
from habits.figures.drawing import Drawing, axes_words, curves, handle
from habits.figures.over_steps import sample_words
from habits.figures.style import BEHAVIOR_LOOKS, MODEL, OURS, PAPER, SEARCHING, look
from habits.figures.tables import Series, Tables, paper_series

LEGEND_ROOM = 1.22
NAMES = {MODEL: "plain base", SEARCHING: "searching base"}
PAPER_NAMES = {MODEL: LLAMA, SEARCHING: QWEN}


def draw(tables: Tables) -> Drawing:
    """Accuracy of both base models, then the behaviors of each."""
    confidence = tables.params.statistics.confidence

    def ours(model: str, metric: str) -> Series:
        return tables.series(model, "none", metric)

    def papers(model: str, metric: str) -> Series:
        return paper_series(PAPER_NAMES[model], "none", metric, confidence)

    figure = Figure(figsize=(10.5, 8.6))
    left, right = figure.subfigures(1, 2, squeeze=False, wspace=0.03)[0]
    left.suptitle(f"{OURS}: tiny models", fontweight="bold", fontsize=11.5)
    right.suptitle(f"{PAPER}: 3B models", fontweight="bold", fontsize=11.5)
    _draw_column(left, ours, NAMES)
    _draw_column(right, papers, PAPER_NAMES)
    handles = [handle(appearance) for appearance in BEHAVIOR_LOOKS.values()]
    figure.legend(handles=handles, title="Behavior (lower panels)", loc="outside lower center", ncols=4)
    runs = {model: ours(model, "accuracy").n_seeds for model in NAMES}
    return Drawing(
        figure,
        "The same RL on a base that searches and on one that does not",
        f"Neither model is primed. {sample_words(tables)}; seeds: plain {runs[MODEL]}, searching "
        f"{runs[SEARCHING]}. Right: the paper's Llama-3.2-3B and Qwen2.5-3B (one seed; accuracy on 1024 "
        "problems, for Qwen 200 at most steps, with Wilson intervals; behavior counts without intervals "
        "because only means were published).",
        "Line charts in two columns, this run and the paper: accuracy against RL step for the plain and the "
        "searching base model, below it the four behavior counts of each.",
    )


def _draw_column(part: SubFigure, source: Callable[[str, str], Series], names: dict[str, str]) -> None:
    top, *below = part.subplots(3, 1, sharex=True)
    curves(top, [(look(model, "none"), source(model, "accuracy")) for model in names])
    axes_words(top, "Accuracy", "", "Accuracy")
    top.set_ylim(top=top.get_ylim()[1] * LEGEND_ROOM)
    handles = [handle(look(model, "none"), name) for model, name in names.items()]
    top.legend(handles=handles, loc="upper left", ncols=2)
    for ax, (model, name) in zip(below, names.items(), strict=True):
        curves(ax, [(appearance, source(model, behavior)) for behavior, appearance in BEHAVIOR_LOOKS.items()])
        axes_words(ax, f"Behaviors: {name}", "", "Mean count per response")
    below[-1].set_xlabel("RL step")
    highest = max(ax.get_ylim()[1] for ax in below)
    for ax in below:
        ax.set_ylim(0, highest)
