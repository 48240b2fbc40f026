"""The workbench: which values are on the table along the path of steps that a text is on.

Steps are taken as the text states them, right or wrong. A step whose operands are no longer on the
table but were there earlier on the path tells that the text went back. Reads and writes no files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# Real paths have at most five steps and six values; longer ones are garbage and only their end is kept.
MAX_STEPS = 16
MAX_VALUES = 12


@dataclass(frozen=True, slots=True)
class Stated:
    """A step as a text states it: operands (two or more) and the result."""

    operands: tuple[int, ...]
    result: int


class Bench:
    """The path of states from the given numbers to the present one; ``path[-1]`` is now."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self.path: list[list[int]] = [list(numbers)]  # one longer than ``steps``
        self.steps: list[Stated] = []

    @property
    def values(self) -> list[int]:
        """The values on the table now."""
        return self.path[-1]

    def finished(self, target: int) -> bool:
        """Whether all numbers are used and the one value left is the target."""
        return self.values == [target] and len(self.path) > 1

    def depth_of(self, operands: Sequence[int]) -> int | None:
        """Index on the path of the latest state that holds all ``operands``; None when none does."""
        for depth in range(len(self.path) - 1, -1, -1):
            if _without(self.path[depth], operands) is not None:
                return depth
        return None

    def restates(self, step: Stated) -> bool:
        """Whether the path already holds this step, or sums up to it from the given numbers."""
        if any(known.result == step.result and _same(known.operands, step.operands) for known in self.steps):
            return True
        rest = _without(self.path[0], step.operands)
        return rest is not None and len(self.path) > 2 and _same([*rest, step.result], self.values)

    def do(self, step: Stated, depth: int | None = None) -> None:
        """Go back to the state at ``depth`` (None: stay) and do the step there.

        Operands that are not on the table are taken to come from something the text did unseen.
        """
        if depth is not None:
            self.undo(len(self.path) - 1 - depth)
        rest = list(self.values)
        for operand in step.operands:
            if operand in rest:
                rest.remove(operand)
        rest.append(step.result)
        self.path.append(rest[-MAX_VALUES:])
        self.steps.append(step)
        if len(self.steps) > MAX_STEPS:
            del self.steps[0], self.path[1]

    def undo(self, steps: int = 1) -> None:
        """Take back the last steps, as far as there are any."""
        keep = max(len(self.steps) - steps, 0)
        del self.steps[keep:], self.path[keep + 1 :]

    def restart(self) -> None:
        """Back to the given numbers."""
        self.undo(len(self.steps))


def _without(values: Sequence[int], taken: Sequence[int]) -> list[int] | None:
    rest = list(values)
    for value in taken:
        if value not in rest:
            return None
        rest.remove(value)
    return rest


def _same(left: Sequence[int], right: Sequence[int]) -> bool:
    return sorted(left) == sorted(right)
