"""What a labeller says of a document, and the table that labels stand in.

Reads and writes no files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pyarrow as pa

from habits.pretraining.cues import domain_of, find_behaviors, is_problem, is_solution
from habits.priming.language import BEHAVIORS, Behavior

Status = Literal["ok", "unparsable", "refused", "error"]
STATUSES: tuple[Status, ...] = ("ok", "unparsable", "refused", "error")
DOMAINS = (
    "number_puzzles",
    "algebra",
    "geometry",
    "number_theory",
    "calculus",
    "probability",
    "other",
)
SCHEMA = pa.schema(
    [
        ("document", pa.int64()),
        ("n_tokens", pa.int32()),
        *((behavior, pa.int32()) for behavior in BEHAVIORS),
        ("evidence", pa.list_(pa.struct([("behavior", pa.string()), ("quote", pa.string())]))),
        ("missing_quotes", pa.int32()),
        ("is_problem", pa.bool_()),
        ("is_solution", pa.bool_()),
        ("domain", pa.string()),
        ("rater", pa.string()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("replies", pa.list_(pa.string())),
    ]
)


@dataclass(frozen=True)
class Text:
    """A document to label."""

    document: int
    text: str
    n_tokens: int


@dataclass(frozen=True)
class Label:
    """The labels of a document; counts are None unless the status is ``ok``: a failure is never a zero.

    Attributes:
        counts: instances of each behavior.
        evidence: quotes that show them.
        missing_quotes: those that do not stand in the document.
        rater: who labelled.
        reason: why there are no counts.
        replies: keys of the replies in the response store that say so.
    """

    rater: str
    status: Status = "ok"
    counts: Mapping[Behavior, int] | None = None
    evidence: Mapping[Behavior, list[str]] = field(default_factory=dict)
    missing_quotes: int = 0
    is_problem: bool | None = None
    is_solution: bool | None = None
    domain: str | None = None
    reason: str = ""
    replies: tuple[str, ...] = ()

    def row(self, text: Text) -> dict[str, Any]:
        """The label as a row of ``SCHEMA``."""
        counts = self.counts or dict.fromkeys(BEHAVIORS)
        quotes = [{"behavior": b, "quote": quote} for b, found in self.evidence.items() for quote in found]
        return {
            "document": text.document,
            "n_tokens": text.n_tokens,
            **{behavior: counts[behavior] for behavior in BEHAVIORS},
            "evidence": quotes,
            "missing_quotes": self.missing_quotes,
            "is_problem": self.is_problem,
            "is_solution": self.is_solution,
            "domain": self.domain,
            "rater": self.rater,
            "status": self.status,
            "reason": self.reason,
            "replies": list(self.replies),
        }


def label_by_rules(text: str) -> Label:
    """The labels of the rules in ``habits.pretraining.cues``."""
    found = find_behaviors(text)
    return Label(
        rater="rules",
        counts={behavior: len(quotes) for behavior, quotes in found.items()},
        evidence=found,
        is_problem=is_problem(text),
        is_solution=is_solution(text),
        domain=domain_of(text),
    )
