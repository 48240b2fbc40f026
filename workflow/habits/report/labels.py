"""Words the report shows for names that stand in paths and tables."""

from __future__ import annotations

from dataclasses import dataclass

from habits.figures.style import CONDITIONS
from habits.params import Params, RunId


@dataclass(frozen=True)
class BehaviorLabel:
    """A behavior as the reader sees it.

    Attributes:
        name: the name in tables.
        title: the name in prose.
        short: the tag printed behind a highlighted span.
        meaning: one line for the legend.
    """

    name: str
    title: str
    short: str
    meaning: str


BEHAVIORS = (
    BehaviorLabel("verification", "verification", "verify", "a result is checked against the target"),
    BehaviorLabel("backtracking", "backtracking", "back", "a failed path is given up for another one"),
    BehaviorLabel("subgoal_setting", "subgoal setting", "subgoal", "a number to reach first is named"),
    BehaviorLabel(
        "backward_chaining", "backward chaining", "backward", "a step is worked back from the target"
    ),
)
BEHAVIOR_NAMES = tuple(behavior.name for behavior in BEHAVIORS)

REASONS = {
    "correct": "correct",
    "wrong_value": "wrong value",
    "wrong_numbers": "wrong numbers",
    "unparsable": "unparsable",
    "no_answer": "no answer",
    "truncated": "truncated",
    "not_graded": "not graded",
}

# Of other tasks, in the rollout browser.
OTHER_REASONS = {"wrong_option": "wrong option", "timed_out": "timed out"}
TASKS = {"social_iqa": "Social IQa"}

# What became of a reply of an LLM teacher (habits.priming.demonstrations).
STATUSES = {
    "ok": "usable",
    "duplicate": "repeated",
    "too_long": "too long",
    "foreign_words": "foreign words",
    "unparsable": "unparsable",
    "malformed": "malformed",
    "truncated": "truncated",
    "refused": "refused",
    "error": "no reply",
}

ALGORITHMS = {"ppo": "PPO", "grpo": "GRPO", "reinforce_plus_plus": "REINFORCE++"}
METRICS = {
    "n_tokens": "response tokens",
    "format_ok": "well-formed answers",
    "truncated": "truncated responses",
}


AGREEMENT = {
    "weighted_kappa": "weighted kappa",
    "precision": "precision",
    "recall": "recall",
    "correlation": "correlation",
    "bias": "mean difference",
}


def words(name: str) -> str:
    """A name from a path as words: ``negative_only`` becomes ``negative only``."""
    return name.replace("_", " ")


def algorithm_name(name: str) -> str:
    """An RL algorithm as papers write it."""
    return ALGORITHMS.get(name, words(name))


def metric_name(name: str) -> str:
    """A metric of the evaluation in words."""
    return METRICS.get(name, words(name))


def priming_name(name: str) -> str:
    """A priming set as the figures call it."""
    return CONDITIONS[name].label


def condition_name(model: str, priming: str) -> str:
    """A model and its priming in words."""
    return f"{words(model)} base, {priming_name(priming)}"


def condition(run: RunId, params: Params) -> str:
    """The condition of a run in words, without its seed: model, priming, and what differs from ``rl``."""
    variant = run.algorithm.removeprefix(params.rl.algorithm).removeprefix("_")
    return condition_name(run.model, run.priming) + (f" ({words(variant)})" if variant else "")
