"""The reward of Social IQa: a pure function from a response to a verdict.

Two parts are added: the format is paid ``+format`` or ``-format``, the answer ``correct``, ``wrong`` or
``invalid`` (weights from params; DeepEnlighten's README and code differ, and both stand in ``REWARDS``). Only
the response is read, never the prompt, whose last word opened the thought. What counts:

- The answer is read after the last ``</think>``; without one there is none: ``truncated`` when the
  response was cut off, else ``no_answer``. Both are invalid.
- An ``<answer>...</answer>`` block holds one letter in parentheses, ``(B)`` or ``(b)``, alone or with the
  text of its option. Another letter than A, B, C, a letter without parentheses, or anything that could mean
  two options, also by two blocks that differ, is ``unparsable`` and invalid.
- ``format_ok`` means: a thought that says something, one ``</think>``, white space, one block, and then at
  most one end-of-text token. No tag stands twice, also not in the thought.

Reads and writes no files; needs neither torch nor pandas.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from habits.social_params import SOCIAL_REWARDS, SocialReward
from habits.tasks.responses import ANSWER, ANSWER_END, MAX_BLOCKS, MAX_SHOWN, THINK_END, WHITE, answer_blocks
from habits.tasks.social_iqa.problem import LETTERS, Problem

Reason = Literal["correct", "wrong_option", "unparsable", "no_answer", "truncated"]

DATA_SOURCES = ("social_iqa", "social_stories")
THINK = "<think>"
# Qwen's, ChatML's, Llama's two, and the older SentencePiece one; decoding usually drops them.
END_OF_TEXT = ("<|endoftext|>", "<|im_end|>", "<|eot_id|>", "<|end_of_text|>", "</s>")
CHOICE = re.compile(r"\(([A-Za-z])\)")
DEFAULT_REWARD = SOCIAL_REWARDS["code"]


@dataclass(frozen=True, slots=True)
class VerdictParts:
    """What the verdict rests on.

    Args:
        format_ok: one thought that is not empty, one answer block after it, nothing behind.
        thought_closed: the response holds ``</think>``.
        answer: text of the answer block, stripped; None without one.
        letter: the option that it names; None when it names none, or more than one.
        fault: why it names none; None when it names one.
    """

    format_ok: bool
    thought_closed: bool
    answer: str | None = None
    letter: str | None = None
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Outcome of grading one response: why, how much it is paid, and from what that follows."""

    reason: Reason
    score: float
    parts: VerdictParts


class ChoiceError(ValueError):
    """The answer does not name exactly one of the options; the message says why."""


def grade(
    response: str, problem: Problem, *, stopped: bool = True, reward: SocialReward = DEFAULT_REWARD
) -> Verdict:
    """Grade a response to ``problem``.

    Args:
        response: the text after the prompt's opened ``<think>``; may be anything at all.
        problem: the problem that the prompt showed.
        stopped: False when the response was cut off at its longest length.
        reward: what format and answer are paid.
    """
    close = response.rfind(THINK_END)
    blocks = answer_blocks(response, close + len(THINK_END)) if close >= 0 else []
    if not blocks:
        parts = VerdictParts(False, close >= 0)
        return _verdict("no_answer" if stopped else "truncated", parts, reward)
    format_ok = _is_tidy(response, close)
    answer = blocks[0].strip(WHITE)
    try:
        letter = _choice(blocks, problem)
    except ChoiceError as error:
        parts = VerdictParts(format_ok, True, answer[:MAX_SHOWN], None, str(error))
        return _verdict("unparsable", parts, reward)
    parts = VerdictParts(format_ok, True, answer[:MAX_SHOWN], letter)
    return _verdict("correct" if letter == problem.letter else "wrong_option", parts, reward)


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: Mapping[str, Any],
    extra_info: Mapping[str, Any] | None = None,
    **reward_kwargs: float,
) -> dict[str, float | str]:
    """The reward under verl's contract (``custom_reward_function``).

    Args:
        data_source: one of ``DATA_SOURCES``.
        solution_str: the decoded response, without the prompt.
        ground_truth: ``label`` (1 to 3, a number or text), ``answerA``, ``answerB``, ``answerC``.
        extra_info: ``stopped`` is read when there (False: the response was cut off).
        reward_kwargs: values of ``habits.social_params.SocialReward``, such as ``format=2``.

    Returns:
        score (what is paid), acc (1.0 if correct), reason, format_ok (1.0 or 0.0).

    Raises:
        ValueError: another data source, or a ground truth without a usable label and options.
    """
    if data_source not in DATA_SOURCES:
        raise ValueError(f"data_source is {data_source!r}; this reward grades {' and '.join(DATA_SOURCES)}")
    stopped = bool(extra_info.get("stopped", True)) if extra_info else True
    reward = _reward(tuple(reward_kwargs.items())) if reward_kwargs else DEFAULT_REWARD
    verdict = grade(solution_str, _problem(ground_truth), stopped=stopped, reward=reward)
    return {
        "score": verdict.score,
        "acc": 1.0 if verdict.reason == "correct" else 0.0,
        "reason": verdict.reason,
        "format_ok": 1.0 if verdict.parts.format_ok else 0.0,
    }


