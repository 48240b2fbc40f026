"""What DeepEnlighten says about responses and other tasks, as effects with intervals and verdicts.

Reads ``workflow/claims/social_findings.yaml``; takes the tables that `habits.analysis.social_statistics`
makes. A finding is decided for every condition: one of ``ESTIMATES`` looks up its effect, `decided` compares
it with the bound by the rules that stand in the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import pandas as pd
import yaml
from pydantic import Field, ValidationError

from habits.analysis.claims import ClaimError, Record, Verdict
from habits.analysis.cot_length import ALL, ALL_PROBLEMS, PER, SAME_PROBLEM
from habits.artifacts import ArtifactError

FindingId = Literal["transfer", "longer_is_not_better", "mixing_is_rare", "longer_only_if_harder"]
Kind = Literal["superiority", "no_gain", "rare"]
Unit = Literal["points", "share", "tokens"]
Tables = dict[str, pd.DataFrame]


class Finding(Record):
    """A sentence of the study with the measure and the bound that decide it."""

    id: FindingId
    sentence: str
    source: str
    kind: Kind
    measure: str
    unit: Unit = Field(description="how the effect reads best: a difference of shares, a share, or tokens")
    bound: float = Field(gt=0)
    published: str


class FindingsFile(Record):
    """The file as a whole."""

    findings: list[Finding] = Field(min_length=1)


class FindingResult(Record):
    """A finding decided for one condition; without numbers it was not run, and ``reason`` says why."""

    finding: Finding
    condition: str
    about: str = Field(description="the evaluation, where there are several; else empty")
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = Field(None, description="items or responses behind the effect")
    verdict: Verdict
    reason: str


class FindingsReport(Record):
    """Contents of ``results/social_statistics/findings.json``."""

    confidence: float
    results: list[FindingResult]


class Estimate(NamedTuple):
    """An effect with its interval; ``about`` names the evaluation where there are several."""

    effect: float
    low: float
    high: float
    n: int
    about: str = ""


class NotRunError(ValueError):
    """There is nothing to estimate; the message says why."""


def load_findings(path: Path) -> list[Finding]:
    """The findings of a YAML file; ClaimError names what is wrong with it."""
    try:
        return FindingsFile.model_validate(yaml.safe_load(path.read_text())).findings
    except FileNotFoundError:
        raise ClaimError(f"{path}: no such file; the claims stand in workflow/claims/") from None
    except (yaml.YAMLError, ValidationError) as error:
        raise ClaimError(f"{path}: {error}") from None


def load_findings_report(path: Path) -> FindingsReport:
    """``findings.json`` validated again; ArtifactError when it is not one."""
    try:
        return FindingsReport.model_validate_json(path.read_text())
    except (OSError, ValidationError) as error:
        raise ArtifactError(f"{path}: not a report of findings: {error}") from None


def decide_findings(findings: list[Finding], conditions: list[str], tables: Tables) -> list[FindingResult]:
    """Every finding for every condition.

    Args:
        tables: transfer, length_slopes, length_bins, mixing_overall and longer, each with a column condition.
    """
    results = []
    for finding in findings:
        for condition in conditions:
            own = {name: _rows(table, condition) for name, table in tables.items()}
            try:
                results += [_result(finding, condition, found) for found in ESTIMATES[finding.id](own)]
            except NotRunError as error:
                unknown = {"finding": finding, "condition": condition, "about": "", "verdict": "not_run"}
                results.append(FindingResult.model_validate({**unknown, "reason": str(error)}))
    return results


def decided(finding: Finding, found: Estimate) -> tuple[Verdict, str]:
    """The verdict and the reason in words; the rules stand in the head of the file of findings."""
    reason = f"{found.effect:+.3f}, interval {found.low:+.3f} to {found.high:+.3f}; bound {finding.bound:g}."
    gains = found.low > 0 and found.effect >= finding.bound
    if finding.kind == "superiority":
        verdict: Verdict = "supported" if gains else "inconclusive"
        return ("not_supported" if not gains and found.high < finding.bound else verdict), reason
    if finding.kind == "no_gain":
        verdict = "not_supported" if gains else "inconclusive"
        return ("supported" if not gains and found.high < finding.bound else verdict), reason
    if found.effect == 0:
        return "not_supported", f"None among {found.n:,} responses."
    if found.low > 0 and found.high < finding.bound:
        return "supported", reason
    return ("not_supported" if found.low > finding.bound else "inconclusive"), reason


def _result(finding: Finding, condition: str, found: Estimate) -> FindingResult:
    verdict, reason = decided(finding, found)
    return FindingResult(
        finding=finding, condition=condition, **found._asdict(), verdict=verdict, reason=reason
    )


def _rows(table: pd.DataFrame, condition: str) -> pd.DataFrame:
    return table[table["condition"] == condition] if len(table) else table


def _transfer(tables: Tables) -> Iterator[Estimate]:
    if tables["transfer"].empty:
        raise NotRunError("No evaluation in `transfer` of params.yaml names this model.")
    accuracy = tables["transfer"][tables["transfer"]["metric"] == "accuracy"]
    for row in accuracy.to_dict("records"):
        effect, low, high = (float(row[name]) for name in ("difference", "low", "high"))
        yield Estimate(effect, low, high, int(row["n_problems"]), str(row["evaluation"]))


def _longer_is_not_better(tables: Tables) -> Iterator[Estimate]:
    bins, slopes = (
        table[(table["source"] == "evaluation") & (table["phase"] == ALL) & (table["metric"] == "accuracy")]
        for table in (tables["length_bins"], tables["length_slopes"])
    )
    bins = bins[bins["comparison"] == ALL_PROBLEMS]
    mean = float((bins["mean_length"] * bins["n"]).sum() / bins["n"].sum())
    row = slopes[(slopes["responses"] == "complete") & (slopes["comparison"] == SAME_PROBLEM)].iloc[0]
    if row["status"] != "ok":
        raise NotRunError(f"No slope within problems: {row['status']}.")
    effect, low, high = (float(row[name]) * mean / PER for name in ("slope", "low", "high"))
    yield Estimate(effect, low, high, int(row["n"]))


def _mixing_is_rare(tables: Tables) -> Iterator[Estimate]:
    table = tables["mixing_overall"]
    row = table[table["source"] == "evaluation"].iloc[0]
    yield Estimate(float(row["mixed"]), float(row["low"]), float(row["high"]), int(row["n"]))


def _longer_only_if_harder(tables: Tables) -> Iterator[Estimate]:
    if tables["longer"].empty:
        raise NotRunError("Published questions have no difficulty levels.")
    row = tables["longer"].iloc[0]
    yield Estimate(float(row["effect"]), float(row["low"]), float(row["high"]), int(row["n"]))


ESTIMATES = {
    "transfer": _transfer,
    "longer_is_not_better": _longer_is_not_better,
    "mixing_is_rare": _mixing_is_rare,
    "longer_only_if_harder": _longer_only_if_harder,
}
