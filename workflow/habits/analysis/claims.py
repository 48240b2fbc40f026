"""The paper's claims as data, and their verdicts from our numbers.

Reads ``workflow/claims/*.yaml`` and ``results/statistics/per_problem.parquet``; writes
``results/claims/claims.json`` (a :class:`ClaimsReport`).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from habits.analysis.evaluations import METRICS, Condition, ConditionKey, conditions
from habits.analysis.resampling import Floats, Interval, Resampler, holm, one_sided_p
from habits.analysis.statistics import resampler_of
from habits.artifacts import ArtifactError, read_parquet, stamp, write_text
from habits.params import Params, Priming

Kind = Literal["superiority", "equivalence"]
Verdict = Literal["supported", "not_supported", "inconclusive", "not_run"]
FEWEST_SEEDS = 2


class ClaimError(ValueError):
    """A claims file cannot be used; the message names the file, the claim and the key."""


class Record(BaseModel):
    """Base of all records here: frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Side(Record):
    """One side of a contrast; trained with the algorithm of params.yaml."""

    model: str
    priming: Priming
    before_rl: bool = Field(False, exclude_if=lambda value: not value, description="at RL step 0")


class PublishedContrast(Record):
    """What the paper's data say about the same contrast."""

    better: float
    worse: float
    source: str


class Claim(Record):
    """A sentence of the paper as a testable contrast, ``better`` minus ``worse``.

    Attributes:
        explains: id of the claim that this one explains; an explanation may fail while its contrast holds.
        figure: name of the figure that shows it.
    """

    id: str = Field(pattern=r"^[a-z0-9_]+$")
    sentence: str
    source: str
    kind: Kind
    metric: str
    better: Side
    worse: Side
    minimal_effect: float | None = Field(None, gt=0, description="superiority: smallest effect that counts")
    margin: float | None = Field(
        None, gt=0, description="equivalence: largest difference that still counts as none"
    )
    published: PublishedContrast | None = None
    explains: str | None = None
    figure: str | None = None

    @model_validator(mode="after")
    def _bounds(self) -> Claim:
        if self.metric not in METRICS:
            raise ValueError(f"metric is {self.metric!r}; choose one of {', '.join(METRICS)}")
        if self.kind == "superiority" and (self.minimal_effect is None or self.margin is not None):
            raise ValueError("a superiority claim has a minimal_effect and no margin")
        if self.kind == "equivalence" and (self.margin is None or self.minimal_effect is not None):
            raise ValueError("an equivalence claim has a margin and no minimal_effect")
        return self

    @property
    def bound(self) -> float:
        """The effect (superiority) or difference (equivalence) that the verdict turns on."""
        return float(self.minimal_effect or self.margin or 0)


class ClaimsFile(Record):
    """A claims file as a whole."""

    claims: list[Claim] = Field(min_length=1)

    @model_validator(mode="after")
    def _unique(self) -> ClaimsFile:
        ids = [claim.id for claim in self.claims]
        if len(set(ids)) < len(ids):
            raise ValueError("claims: an id stands there twice")
        if lost := sorted({claim.explains for claim in self.claims if claim.explains} - set(ids)):
            raise ValueError(f"claims: explains names {', '.join(lost)}, which is no claim")
        return self


class Contrast(Record):
    """Our numbers for a claim; ``low`` and ``high`` bound the effect at the report's confidence.

    ``p`` is the one-sided bootstrap p-value against "no effect" (superiority), or the larger of the two
    one-sided ones against "beyond the margin" (equivalence); ``p_holm`` is adjusted over all claims run.
    """

    better: float
    worse: float
    effect: float
    low: float
    high: float
    p: float
    p_holm: float
    seeds_better: list[int]
    seeds_worse: list[int]
    n_problems: int
    rl_step_better: int
    rl_step_worse: int
    paired_over: Literal["seeds and problems", "problems"]
    resampled: Literal["seeds+problems", "problems"]


class ClaimResult(Record):
    """A claim, our contrast and the verdict, with the reason in words."""

    claim: Claim
    ours: Contrast | None
    verdict: Verdict
    reason: str


class ClaimsReport(Record):
    """Contents of ``results/claims/claims.json``."""

    algorithm: str
    confidence: float
    resamples: int
    last_points: int
    results: list[ClaimResult]


def decide_claims(params: Params, statistics: Path, claims: Path, out: Path) -> None:
    """Decide every claim of the file ``claims`` from the tables in ``statistics``; write JSON to ``out``.

    A claim whose conditions are not in the matrix is reported as "not_run"; one whose conditions are in the
    matrix but not in the tables is an ArtifactError.
    """
    table = statistics / "per_problem.parquet"
    report = judge(params, load_claims(claims), conditions(read_parquet(table)))
    write_text(report.model_dump_json(indent=1) + "\n", out)
    stamp(out, settings=params.statistics.model_dump(), parents=[table, claims], seed=params.statistics.seed)


def load_claims(path: Path) -> list[Claim]:
    """The claims of a YAML file; ClaimError names what is wrong with it."""
    try:
        return ClaimsFile.model_validate(yaml.safe_load(path.read_text())).claims
    except FileNotFoundError:
        raise ClaimError(f"{path}: no such file; the claims stand in workflow/claims/") from None
    except (yaml.YAMLError, ValidationError) as error:
        raise ClaimError(f"{path}: {error}") from None


