"""Figure: mean count of each behavior over RL steps; four panels of ours beside four of the paper's."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure, SubFigure

from habits.analysis.published import LLAMA, QWEN
from habits.figures.drawing import Drawing, axes_words, curves, handle
from habits.figures.over_steps import LEGEND_TITLE, sample_words
from habits.figures.style import BEHAVIOR_LOOKS, BEHAVIOR_SETS, MODEL, OURS, PAPER, SEARCHING, Look, look
from habits.figures.tables import Series, Tables, paper_series

Curves = list[tuple[Look, Series]]


def draw(tables: Tables) -> Drawing:
    """Mean counts of the four behaviors for both base models and every behavior set."""
    drawn = [(MODEL, p) for p in tables.primings(MODEL, BEHAVIOR_SETS)]
    drawn += [(SEARCHING, p) for p in tables.primings(SEARCHING, ("none",))]
    figure = Figure(figsize=(13.5, 6.2))
    left, right = figure.subfigures(1, 2, squeeze=False, wspace=0.03)[0]
    left.suptitle(f"{OURS}: tiny models", fontweight="bold", fontsize=11.5)
    right.suptitle(f"{PAPER}: {LLAMA}, and {QWEN} as searching base", fontweight="bold", fontsize=11.5)
    _draw_panels(left, {b: _ours(tables, drawn, b) for b in BEHAVIOR_LOOKS})
    _draw_panels(right, {b: _paper(tables, drawn, b) for b in BEHAVIOR_LOOKS})
    counted = {c: tables.series(*c, "accuracy").n_seeds for c in drawn}
    handles = [handle(look(*c), f"{look(*c).label} ({n})") for c, n in counted.items()]
    figure.legend(handles=handles, title=LEGEND_TITLE, loc="outside lower center", ncols=4)
    return Drawing(
        figure,
        "Behaviors per response during RL",
        f"Mean count of each behavior in a response. {sample_words(tables)}. Left: counted by the "
        "symbolic oracle. Right: the paper's published series, counted by an LLM judge on 200 responses a "
        "point, without intervals because only means were published. Controls are left out; their counts "
        "stand in the tables.",
        "Eight line charts of mean behavior counts against RL step: verification, backtracking, subgoal "
        "setting and backward chaining, in this run (left half) and in the paper (right half).",
    )


def _draw_panels(part: SubFigure, panels: dict[str, Curves]) -> None:
    for ax, (behavior, found) in zip(np.ravel(part.subplots(2, 2)), panels.items(), strict=True):
        curves(ax, found)
        axes_words(ax, BEHAVIOR_LOOKS[behavior].label.capitalize(), "RL step", "Mean count per response")


def _ours(tables: Tables, drawn: list[tuple[str, str]], behavior: str) -> Curves:
    return [(look(*c), tables.series(*c, behavior)) for c in drawn]


def _paper(tables: Tables, drawn: list[tuple[str, str]], behavior: str) -> Curves:
    confidence = tables.params.statistics.confidence
    source = {MODEL: LLAMA, SEARCHING: QWEN}
    return [(look(*c), paper_series(source[c[0]], c[1], behavior, confidence)) for c in drawn]
