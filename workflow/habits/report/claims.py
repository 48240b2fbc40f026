"""The claims with their verdicts, as the report shows them, and the paragraph that follows from them.

Reads results/claims/claims.json through the analysis's own model. Nothing here judges.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from habits.analysis.claims import Claim, ClaimResult, Contrast, Side, Verdict, load_report
from habits.analysis.evaluations import SHARES
from habits.artifacts import ArtifactError
from habits.report.labels import condition_name, words

VERDICTS: tuple[Verdict, ...] = ("supported", "not_supported", "inconclusive", "not_run")


@dataclass(frozen=True)
class ShownClaim:
    """A decided claim with what the page needs around it.

    Attributes:
        claim: the claim as data.
        ours: our contrast; None when the matrix lacks one of its conditions.
        verdict: the analysis's verdict.
        reason: why, in the analysis's words.
    """

    claim: Claim
    ours: Contrast | None
    verdict: Verdict
    reason: str

    @property
    def in_points(self) -> bool:
        """Whether the metric is a share, whose differences read best in percentage points."""
        return self.claim.metric in SHARES

    @property
    def better(self) -> str:
        """The first side of the contrast in words."""
        return _name(self.claim.better)

    @property
    def worse(self) -> str:
        """The second side of the contrast in words."""
        return _name(self.claim.worse)

    @property
    def seeds(self) -> str:
        """Seeds of each side: one number when both have as many."""
        if self.ours is None:
            return "–"
        better, worse = len(self.ours.seeds_better), len(self.ours.seeds_worse)
        return str(better) if better == worse else f"{better} vs. {worse}"

    @property
    def marks(self) -> list[float]:
        """Where the axis shows the bound that the verdict turns on: one tick, or both ends of a margin."""
        bound = self.claim.bound
        return [bound] if self.claim.kind == "superiority" else [-bound, bound]


@dataclass(frozen=True)
class VerdictGroup:
    """The claims of one verdict."""

    verdict: Verdict
    claims: list[ShownClaim]


@dataclass(frozen=True)
class Conclusion:
    """The conclusion of a report: one sentence that counts, then the claims by verdict."""

    lead: str
    groups: list[VerdictGroup]


@dataclass(frozen=True)
class Axis:
    """The common axis of the intervals drawn beside claims about shares; it always holds zero."""

    left: float
    right: float

    def x(self, value: float, width: float) -> str:
        """Where ``value`` lies on an axis of ``width``, as an SVG coordinate."""
        return f"{width * (value - self.left) / (self.right - self.left):.1f}"


@dataclass(frozen=True)
class Claims:
    """Everything the claims section shows.

    Attributes:
        shown: the claims in the order of claims.json.
        algorithm: the RL algorithm of all conditions.
        confidence: confidence of the intervals.
    """

    shown: list[ShownClaim]
    algorithm: str
    confidence: float

    @property
    def ran(self) -> int:
        """How many claims have both conditions in the matrix; Holm's correction is over these."""
        return sum(item.ours is not None for item in self.shown)

    @property
    def conclusion(self) -> Conclusion:
        """The conclusion that the verdicts allow, and no more than that."""
        groups = [VerdictGroup(v, [c for c in self.shown if c.verdict == v]) for v in VERDICTS]
        said = [f"{len(group.claims)} {words(group.verdict)}" for group in groups[:3]]
        if absent := groups[3].claims:
            said.append(f"{len(absent)} not run")
        noun = "claim" if len(self.shown) == 1 else "claims"
        lead = f"{len(self.shown)} {noun} about Countdown, tested at this size: "
        lead += f"{', '.join(said[:-1])} and {said[-1]}."
        return Conclusion(lead, [group for group in groups if group.claims])

    @property
    def axis(self) -> Axis:
        """An axis with room for every interval and bound of the claims whose metric is a share."""
        ends = [0.0]
        for item in self.shown:
            if item.in_points and item.ours is not None:
                ends += [item.ours.low, item.ours.high, item.ours.effect, *item.marks]
        margin = 0.06 * (max(ends) - min(ends)) or 0.01
        return Axis(min(ends) - margin, max(ends) + margin)


def read_claims(path: Path) -> Claims:
    """The claims of claims.json; ArtifactError when it is not one, empty, or an effect is not a number."""
    report = load_report(path)
    if not report.results:
        raise ArtifactError(
            f"{path}: holds no claim; add one to workflow/claims and run the rule claims again"
        )
    shown = [_shown(path, result) for result in report.results]
    return Claims(shown, report.algorithm, report.confidence)


def _shown(path: Path, result: ClaimResult) -> ShownClaim:
    ours = result.ours
    if ours is not None and not all(map(math.isfinite, (ours.effect, ours.low, ours.high))):
        raise ArtifactError(
            f"{path}: claim {result.claim.id} has no finite effect; run the rule claims again"
        )
    if ours is None and result.verdict != "not_run":
        raise ArtifactError(f"{path}: claim {result.claim.id} is {result.verdict} without numbers")
    return ShownClaim(result.claim, ours, result.verdict, result.reason)


def _name(side: Side) -> str:
    return condition_name(side.model, side.priming)