def answer_of_label(label: object) -> int:
    """Position 0 to 2 of a published label: 1, 2 or 3, as a number or as text with white space around it.

    Raises:
        ValueError: it is something else.
    """
    text = str(label).strip()
    if text not in ("1", "2", "3") or isinstance(label, bool):
        raise ValueError(f"label is {label!r}; it must be 1, 2 or 3")
    return int(text) - 1


def _verdict(reason: Reason, parts: VerdictParts, reward: SocialReward) -> Verdict:
    paid = {"correct": reward.correct, "wrong_option": reward.wrong}.get(reason, reward.invalid)
    return Verdict(reason, paid + (reward.format if parts.format_ok else -reward.format), parts)


def _is_tidy(text: str, close: int) -> bool:
    """Whether each tag stands once and in order, the thought says something, and nothing else is there."""
    if THINK in text or any(text.count(tag) != 1 for tag in (THINK_END, ANSWER, ANSWER_END)):
        return False
    opening, end = text.find(ANSWER), text.find(ANSWER_END)
    thought, between = text[:close], text[close + len(THINK_END) : opening]
    behind = text[end + len(ANSWER_END) :].strip(WHITE)
    says_something = any(character.isalnum() for character in thought)
    return says_something and not between.strip(WHITE) and behind in ("", *END_OF_TEXT)


def _choice(blocks: list[str], problem: Problem) -> str:
    """The letter that all blocks name."""
    if len(blocks) > MAX_BLOCKS:
        raise ChoiceError(f"more than {MAX_BLOCKS} answers")
    letters = {_letter(block.strip(WHITE), problem) for block in blocks}
    if len(letters) > 1:
        raise ChoiceError("different answers are given")
    return letters.pop()


def _letter(answer: str, problem: Problem) -> str:
    found = CHOICE.match(answer)
    if not found:
        raise ChoiceError("the answer does not begin with a letter in parentheses")
    letter, rest = found[1].upper(), answer[found.end() :]
    if letter not in LETTERS:
        raise ChoiceError(f"there is no option ({letter})")
    if _plain(rest) not in ("", _plain(problem.options[LETTERS.index(letter)])):
        raise ChoiceError("more stands behind the letter than the text of its option")
    return letter


def _plain(text: str) -> str:
    """Text without case, spacing, and punctuation at its ends."""
    return " ".join(text.lower().split()).strip(" .:,-")


def _problem(ground_truth: Mapping[str, Any]) -> Problem:
    try:
        a, b, c = (str(ground_truth[f"answer{letter}"]) for letter in LETTERS)
        return Problem("", "", "", (a, b, c), answer_of_label(ground_truth["label"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"ground_truth {ground_truth!r:.200} needs a label 1 to 3 and answerA, answerB, answerC"
        ) from error


@lru_cache(maxsize=16)
def _reward(settings: tuple[tuple[str, float], ...]) -> SocialReward:
    return SocialReward.model_validate(dict(settings))
