"""Matched pairs: to each row with behaviors one without, of the same domain and nearly the same length.

Both sets are then equal in number and domains, and nearly in tokens. Reads and writes no files.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Candidate:
    """A row that may be in a set: what has to match, and where it stands."""

    place: int
    domain: str
    tokens: int


@dataclass(frozen=True)
class Pair:
    """A row with behaviors and the one without that stands beside it."""

    curated: int
    negative: int


def pair(
    curated: Iterable[Candidate], negative: Sequence[Candidate], tolerance: float, tokens: int
) -> list[Pair]:
    """Pairs in the order of ``curated``, until either set would have more than ``tokens`` tokens.

    Args:
        tolerance: largest difference in length.
        tokens: budget of each set; the first pair that does not fit ends it, so nothing is cut.
    """
    free: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for row in negative:
        free[row.domain].append((row.tokens, row.place))
    for rows in free.values():
        rows.sort()
    pairs: list[Pair] = []
    used = [0, 0]
    for row in curated:
        found = _nearest(free[row.domain], row.tokens)
        if found is None or abs(free[row.domain][found][0] - row.tokens) > tolerance:
            continue
        length, place = free[row.domain].pop(found)
        used = [used[0] + row.tokens, used[1] + length]
        if max(used) > tokens:
            break
        pairs.append(Pair(row.place, place))
    return pairs


def _nearest(rows: list[tuple[int, int]], tokens: int) -> int | None:
    """Position of the row whose length is nearest; of equals the first."""
    after = bisect_left(rows, (tokens, -1))
    near = [place for place in (after - 1, after) if 0 <= place < len(rows)]
    return min(near, key=lambda place: abs(rows[place][0] - tokens), default=None)
