"""Which of many number sets reach their targets, all at once in NumPy; the uniform sampler's inner loop.

The same question as ``Reachable.reaches`` for positive integers, answered forward for a batch of
independent draws: for every part of the numbers an array holds all its values, one row a way to combine
it, and 0 where that way makes none. Axis suffixes: w ways, n numbers of a problem, b problems.
Reads and writes no files.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Positions = tuple[int, ...]
MAX_SIZE = 4  # numbers; the ways of five would fill memory, and the exact sets of Reachable win
MAX_PRODUCT = 2**60  # int64 with room for sums


def can_batch(size: int, number_max: int, target_max: int) -> bool:
    """Whether problems of ``size`` numbers up to ``number_max`` fit this module's arrays."""
    return 2 <= size <= MAX_SIZE and number_max**size * target_max < MAX_PRODUCT


def reach_targets(
    numbers_nb: Integers, targets_b: Integers, max_intermediate: int | None = None
) -> NDArray[np.bool_]:
    """Whether all numbers of each column make its target by positive integers; shape (b,).

    Args:
        numbers_nb: shape (numbers, problems), positive.
        targets_b: shape (problems,), positive.
        max_intermediate: no step makes more than this; None: no limit.
    """
    size = len(numbers_nb)
    hit_b = np.zeros(len(targets_b), dtype=bool)
    known: dict[Positions, Integers] = {(i,): numbers_nb[i : i + 1] for i in range(size)}
    for part, rest in _partitions(tuple(range(size))):
        a_wb = _ways(part, known, max_intermediate)
        for b_b in _ways(rest, known, max_intermediate):
            hit_b |= _makes(a_wb, b_b, targets_b).any(axis=0)
    return hit_b if max_intermediate is None else hit_b & (targets_b <= max_intermediate)


def _ways(part: Positions, known: dict[Positions, Integers], limit: int | None) -> Integers:
    """All values of a part, shape (w, b); kept in ``known``."""
    if part not in known:
        rows = [
            _steps(_ways(left, known, limit), b_b)
            for left, right in _partitions(part)
            for b_b in _ways(right, known, limit)
        ]
        values_wb = np.concatenate(rows)
        known[part] = values_wb if limit is None else np.where(values_wb <= limit, values_wb, 0)
    return known[part]


def _steps(a_wb: Integers, b_b: Integers) -> Integers:
    """What one step makes of each pair, shape (4 w, b)."""
    both_wb = (a_wb > 0) & (b_b > 0)
    large_wb, small_wb = np.maximum(a_wb, b_b), np.maximum(np.minimum(a_wb, b_b), 1)
    quotient_wb, remainder_wb = np.divmod(large_wb, small_wb)
    quotient_wb[remainder_wb > 0] = 0
    return np.concatenate([a_wb + b_b, a_wb * b_b, abs(a_wb - b_b), quotient_wb]) * np.tile(both_wb, (4, 1))


def _makes(a_wb: Integers, b_b: Integers, targets_b: Integers) -> NDArray[np.bool_]:
    """Whether one step makes the target, shape (w, b); quotients are asked for by multiplying back."""
    step_wb = (a_wb + b_b == targets_b) | (abs(a_wb - b_b) == targets_b) | (a_wb * b_b == targets_b)
    quotient_wb = (a_wb == b_b * targets_b) | (b_b == a_wb * targets_b)
    made_wb: NDArray[np.bool_] = (step_wb | quotient_wb) & (a_wb > 0) & (b_b > 0)
    return made_wb


def _partitions(part: Positions) -> list[tuple[Positions, Positions]]:
    """All ways to part positions in two; the first part is the larger one, and equal halves come once."""
    found = []
    for size in range((len(part) + 1) // 2, len(part)):
        for left in combinations(part, size):
            right = tuple(i for i in part if i not in left)
            if len(left) > len(right) or left[0] == part[0]:
                found.append((left, right))
    return found
