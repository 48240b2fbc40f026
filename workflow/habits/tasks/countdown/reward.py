"""The reward of Countdown: a pure function from a response to a verdict.

Only the response is read, never the prompt. What counts:

- The answer is read after the last ``</think>``. Without one the whole response is read and a right
  answer is still paid, as by the paper's reward, but the format is not ok.
- One ``<answer>...</answer>`` block, over one line or several, holds the answer. The same answer given
  again reads as one; two different answers are hedging and make the response unparsable.
- No complete block: ``truncated`` when the response was cut off, else ``no_answer``.
- The answer must be one expression of ``habits.tasks.countdown.expressions`` with a value: ``= 24``, a
  Unicode sign or digit, ``05``, a unary minus and a division by zero are all unparsable.
- Its numbers must be the problem's, each exactly once (else ``wrong_numbers``), and its exact rational
  value the target (else ``wrong_value``).
- ``format_ok`` means: exactly one ``</think>``, after it exactly one block, after that only white space.

Reads and writes no files; needs neither torch nor pandas.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from operator import index
from typing import Any, Literal

from habits.params import Reward
from habits.tasks.countdown.arithmetic import Problem
from habits.tasks.countdown.expressions import ExpressionError, parse, tokens
from habits.tasks.responses import ANSWER, ANSWER_END, MAX_BLOCKS, MAX_SHOWN, THINK_END, WHITE, answer_blocks

Reason = Literal["correct", "wrong_value", "wrong_numbers", "unparsable", "no_answer", "truncated"]

DATA_SOURCE = "countdown"
DEFAULT_REWARD = Reward.model_validate({})


@dataclass(frozen=True, slots=True)
class VerdictParts:
    """What the verdict rests on.

    Args:
        format_ok: one closed thought, one answer block after it, nothing behind.
        thought_closed: the response holds ``</think>``.
        answer: text of the answer block, stripped; None without one.
        value: its exact value, such as ``24`` or ``7/2``; None when it is not an expression.
        fault: why the answer is not an expression; None when it is one.
    """

    format_ok: bool
    thought_closed: bool
    answer: str | None = None
    value: str | None = None
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Outcome of grading one response: why, how much it is paid, and from what that follows."""

    reason: Reason
    score: float
    parts: VerdictParts


def grade(
    response: str, problem: Problem, *, stopped: bool = True, reward: Reward = DEFAULT_REWARD
) -> Verdict:
    """Grade a response to ``problem``.

    Args:
        response: the text after the prompt; may be anything at all.
        problem: the problem that the prompt showed.
        stopped: False when the response was cut off at its longest length.
        reward: what the outcomes are paid.
    """
    close = response.rfind(THINK_END)
    start = close + len(THINK_END) if close >= 0 else 0
    blocks = answer_blocks(response, start)
    if not blocks:
        return _without_answer(stopped, close >= 0, reward.malformed)
    format_ok = close >= 0 and len(blocks) == 1 and _is_tidy(response, close, blocks[0])
    answer = blocks[0].strip(WHITE)
    try:
        if len(blocks) > 1:
            _reject_hedging(blocks)
        expression = parse(answer)
    except ExpressionError as error:
        parts = VerdictParts(format_ok, close >= 0, answer[:MAX_SHOWN], None, str(error))
        return Verdict("unparsable", reward.malformed, parts)
    parts = VerdictParts(format_ok, close >= 0, answer, str(expression.value))
    if sorted(expression.numbers) != sorted(problem.numbers):
        return Verdict("wrong_numbers", reward.well_formed, parts)
    if expression.value != problem.target:
        return Verdict("wrong_value", reward.well_formed, parts)
    return Verdict("correct", reward.correct, parts)


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: Mapping[str, Any],
    extra_info: Mapping[str, Any] | None = None,
    **reward_kwargs: float,
) -> dict[str, float | str]:
    """The reward under verl's contract (``custom_reward_function``).

    Args:
        data_source: must be ``countdown``.
        solution_str: the decoded response, without the prompt.
        ground_truth: ``target`` and ``numbers`` as in the parquet (lists, arrays and NumPy integers alike).
        extra_info: ``stopped`` is read when there (False: the response was cut off).
        reward_kwargs: values of ``habits.params.Reward``, such as ``well_formed=0``.

    Returns:
        score (what is paid), acc (1.0 if correct), reason, format_ok (1.0 or 0.0).

    Raises:
        ValueError: another data source, or a ground truth without a usable target and numbers.
    """
    if data_source != DATA_SOURCE:
        raise ValueError(f"data_source is {data_source!r}; this reward grades {DATA_SOURCE!r} only")
    stopped = bool(extra_info.get("stopped", True)) if extra_info else True
    reward = _reward(tuple(reward_kwargs.items())) if reward_kwargs else DEFAULT_REWARD
    verdict = grade(solution_str, _problem(ground_truth), stopped=stopped, reward=reward)
    return {
        "score": verdict.score,
        "acc": 1.0 if verdict.reason == "correct" else 0.0,
        "reason": verdict.reason,
        "format_ok": 1.0 if verdict.parts.format_ok else 0.0,
    }


def _is_tidy(text: str, close: int, block: str) -> bool:
    """Whether the thought that ends at ``close`` is the only one, and its one block ends the text."""
    return (
        text.rstrip(WHITE).endswith(ANSWER_END)
        and text.count(ANSWER_END, close) == 1
        and ANSWER not in block
        and text.find(THINK_END, 0, close) < 0
    )


@lru_cache(maxsize=16)
def _without_answer(stopped: bool, thought_closed: bool, score: float) -> Verdict:
    return Verdict("no_answer" if stopped else "truncated", score, VerdictParts(False, thought_closed))


def _reject_hedging(blocks: list[str]) -> None:
    if len(blocks) > MAX_BLOCKS:
        raise ExpressionError(f"more than {MAX_BLOCKS} answers")
    first = tokens(blocks[0])
    if any(tokens(block) != first for block in blocks[1:]):
        raise ExpressionError("different answers are given")


def _problem(ground_truth: Mapping[str, Any]) -> Problem:
    try:
        numbers: Iterable[Any] = ground_truth["numbers"]
        return Problem(tuple(map(index, numbers)), index(ground_truth["target"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"ground_truth {ground_truth!r} needs an integer target and integer numbers"
        ) from error


@lru_cache(maxsize=16)
def _reward(settings: tuple[tuple[str, float], ...]) -> Reward:
    return Reward.model_validate(dict(settings))
