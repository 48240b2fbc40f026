"""What a reply of an LLM teacher is worth as a trace. Reads and writes no files.

A reply is text from elsewhere: it is graded by the package's own parser, and nothing in it is executed.
What cannot become a trace is a value with its reason, never an exception.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

from habits.llm.requests import Answer
from habits.priming.language import REPLY_WORDS, THINK_END, StopReason
from habits.priming.prose import count_words
from habits.tasks.countdown import Problem, Reason, Verdict, grade

Status = Literal[
    "ok", "duplicate", "too_long", "foreign_words", "unparsable", "malformed", "truncated", "refused", "error"
]
STATUSES: tuple[Status, ...] = get_args(Status)
THINK = "<think>"
MAX_FOREIGN, MAX_WORD = 20, 40  # words outside the language that are kept, and characters of one
_STATED = re.compile(r"= ?([0-9]{1,9})(?![0-9.])")


@dataclass(frozen=True, slots=True)
class Demonstration:
    """A reply as a response to its problem.

    Args:
        status: ``ok``, or the first reason for which it cannot be a trace.
        reason: more about that, for a reader.
        response: the text from inside the opened thought on; None without a reply.
        verdict: of the reward; None without a reply.
        ending: ``found``: right; ``slip``: wrong, though its last equation states the target; ``gave_up``:
            wrong, and it does not claim more; None where no answer can be read.
        n_tokens: of the models' tokenizer, in English about (see `prose.count_words`); None without a reply.
        foreign_words: those that the tiny models do not know.
    """

    status: Status
    reason: str = ""
    response: str | None = None
    verdict: Reason | None = None
    ending: StopReason | None = None
    n_tokens: int | None = None
    foreign_words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Fault:
    status: Status
    reason: str = ""


def read_answer(answer: Answer, problem: Problem, template: str, longest: int) -> Demonstration:
    """The demonstration that an answer holds.

    Args:
        answer: of the teacher.
        problem: that the request posed.
        template: name of the prompt template. ``short``: the trace language, where only words count.
        longest: tokens that a response in the trace language may have.
    """
    if answer.reply is None:
        return Demonstration("error", answer.reason)
    if answer.status == "refused":
        return Demonstration("refused", answer.reply.text)
    text = answer.reply.text.strip()
    response = text.removeprefix(THINK)
    words = response.split() if template == "short" else []
    if template == "short":
        response = " ".join(words)
    verdict = grade(response, problem, stopped=answer.reply.stop_reason != "max_tokens")
    foreign = tuple(sorted({word[:MAX_WORD] for word in words} - REPLY_WORDS))[:MAX_FOREIGN]
    fault = _cut_off(answer) or _misshapen(text, verdict) or _unspeakable(foreign, len(words), longest)
    return Demonstration(
        status=fault.status if fault else "ok",
        reason=fault.reason if fault else "",
        response=response,
        verdict=verdict.reason,
        ending=_ending(response, verdict, problem),
        n_tokens=len(words) if template == "short" else count_words(response),
        foreign_words=foreign,
    )


def _cut_off(answer: Answer) -> _Fault | None:
    cut = answer.reply is not None and answer.reply.stop_reason == "max_tokens"
    return _Fault("truncated", f"after {answer.request.max_tokens} tokens") if cut else None


def _misshapen(text: str, verdict: Verdict) -> _Fault | None:
    if not text.startswith(THINK) or not verdict.parts.format_ok:
        return _Fault("malformed", "is not one thought and one answer")
    return _Fault("unparsable", verdict.parts.fault or "") if verdict.reason == "unparsable" else None


def _unspeakable(foreign: tuple[str, ...], n_words: int, longest: int) -> _Fault | None:
    if foreign:
        return _Fault("foreign_words", " ".join(foreign))
    if n_words > longest:
        return _Fault("too_long", f"{n_words} tokens")
    return None


def _ending(response: str, verdict: Verdict, problem: Problem) -> StopReason | None:
    if verdict.reason == "correct":
        return "found"
    if verdict.reason not in ("wrong_value", "wrong_numbers"):
        return None
    stated = _STATED.findall(response.partition(THINK_END)[0])
    return "slip" if stated and int(stated[-1]) == problem.target else "gave_up"
