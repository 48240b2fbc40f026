"""Figure: RL after more pretraining on documents with and without behaviors, beside the paper's."""

from __future__ import annotations

from matplotlib.figure import Figure

from habits.analysis.published import LLAMA
from habits.figures.drawing import Drawing, axes_words, curves, handle
from habits.figures.over_steps import sample_words
from habits.figures.style import CONDITIONS, MODEL, OURS, PAPER, PRETRAINING_SETS
from habits.figures.tables import RESPONSE_TOKENS, Tables, paper_series

METRICS = {
    "Accuracy": ("accuracy", "accuracy"),
    "Verification a response": ("verification", "verification"),
    "Response tokens": ("n_tokens", RESPONSE_TOKENS),
}


def draw(tables: Tables) -> Drawing:
    """Accuracy, checks and length of both sets and of no priming; ours left, the paper's right."""
    primings = tables.primings(MODEL, PRETRAINING_SETS)
    confidence = tables.params.statistics.confidence
    figure = Figure(figsize=(9.6, 8.4))
    grid = figure.subplots(len(METRICS), 2, squeeze=False, sharex="col")
    for (left, right), (label, (own, papers)) in zip(grid, METRICS.items(), strict=True):
        curves(left, [(CONDITIONS[p], tables.series(MODEL, p, own)) for p in primings])
        curves(right, [(CONDITIONS[p], paper_series(LLAMA, p, papers, confidence)) for p in PRETRAINING_SETS])
        axes_words(left, f"{OURS}, tiny base", "", label)
        axes_words(right, f"{PAPER}, {LLAMA}", "", "")
    for ax in grid[-1]:
        ax.set_xlabel("RL step")
    looks = [CONDITIONS[p] for p in primings]
    figure.legend(handles=[handle(look) for look in looks], loc="outside lower center", ncols=len(looks))
    return Drawing(
        figure,
        "RL after more pretraining, on documents with and without behaviors",
        f"{sample_words(tables, PRETRAINING_SETS)}. Both sets hold the same number of rows of the same "
        "domains and nearly the same number of tokens. Our rows are number puzzles from the embedded "
        "corpus, the paper's come from OpenWebMath. Right: published series, one seed; accuracies on 1024 "
        "problems with Wilson intervals, means without. Compare directions, not heights.",
        "Line charts of accuracy, checks a response and response length against RL step for a model without "
        "more pretraining, with curated and with negative documents; left this run, right the paper.",
    )
