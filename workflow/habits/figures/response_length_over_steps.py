"""Figure: response length over RL steps by priming set, ours beside the paper's."""

from __future__ import annotations

from habits.figures.drawing import Drawing
from habits.figures.over_steps import Metric, draw_groups, sample_words
from habits.figures.tables import RESPONSE_TOKENS, Tables

METRIC = Metric("n_tokens", RESPONSE_TOKENS, "Response tokens (mean)")


def draw(tables: Tables) -> Drawing:
    """Mean response length at every evaluation step."""
    cap = tables.params.rl.max_response_tokens
    return Drawing(
        draw_groups(tables, METRIC),
        "Response length during RL, by what the model was primed with",
        f"Mean tokens a response, at most {cap} in this run. {sample_words(tables)}. Right: the paper's "
        "published series (Llama-3.2-3B, one seed), without intervals because only means were published. The "
        "tokenizers differ: one number is one token here, a word piece there.",
        "Line charts of mean response length against RL step; left the tiny model of this run, right "
        "Llama-3.2-3B from the paper; above sets of reasoning behaviors, below control sets.",
    )
