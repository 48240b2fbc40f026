"""Behavior spans of a text as segments that can be drawn one after the other, overlaps included."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from habits.report.labels import BEHAVIOR_NAMES


@dataclass(frozen=True)
class Span:
    """Characters ``start`` to ``end`` (exclusive) show ``behavior``."""

    behavior: str
    start: int
    end: int


@dataclass(frozen=True)
class Segment:
    """A piece of text over which the set of behaviors does not change.

    Attributes:
        text: the piece.
        behaviors: behaviors shown by it, in the order of BEHAVIORS; empty for plain text.
        ending: those of them whose span ends with this piece (a label belongs here).
    """

    text: str
    behaviors: tuple[str, ...] = ()
    ending: tuple[str, ...] = ()


def segments(text: str, spans: Iterable[Span]) -> list[Segment]:
    """Cut ``text`` at every edge of a span; the pieces joined give ``text`` again.

    Raises:
        ValueError: a span is empty, leaves the text, or names no known behavior.
    """
    known = list(spans)
    for span in known:
        if span.behavior not in BEHAVIOR_NAMES or not 0 <= span.start < span.end <= len(text):
            raise ValueError(f"{span} does not fit a text of {len(text)} characters")
    edges = sorted({0, len(text), *(s.start for s in known), *(s.end for s in known)})
    return [_segment(text, known, left, right) for left, right in zip(edges, edges[1:], strict=False)]


def _segment(text: str, spans: list[Span], left: int, right: int) -> Segment:
    over = {span.behavior for span in spans if span.start <= left and right <= span.end}
    ending = {span.behavior for span in spans if span.end == right}
    return Segment(
        text[left:right],
        tuple(name for name in BEHAVIOR_NAMES if name in over),
        tuple(name for name in BEHAVIOR_NAMES if name in ending),
    )


def spans_of(records: Iterable[Mapping[str, Any]], behavior: str | None = None) -> list[Span]:
    """Spans from parquet records with start, end and, unless ``behavior`` is given, behavior."""
    return [Span(behavior or str(r["behavior"]), int(r["start"]), int(r["end"])) for r in records]
