"""Figure: accuracy over RL steps by priming set, ours beside the paper's."""

from __future__ import annotations

from habits.figures.drawing import Drawing
from habits.figures.over_steps import Metric, draw_groups, sample_words
from habits.figures.tables import Tables

METRIC = Metric("accuracy", "accuracy", "Accuracy")


def draw(tables: Tables) -> Drawing:
    """Accuracy of held-out problems at every evaluation step."""
    return Drawing(
        draw_groups(tables, METRIC),
        "Accuracy during RL, by what the model was primed with",
        f"Share of held-out Countdown problems solved. {sample_words(tables)}. Right: the paper's "
        "published series (Llama-3.2-3B, one seed, 1024 problems, Wilson intervals). Models and problems "
        "differ and each panel has its own scale: compare directions, not heights. The set with wrong "
        "endings shows all four behaviors in the paper, backtracking and verification here.",
        "Line charts of accuracy against RL step; left the tiny model of this run, right Llama-3.2-3B from "
        "the paper; above sets of reasoning behaviors, below control sets.",
    )
