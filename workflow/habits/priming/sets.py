"""The priming sets: their names, what each is derived from, and which demonstrations it is made of.

Reads and writes no files.
"""

from __future__ import annotations

from habits.pretraining_params import REWRITTEN as REWRITTEN
from habits.priming.teacher import RECIPES

PARENTS: dict[str, str] = {
    "negative_only": "backtracking_verification",
    "negative_only_give_up": "backtracking_verification",
    "empty_cot": "all_strategies",
    "length_matched_empty_cot": "all_strategies",
}
NEGATIVE = ("negative_only", "negative_only_give_up")
EMPTY = ("empty_cot", "length_matched_empty_cot")
SETS = (*RECIPES, "negative_control", *EMPTY, *NEGATIVE)  # those of a teacher; others are REWRITTEN

# With an LLM teacher: the sets that have instructions, and whose instructions each set of demonstrations has.
# Both negative sets pick what ended wrong from demonstrations of their parent's kind, of which it takes many.
INSTRUCTED = (*RECIPES, "negative_control")
INSTRUCTIONS = {**{name: name for name in INSTRUCTED}, "negative_only": "backtracking_verification"}
SYMBOLIC = "symbolic"


def demonstrations_for(priming: str) -> str:
    """The set of demonstrations (one of ``INSTRUCTIONS``) that a priming set is made from."""
    if priming in NEGATIVE:
        return "negative_only"
    return PARENTS.get(priming, priming)
