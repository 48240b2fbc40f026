"""Grading of a maths response: the final answer against the published one.

Exact rules decide what they can: equal text, and numbers as exact fractions. Only what they cannot read goes
to math-verify. Nothing of a response is evaluated. A response without an answer, or with one that cannot be
read or compared in time, has a reason of its own, so that these rates stand beside the accuracy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from habits.tasks.maths.answers import ASKED, Form, extract
from habits.tasks.maths.numbers import parse_number, same
from habits.tasks.maths.problem import Problem
from habits.tasks.maths.verifier import Comparison

Reason = Literal["correct", "wrong_value", "unparsable", "timed_out", "no_answer", "truncated"]


class Comparer(Protocol):
    """What `Verifier` does."""

    def compare(self, gold: str, answer: str) -> Comparison:
        """Whether two answers in LaTeX are equal."""


@dataclass(frozen=True, slots=True)
class VerdictParts:
    """What the verdict rests on.

    Args:
        format_ok: the answer was given in a form that prompts ask for (not merely as the last number).
        answer: its text, or None.
        form: how it was given, or None.
    """

    format_ok: bool
    answer: str | None = None
    form: Form | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Outcome of grading one response: why, how much it is paid (1 or 0), and from what that follows."""

    reason: Reason
    score: float
    parts: VerdictParts


def grade(response: str, problem: Problem, verifier: Comparer, *, stopped: bool = True) -> Verdict:
    """Grade a response; ``stopped`` is False when it was cut off.

    A response that was cut off is ``truncated`` unless it gave its answer in an asked form before: the last
    number of half a thought is no answer.
    """
    answer = extract(response)
    if answer is None or (not stopped and answer.form not in ASKED):
        return Verdict("no_answer" if stopped else "truncated", 0.0, VerdictParts(False))
    reason = compare(problem.gold, answer.text, verifier)
    parts = VerdictParts(answer.form in ASKED, answer.text, answer.form)
    return Verdict(reason, 1.0 if reason == "correct" else 0.0, parts)


def compare(gold: str, answer: str, verifier: Comparer) -> Reason:
    """Whether an answer's text is the gold one, by exact rules first."""
    if _plain(gold) == _plain(answer):
        return "correct"
    numbers = parse_number(gold), parse_number(answer)
    if numbers[0] is not None and numbers[1] is not None:
        return "correct" if same(*numbers) else "wrong_value"  # type: ignore[arg-type]
    found = verifier.compare(_latex(gold), _latex(answer))
    if found == "equal":
        return "correct"
    return "wrong_value" if found == "different" else found


def cut_at(response: str, stops: Sequence[str]) -> str:
    """A response up to the first of ``stops``: after a worked prompt, models go on with the next question."""
    places = [place for stop in stops if (place := response.find(stop)) >= 0]
    return response[: min(places)] if places else response


def _plain(text: str) -> str:
    return "".join(text.split()).replace("\\!", "").replace("\\,", "").replace("dfrac", "frac").lower()


def _latex(text: str) -> str:
    """A plain number of the gold answer as LaTeX reads it: without separators of thousands."""
    number = parse_number(text)
    return text if number is None or number.percent else str(number.value)