def load_report(path: Path) -> ClaimsReport:
    """``results/claims/claims.json`` validated again; ArtifactError when it is not one."""
    try:
        return ClaimsReport.model_validate_json(path.read_text())
    except (OSError, ValidationError) as error:
        raise ArtifactError(f"{path}: not a claims report: {error}") from None


def judge(params: Params, claims: list[Claim], found: dict[ConditionKey, Condition]) -> ClaimsReport:
    """Contrasts, Holm-adjusted p-values over the claims that were run, and verdicts."""
    points, resampler = params.statistics.last_points, resampler_of(params)
    in_matrix = {ConditionKey(run.model, run.priming, run.algorithm) for run in params.runs}
    sides = {c.id: _sides(c, params.rl.algorithm) for c in claims}
    ran = [c for c in claims if set(sides[c.id]) <= in_matrix]
    contrasts = {}
    for claim in ran:
        better, worse = (
            _at(_find(found, key), side)
            for key, side in zip(sides[claim.id], (claim.better, claim.worse), strict=True)
        )
        contrasts[claim.id] = contrast(claim, better, worse, points, resampler)
    adjusted = dict(zip(contrasts, holm([c.p for c in contrasts.values()]), strict=True))
    results = []
    for claim in claims:
        if claim.id in contrasts:
            ours = contrasts[claim.id].model_copy(update={"p_holm": adjusted[claim.id]})
            results.append(_result(claim, ours))
        else:
            absent = ", ".join(k.path for k in sides[claim.id] if k not in in_matrix)
            results.append(
                ClaimResult(claim=claim, ours=None, verdict="not_run", reason=f"The matrix has no {absent}.")
            )
    return ClaimsReport(
        algorithm=params.rl.algorithm,
        confidence=resampler.confidence,
        resamples=resampler.resamples,
        last_points=points,
        results=results,
    )


def contrast(
    claim: Claim, better: Condition, worse: Condition, points: int, resampler: Resampler
) -> Contrast:
    """Effect of a claim with its interval: problems are always paired, seeds when both sides share them."""
    if better.problems != worse.problems:
        raise ArtifactError(f"{better.key.path} and {worse.key.path} were evaluated on different problems")
    values = [side.final(claim.metric, points) for side in (better, worse)]
    same_seeds = better.seeds == worse.seeds
    draws = resampler.means(values[0]) - resampler.means(values[1], stream=0 if same_seeds else 1)
    low, high = resampler.interval(draws)
    means = [float(np.nanmean(v)) for v in values]
    several = min(len(better.seeds), len(worse.seeds)) >= FEWEST_SEEDS
    return Contrast(
        better=means[0],
        worse=means[1],
        effect=means[0] - means[1],
        low=float(low),
        high=float(high),
        p=_p_value(claim, draws),
        p_holm=1.0,
        seeds_better=list(better.seeds),
        seeds_worse=list(worse.seeds),
        n_problems=len(better.problems),
        rl_step_better=better.steps[-1],
        rl_step_worse=worse.steps[-1],
        paired_over="seeds and problems" if same_seeds else "problems",
        resampled="seeds+problems" if several else "problems",
    )


def decide(kind: Kind, effect: float, interval: Interval, bound: float) -> Verdict:
    """Verdict of a contrast (rules in the head of ``workflow/claims/countdown.yaml``).

    Args:
        bound: minimal effect (superiority) or margin (equivalence), positive.
    """
    if kind == "superiority":
        if interval.low > 0 and effect >= bound:
            return "supported"
        return "not_supported" if interval.high < bound else "inconclusive"
    if -bound <= interval.low and interval.high <= bound:
        return "supported"
    return "not_supported" if interval.low > bound or interval.high < -bound else "inconclusive"


def _result(claim: Claim, ours: Contrast) -> ClaimResult:
    few = min(len(ours.seeds_better), len(ours.seeds_worse)) < FEWEST_SEEDS
    verdict = decide(claim.kind, ours.effect, Interval(ours.low, ours.high), claim.bound)
    shown = f"Effect {ours.effect:+.3f}, interval {ours.low:+.3f} to {ours.high:+.3f}"
    limit = "minimal effect" if claim.kind == "superiority" else "margin"
    reason = f"{shown}; {limit} {claim.bound:.3f}."
    if few and verdict != "inconclusive":
        verdict = "inconclusive"
        reason += f" One side has a single seed; a verdict needs {FEWEST_SEEDS}."
    return ClaimResult(claim=claim, ours=ours, verdict=verdict, reason=reason)


def _p_value(claim: Claim, draws: Floats) -> float:
    if claim.kind == "superiority":
        return one_sided_p(draws, 0.0)
    return max(one_sided_p(draws, -claim.bound), one_sided_p(-draws, -claim.bound))


def _sides(claim: Claim, algorithm: str) -> tuple[ConditionKey, ConditionKey]:
    better, worse = (
        ConditionKey(side.model, side.priming, algorithm) for side in (claim.better, claim.worse)
    )
    return better, worse


def _at(condition: Condition, side: Side) -> Condition:
    """The evaluations of a condition that a side of a claim is about: all, or the one before RL."""
    if not side.before_rl:
        return condition
    return replace(
        condition,
        steps=condition.steps[:1],
        values_T_M_S_P=condition.values_T_M_S_P[:1],
        samples_T_S_P=condition.samples_T_S_P[:1],
    )


def _find(found: dict[ConditionKey, Condition], key: ConditionKey) -> Condition:
    if key not in found:
        raise ArtifactError(
            f"statistics hold nothing for {key.path}, which is in the matrix; compute them again"
        )
    return found[key]
