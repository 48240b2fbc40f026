"""One look for all figures: theme, words, and a fixed color and marker for every condition.

Hues come from seaborn's "colorblind" and Tol's "muted" palettes; related conditions share a hue family and
differ in marker and dashes too, so that no reading depends on color alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

MODEL, SEARCHING = "plain", "searching"
BLACK, GRAY = "#000000", "#7F7F7F"
BAND_ALPHA = 0.13
OURS, PAPER = "This run", "Paper"
Dashes = Literal["-", "--", ":"]


@dataclass(frozen=True)
class Look:
    """How a series is drawn and what it is called."""

    label: str
    color: str
    marker: str
    dashes: Dashes = "-"


CONDITIONS = {
    "none": Look("no priming", BLACK, "o"),
    "all_strategies": Look("all four behaviors", "#029E73", "s"),
    "backtracking_verification": Look("backtracking + verification", "#0173B2", "D"),
    "backtracking_subgoal": Look("backtracking + subgoals", "#DE8F05", "^"),
    "backtracking_backward": Look("backtracking + backward chaining", "#CC78BC", "v"),
    "only_backtracking": Look("backtracking only", "#56B4E9", "P"),
    "negative_control": Look("direct answers", GRAY, "X", "--"),
    "empty_cot": Look("empty thought", "#CA9161", "<", "--"),
    "length_matched_empty_cot": Look("empty thought, matched length", "#7A4B16", ">", "--"),
    "negative_only": Look("wrong endings only", "#AA1F5D", "h", "-"),
    "negative_only_give_up": Look("wrong endings, all give up", "#DD7FAE", "d", ":"),
    "human_cot": Look("human-written thoughts", "#6C8F3C", "8"),
    "pretraining_curated": Look("more pretraining, with behaviors", "#4B5AA8", "H"),
    "pretraining_negative": Look("more pretraining, without", "#A8ADD3", "h", "--"),
}
SEARCHING_BASE = Look("no priming, searching base", "#D7261E", "p")
BEHAVIOR_SETS = (
    "none",
    "all_strategies",
    "backtracking_verification",
    "backtracking_subgoal",
    "backtracking_backward",
    "only_backtracking",
)
CONTROL_SETS = (
    "none",
    "backtracking_verification",
    "negative_only",
    "negative_only_give_up",
    "empty_cot",
    "length_matched_empty_cot",
    "negative_control",
)
PRETRAINING_SETS = ("none", "pretraining_curated", "pretraining_negative")
GROUPS = {"Behavior sets": BEHAVIOR_SETS, "Controls": CONTROL_SETS}
BEHAVIOR_LOOKS = {
    "verification": Look("verification", "#4477AA", "o"),
    "backtracking": Look("backtracking", "#EE6677", "s"),
    "subgoal_setting": Look("subgoal setting", "#228833", "^"),
    "backward_chaining": Look("backward chaining", "#B8A11F", "v"),
}
OVERALL = Look("all", BLACK, "o")
# Of Social IQa's questions: difficulty of a story, or what is asked.
GROUP_LOOKS = {
    "easy": Look("easy", "#56B4E9", "o"),
    "medium": Look("medium", "#0173B2", "s", "--"),
    "hard": Look("hard", "#AA1F5D", "D"),
    "why": Look("why", "#4477AA", "o"),
    "feel": Look("feelings", "#EE6677", "s"),
    "next": Look("what next", "#228833", "^"),
    "before": Look("what before", "#B8A11F", "v"),
    "need": Look("what is needed", "#CC78BC", "P"),
    "describe": Look("traits", "#7A4B16", "X"),
    "happen": Look("what happens", "#6C8F3C", "d"),
    "other": Look("other", GRAY, "h", ":"),
}


def look(model: str, priming: str) -> Look:
    """The look of a condition; the searching base has its own."""
    return SEARCHING_BASE if model == SEARCHING and priming == "none" else CONDITIONS[priming]


@contextlib.contextmanager
def themed() -> Iterator[None]:
    """All drawing happens inside: theme, font sizes, and what makes SVG and PDF the same every time."""
    import matplotlib
    import seaborn as sns

    fixed = {
        "svg.hashsalt": "habits",
        "svg.fonttype": "path",
        "font.family": "DejaVu Sans",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 10.5,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.labelsize": 10,
        "legend.frameon": False,
        "legend.fontsize": 9,
        "legend.title_fontsize": 9.5,
        "xtick.labelsize": 9,
        "ytick.labelsize": 9,
        "figure.constrained_layout.use": True,
    }
    theme = {**sns.axes_style("whitegrid"), **sns.plotting_context("paper"), **fixed}
    theme["grid.color"] = "#E6E6E6"
    with matplotlib.rc_context(theme):
        yield
