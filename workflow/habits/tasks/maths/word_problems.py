"""Arithmetic word problems in the words of the tiny models: a start, one to three changes, a question.

``ann has 12 pens . ann buys 5 more . ben has 7 pens . how many pens has ann ?`` What other people have does
not matter. All values are integers from 0 to 100. A problem is named by its numbers and changes, whatever the
names and things, so that no evaluation problem is in a training corpus in other clothes. No files.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from habits.tasks.maths.problem import Problem

LARGEST = 100
NAMES = ("ann", "ben", "eva", "leo", "mia", "tom")
THINGS = ("pens", "books", "cards", "coins", "eggs", "stamps")
GAINS, LOSSES = ("buys", "finds", "wins"), ("loses", "sells", "drops")
TEXTS = {
    "+": "{who} {verb} {n} more .",
    "-": "{who} {verb} {n} .",
    "*": "{who} now has {n} times as many as before .",
}
WORDS = (
    *(*NAMES, *THINGS, *GAINS, *LOSSES),
    *("problem", "has", "more", "now", "before", "times", "as", "how", "many", "?"),
)
PROMPT = "problem {question} <think>"


@dataclass(frozen=True)
class Change:
    """One change of how many there are: an operation and a number."""

    op: str
    n: int

    def apply(self, value: int) -> int:
        """How many there are afterwards."""
        return {"+": value + self.n, "-": value - self.n, "*": value * self.n}[self.op]


@dataclass(frozen=True)
class WordProblem:
    """A composed problem: what was asked, and the steps that answer it."""

    start: int
    changes: tuple[Change, ...]
    question: str

    @property
    def key(self) -> str:
        """Its name, without the words: ``12+5-3``."""
        return f"{self.start}" + "".join(f"{change.op}{change.n}" for change in self.changes)

    @property
    def answer(self) -> int:
        """How many there are in the end."""
        return self._values[-1]

    @property
    def problem(self) -> Problem:
        """What is asked, and the right answer."""
        return Problem(f"words-{self.key}", self.question, str(self.answer), "short")

    @property
    def solution(self) -> str:
        """A response that works it out step by step: what a model that knows how would write."""
        values = self._values
        steps = [
            f"{before} {change.op} {change.n} = {after}"
            for before, change, after in zip(values, self.changes, values[1:], strict=False)
        ]
        return f"{' ; '.join(steps)} </think> <answer> {self.answer} </answer>"

    @property
    def _values(self) -> list[int]:
        values = [self.start]
        for change in self.changes:
            values.append(change.apply(values[-1]))
        return values


def compose(rng: random.Random) -> WordProblem:
    """A random problem of one to three changes, with what another person has in half of the cases."""
    who, other = rng.sample(NAMES, 2)
    thing = rng.choice(THINGS)
    start = value = rng.randint(2, 40)
    changes: list[Change] = []
    for _ in range(rng.randint(1, 3)):
        changes.append(_change(rng, value))
        value = changes[-1].apply(value)
    sentences = [f"{who} has {start} {thing} ."]
    for change in changes:
        verb = rng.choice(GAINS if change.op == "+" else LOSSES)
        sentences.append(TEXTS[change.op].format(who=who, verb=verb, n=change.n))
    if rng.random() < 0.5:
        sentences.insert(rng.randint(0, len(sentences)), f"{other} has {rng.randint(2, 40)} {thing} .")
    return WordProblem(start, tuple(changes), f"{' '.join(sentences)} how many {thing} has {who} ?")


def sample(count: int, seed: int) -> list[WordProblem]:
    """``count`` problems with different keys; the same seed gives the same ones."""
    rng = random.Random(f"word_problems:{seed}")
    found: dict[str, WordProblem] = {}
    while len(found) < count:
        problem = compose(rng)
        found.setdefault(problem.key, problem)
    return list(found.values())


def _change(rng: random.Random, value: int) -> Change:
    """A change that keeps the value between 0 and `LARGEST`."""
    ops = ["+"] * (value < LARGEST) + ["-"] * (value > 1) + ["*"] * (1 < value <= LARGEST // 2)
    match rng.choice(ops):
        case "+":
            return Change("+", rng.randint(1, min(40, LARGEST - value)))
        case "-":
            return Change("-", rng.randint(1, min(40, value - 1)))
        case _:
            return Change("*", rng.randint(2, min(5, LARGEST // value)))
