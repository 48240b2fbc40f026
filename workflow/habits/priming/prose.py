"""Traces of the symbolic teacher in English, for models that have read English: template ``paper_base``.

A trace in the trace language is read word by word and written again as short sentences; behaviors keep
their spans. Nothing is added that the oracle would count: a set without verification says of no result that
it is or is not the target. Reads and writes no files.
"""

from __future__ import annotations

import re
from random import Random

from habits.priming.language import THINK_END, Behavior, PlantedSpan, Trace

STEP = r"(\d+) ([-+*/]) (\d+) = (\d+)"
CLAUSE = re.compile(
    rf"need {STEP}|goal (\d+)|check (\d+) (yes|no)|(no)(?= |$)|(back)|(restart)|({STEP})|(;)|(\.(?: \.)*)"
)
TOKEN = re.compile(r"</?\w+>|[A-Za-z']+|\d+|[^\w\s]")
GOAL = ("First I want to make {0}.", "My first goal is {0}.", "Let's get to {0} first.")
NEED = ("Working backwards from {0}: {0} {1} {2} = {3}, so I need {3}.",)
HIT = ("That is the target, {0}.", "This reaches the target {0}.")
MISS = ("That is not {0}.", "This is not equal to {0}.")
BACK = ("Let me go back one step.", "I go back one step.")
RESTART = ("Let me start over with {0}.", "I go back to the given numbers {0}.")
STEPS = ("{0}.", "Then {0}.", "Next, {0}.")
FIRST = ("Take {0}.", "I compute {0}.", "{0}.")


def in_prose(trace: Trace) -> Trace:
    """``trace`` in English, with the same behaviors at their new places.

    Raises:
        ValueError: the thought holds words that are not of the trace language.
    """
    writer = _Writer(trace)
    position = 0
    thought = trace.thought
    while position < len(thought):
        match = CLAUSE.match(thought, position)
        if match is None:
            raise ValueError(f"not in the trace language: {thought[position : position + 40]!r}")
        writer.clause(match)
        position = match.end() + 1
    answer = trace.response.partition(f"{THINK_END} ")[2]
    response = f"{writer.text} {THINK_END}\n{answer}"
    return Trace(trace.problem, response, trace.stop_reason, tuple(writer.spans))


def count_words(text: str) -> int:
    """Words, numbers and signs of an English text: about its tokens, whichever the tokenizer."""
    return len(TOKEN.findall(text))


class _Writer:
    """The English text as it grows; words are chosen by a generator that the trace itself seeds."""

    def __init__(self, trace: Trace) -> None:
        self.rng = Random(trace.response)
        self.numbers = ", ".join(map(str, trace.problem.numbers))
        self.text = ""
        self.spans: list[PlantedSpan] = []
        self.fresh = True  # the next step begins an attempt

    def clause(self, match: re.Match[str]) -> None:
        """Write one clause of the trace language."""
        groups = match.groups()
        if groups[0]:
            self._say(NEED, *groups[:4], behavior="backward_chaining")
        elif groups[4]:
            self._say(GOAL, groups[4], behavior="subgoal_setting")
        elif groups[5]:
            self._say(HIT if groups[6] == "yes" else MISS, groups[5], behavior="verification")
        elif groups[8]:
            self._say(BACK, behavior="backtracking")
        elif groups[9]:
            self._say(RESTART, self.numbers, behavior="backtracking")
            self.fresh = True
        elif groups[10]:
            self._say(FIRST if self.fresh else STEPS, groups[10])
            self.fresh = False
        elif match.group().startswith("."):
            self._say((match.group(),))

    def _say(self, phrases: tuple[str, ...], *words: str, behavior: Behavior | None = None) -> None:
        self.text += " "
        start = len(self.text)
        self.text += self.rng.choice(phrases).format(*words)
        if behavior is not None:
            self.spans.append(PlantedSpan(behavior, start, len(self.text)))
