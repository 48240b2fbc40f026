"""Control sets: right answers without the behaviors.

``negative_control`` shows a direct solution, step by step. ``empty_cot`` has an empty thought.
``length_matched_empty_cot`` has a thought of dots, as many tokens long as the thought of its parent,
the all_strategies trace on the same problem. Reads and writes no files.
"""

from __future__ import annotations

from random import Random

from habits.models.vocabulary import WORDS
from habits.priming.language import Trace, response_of
from habits.tasks.countdown import Problem, Solution, solutions

DOT = "."
KNOWN_WORDS = frozenset(WORDS)
SOLUTIONS = 256  # solutions to choose from at most; six numbers can have tens of thousands


class ControlError(ValueError):
    """A control can't be what its name says; the message says which check failed."""


def count_tokens(text: str) -> int:
    """Tokens of ``text`` under the tiny models' tokenizer, which has one token a known word.

    Raises:
        ControlError: a word is not in the vocabulary, so the tokenizer would not see it as it is.
    """
    words = text.split()
    unknown = sorted(set(words) - KNOWN_WORDS)
    if unknown:
        raise ControlError(
            f"words outside the tiny vocabulary: {unknown[:5]}; numbers go up to 100, "
            "so set countdown.max_intermediate in params.yaml to 100 or less"
        )
    return len(words)


def direct_solution(rng: Random, problem: Problem, max_result: int | None) -> Trace:
    """A right solution as bare steps (the paper's negative control)."""
    solution = _any_solution(rng, problem, max_result)
    thought = " ; ".join(step.text for step in solution.steps)
    return Trace(problem, response_of(thought, solution.expression), "direct")


def empty_thought(rng: Random, problem: Problem, max_result: int | None) -> Trace:
    """A right answer with nothing before it."""
    return Trace(problem, response_of("", _any_solution(rng, problem, max_result).expression), "direct")


def dotted_thought(rng: Random, parent: Trace, length: int, max_result: int | None) -> Trace:
    """A right answer after a thought of ``length`` dots, the tokens of the parent's thought.

    Raises:
        ControlError: the two thoughts differ in tokens.
    """
    solution = _any_solution(rng, parent.problem, max_result)
    trace = Trace(parent.problem, response_of(" ".join([DOT] * length), solution.expression), "direct")
    if count_tokens(trace.thought) != length:
        raise ControlError(
            f"length-matched thought has {count_tokens(trace.thought)} tokens, its parent {length}"
        )
    return trace


def _any_solution(rng: Random, problem: Problem, max_result: int | None) -> Solution:
    known = solutions(problem, integer_only=True, max_intermediate=max_result, limit=SOLUTIONS)
    if not known:
        raise ControlError(
            f"problem {problem.key} has no integer solution with results up to {max_result}; "
            "priming needs countdown.integer_only: true in params.yaml"
        )
    return rng.choice(known)
