"""What a rater returns: the spans of each behavior in one text. Reads and writes no files."""

from __future__ import annotations

from dataclasses import dataclass

from habits.priming.language import BEHAVIORS, Behavior


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Character offsets into the rated text, end exclusive."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class BehaviorCounts:
    """Instances of each behavior, in text order; the count is the number of spans."""

    verification: tuple[Span, ...] = ()
    backtracking: tuple[Span, ...] = ()
    subgoal_setting: tuple[Span, ...] = ()
    backward_chaining: tuple[Span, ...] = ()

    def spans(self, behavior: Behavior) -> tuple[Span, ...]:
        """The spans of one behavior."""
        found: tuple[Span, ...] = getattr(self, behavior)
        return found

    @property
    def counts(self) -> dict[Behavior, int]:
        """Number of instances of every behavior, in the order of ``BEHAVIORS``."""
        return {behavior: len(self.spans(behavior)) for behavior in BEHAVIORS}


class Tally:
    """Collects spans while a text is read."""

    def __init__(self) -> None:
        self.found: dict[Behavior, list[Span]] = {behavior: [] for behavior in BEHAVIORS}

    def add(self, behavior: Behavior, start: int, end: int) -> None:
        """Note one instance."""
        self.found[behavior].append(Span(start, end))

    def total(self) -> BehaviorCounts:
        """Everything noted so far."""
        return BehaviorCounts(*(tuple(self.found[behavior]) for behavior in BEHAVIORS))
