"""What a set of numbers can make: exact sets of values, and a quick answer to "does it reach the target?".

Values are positive integers (``integer_only``) or non-negative rationals. Negative values in between are
left out because they add nothing: turning ``a - b`` around and moving the sign outward gives an
expression of the same value without them. So without ``integer_only`` a positive target is reachable
exactly when the reward can pay an answer.

All work is on multisets, as sorted tuples: one is split in two in all ways, and the values of both parts
are combined. Values of sub-multisets are kept, because neighbors in a stream of problems share them.
Reads and writes no files.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

Value = int | Fraction
Multiset = tuple[int, ...]  # sorted
KEPT = 250_000  # multisets whose values are kept: all pairs and triples of 1..99 fit


@dataclass(frozen=True)
class Rules:
    """Which intermediate values are allowed.

    Args:
        integer_only: positive integers alone, as in the original; else any non-negative rational.
        max_intermediate: no step makes more than this; None: no limit.
    """

    integer_only: bool = True
    max_intermediate: int | None = None


@dataclass(frozen=True, slots=True)
class Split:
    """One way to part a multiset in two; ``part`` is not larger than ``rest``."""

    part: Multiset
    rest: Multiset


def splits(numbers: Multiset) -> list[Split]:
    """All ways to part ``numbers`` in two, without regard to order; equal ones once."""
    found = [
        Split(tuple([numbers[i] for i in part]), tuple([numbers[i] for i in rest]))
        for part, rest in _index_splits(len(numbers))
    ]
    return found if len(set(numbers)) == len(numbers) else list(dict.fromkeys(found))


class Reachable:
    """Sets of values under one set of rules, with a memory of sub-multisets."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self._candidates = _integer_candidates if rules.integer_only else _rational_candidates
        self._known: dict[Multiset, frozenset[Value]] = {}

    def values(self, numbers: Multiset) -> frozenset[Value]:
        """Everything that all of ``numbers`` (sorted) can make; remembered."""
        known = self._known.get(numbers)
        if known is None:
            if len(self._known) >= KEPT:
                self._known.clear()
            known = self._known[numbers] = frozenset(self._make(numbers))
        return known

    def targets(self, numbers: Multiset, low: int, high: int) -> list[int]:
        """The integers in ``low..high`` that all of ``numbers`` (sorted) can make, ascending."""
        made = self._make(numbers)
        return sorted(int(value) for value in made if low <= value <= high and value.denominator == 1)

    def reaches(self, numbers: Multiset, target: int) -> bool:
        """Whether all of ``numbers`` (sorted) can make ``target``, a positive integer.

        Goes one step backward from the target, so that the values of ``numbers`` as a whole, by far the
        largest set, are never made.
        """
        limit = self.rules.max_intermediate
        if len(numbers) == 1 or target < 1 or (limit is not None and target > limit):
            return numbers == (target,)
        for split in splits(numbers):
            rest = self.values(split.rest)
            for value in self.values(split.part):
                if not rest.isdisjoint(self._candidates(value, target)):
                    return True
        return False

    def partners(self, value: Value, target: Value, rest: frozenset[Value]) -> frozenset[Value]:
        """Those of ``rest`` that make ``target`` together with ``value`` in one step."""
        if not value and not target:
            return rest  # 0 times or divided by anything
        return rest.intersection(self._candidates(value, target))

    def _make(self, numbers: Multiset) -> set[Value]:
        if len(numbers) == 1:
            return set(numbers)
        add = _add_integers if self.rules.integer_only else _add_rationals
        made: set[Value] = set()
        for split in splits(numbers):
            rest = self.values(split.rest)
            for value in self.values(split.part):
                add(made, value, rest)
        limit = self.rules.max_intermediate
        return made if limit is None else {value for value in made if value <= limit}


def _add_integers(made: set[Value], a: Value, partners: frozenset[Value]) -> None:
    """Add what one step makes of ``a`` and each partner, positive integers only. The inner loop: inline."""
    for b in partners:
        made.add(a + b)
        made.add(a * b)
        if a > b:
            made.add(a - b)
            if not a % b:
                made.add(a // b)
        elif a < b:
            made.add(b - a)
            if not b % a:
                made.add(b // a)
        else:
            made.add(1)


def _add_rationals(made: set[Value], a: Value, partners: frozenset[Value]) -> None:
    """Add what one step makes of ``a`` and each partner, differences by size only."""
    for b in partners:
        made.add(a + b)
        made.add(a * b)
        made.add(a - b if a > b else b - a)
        if b:
            made.add(Fraction(a) / b)
        if a:
            made.add(Fraction(b) / a)


def _integer_candidates(a: Value, target: Value) -> list[Value]:
    """Every positive integer that makes ``target`` with ``a`` in one step, and some that no set holds."""
    candidates = [target - a, a - target, target + a, target * a]
    if not target % a:
        candidates.append(target // a)
    if not a % target:
        candidates.append(a // target)
    return candidates


def _rational_candidates(a: Value, target: Value) -> list[Value]:
    """Every non-negative rational that makes ``target`` with ``a`` in one step; not both are 0."""
    if not a:
        return [target]
    if not target:
        return [a, 0]
    return [target - a, a - target, target + a, target * a, Fraction(target) / a, Fraction(a) / target]


@lru_cache(maxsize=16)
def _index_splits(size: int) -> list[tuple[list[int], list[int]]]:
    """Positions of both parts, for each way to part ``size`` things in two."""
    found = []
    for mask in range(1, 2 ** (size - 1)):  # the last position stays in the second part
        part = [i for i in range(size) if mask >> i & 1]
        rest = [i for i in range(size) if not mask >> i & 1]
        found.append((part, rest) if len(part) <= len(rest) else (rest, part))
    return found
