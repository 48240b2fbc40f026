"""Countdown's vocabulary: a problem, a step, the moves from a state, and the expression of some steps.

A *state* is the tuple of values still on the table. A step takes two of them and puts one back; a
problem is solved when one value is left and it is the target. Everything here works on positive
integers, as the traces do; rationals are the solver's business. Reads and writes no files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Literal

Operation = Literal["+", "-", "*", "/"]


@dataclass(frozen=True)
class Problem:
    """Reach ``target`` with + - * / from ``numbers``, each used exactly once.

    ``numbers`` stand in the order in which the prompt shows them; ``key`` does not depend on it.
    """

    numbers: tuple[int, ...]
    target: int

    @cached_property
    def key(self) -> str:
        """Canonical name, the same for every order of the numbers: ``3-7-14=21``."""
        return f"{'-'.join(map(str, sorted(self.numbers)))}={self.target}"


@dataclass(frozen=True, slots=True)
class Step:
    """One operation on two values: ``left op right = result``, all positive integers."""

    left: int
    op: Operation
    right: int
    result: int

    @property
    def text(self) -> str:
        """The step in tokens separated by single spaces: ``14 - 7 = 7``."""
        return f"{self.left} {self.op} {self.right} = {self.result}"


@dataclass(frozen=True, slots=True)
class Move:
    """A step together with the state it leads to: ``rest``, sorted, holds the step's result."""

    step: Step
    rest: tuple[int, ...]


def moves(values: tuple[int, ...], max_result: int | None = None) -> list[Move]:
    """Every integer step from a state, without duplicates, the larger operand first.

    Results are positive integers up to ``max_result``: differences larger minus smaller, exact
    quotients only. ``a + b`` and ``b + a`` are one step, and so are steps on equal values.
    """
    pairs = sorted(set(combinations(sorted(values, reverse=True), 2)))
    return [
        Move(step, _after(values, step))
        for left, right in pairs
        for step in _steps(left, right)
        if max_result is None or step.result <= max_result
    ]


def expression_of(steps: Sequence[Step]) -> str:
    """The single expression that ``steps`` compute, in tokens: ``( 14 - 7 ) * 3``.

    An operand that equals the result of an earlier, still unused step is that result, so the numbers
    used are the same whichever of two equal values was meant.

    Raises:
        ValueError: there is no step, or the steps leave more than one value.
    """
    if not steps:
        raise ValueError("no steps: there is nothing to write as an expression")
    unused: dict[int, list[str]] = {}
    text = ""
    for step in steps:
        left, right = (_operand(value, unused) for value in (step.left, step.right))
        text = f"{left} {step.op} {right}"
        unused.setdefault(step.result, []).append(f"( {text} )")
    if sum(map(len, unused.values())) != 1:
        raise ValueError(f"steps leave more than one value: {' ; '.join(step.text for step in steps)}")
    return text


def _operand(value: int, unused: dict[int, list[str]]) -> str:
    return unused[value].pop(0) if unused.get(value) else str(value)


def _steps(left: int, right: int) -> list[Step]:
    """Steps on two values, ``left >= right``."""
    steps = [Step(left, "+", right, left + right)]
    if left > right:
        steps.append(Step(left, "-", right, left - right))
    steps.append(Step(left, "*", right, left * right))
    if left % right == 0:
        steps.append(Step(left, "/", right, left // right))
    return steps


def _after(values: tuple[int, ...], step: Step) -> tuple[int, ...]:
    rest = list(values)
    rest.remove(step.left)
    rest.remove(step.right)
    return tuple(sorted([*rest, step.result]))
