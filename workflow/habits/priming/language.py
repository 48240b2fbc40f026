"""The trace language: the names of the behaviors, traces, and the draft that a teacher writes word by word.

A trace is words joined by single spaces. Behaviors have fixed forms: ``check T yes|no`` (verification),
``back`` and ``restart`` after a ``no`` (backtracking), ``goal r`` (subgoal setting), ``need T op c = r``
(backward chaining). Spans are noted while the words are written, never searched for afterwards.
Reads and writes no files.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

from habits.models.vocabulary import BOS, EOS, PAD, WORDS
from habits.tasks.countdown import Problem

Behavior = Literal["verification", "backtracking", "subgoal_setting", "backward_chaining"]
BEHAVIORS: tuple[Behavior, ...] = ("verification", "backtracking", "subgoal_setting", "backward_chaining")
StopReason = Literal["found", "gave_up", "slip", "direct"]
THINK_END = "</think>"
REPLY_WORDS = frozenset(WORDS) - {PAD, BOS, EOS, "nums", "target", "<think>"}  # what a response may hold


@dataclass(frozen=True, slots=True)
class PlantedSpan:
    """Where a behavior stands: character offsets into the response, end exclusive."""

    behavior: Behavior
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Trace:
    """A written response to ``problem`` (its numbers in prompt order) with what was planted in it.

    ``spans`` is None for a trace of a teacher that does not say what it planted.
    """

    problem: Problem
    response: str
    stop_reason: StopReason
    spans: tuple[PlantedSpan, ...] | None = ()

    @property
    def thought(self) -> str:
        """The text before ``</think>``, without the space in front of it."""
        return self.response.partition(THINK_END)[0].rstrip(" ")

    @property
    def planted(self) -> dict[Behavior, int] | None:
        """Planted count of every behavior, in the order of ``BEHAVIORS``; None where nobody knows."""
        if self.spans is None:
            return None
        counts = Counter(span.behavior for span in self.spans)
        return {behavior: counts[behavior] for behavior in BEHAVIORS}


def response_of(thought: str, expression: str) -> str:
    """The response with a thought (may be empty) and an answer, single spaces throughout."""
    answer = f"{THINK_END} <answer> {expression} </answer>"
    return f"{thought} {answer}" if thought else answer


def answer_tokens(numbers: int) -> int:
    """Tokens of ``</think> <answer> ... </answer>`` for an expression over so many numbers, at most."""
    return 3 + max(4 * numbers - 5, 1)


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a draft to which it can be cut back."""

    words: int
    length: int
    spans: int


class Draft:
    """A thought that grows word by word and knows the character span of each behavior in it."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.length = 0
        self.spans: list[PlantedSpan] = []

    def __len__(self) -> int:
        return len(self.words)

    def say(self, *words: str) -> None:
        """Append words."""
        for word in words:
            self.length += len(word) + bool(self.words)
            self.words.append(word)

    def show(self, behavior: Behavior, *words: str) -> None:
        """Append the words of one instance of a behavior."""
        start = self.length + bool(self.words)
        self.say(*words)
        self.spans.append(PlantedSpan(behavior, start, self.length))

    def backtrack(self, word: Literal["back", "restart"]) -> None:
        """Name the failure, unless a check just did, and go back one step or to the given numbers."""
        if self.words[-1] != "no":
            self.say("no")
        self.show("backtracking", word)

    def mark(self) -> Mark:
        """This place, for ``cut``."""
        return Mark(len(self.words), self.length, len(self.spans))

    def cut(self, mark: Mark) -> None:
        """Take back everything written after ``mark``."""
        del self.words[mark.words :], self.spans[mark.spans :]
        self.length = mark.length

    @property
    def text(self) -> str:
        """The words, joined by single spaces."""
        return " ".join(self.words)
