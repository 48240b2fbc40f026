"""What the report says about the judge: agreement, drift, corrected counts, failures.

Reads results/calibration.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from habits.analysis.evaluations import IDENTITY, ORACLE
from habits.analysis.resampling import wilson
from habits.artifacts import ArtifactError, read_parquet
from habits.report.inputs import Inputs
from habits.report.labels import BEHAVIOR_NAMES, condition

FAILURES = ("unparsable", "refused", "error")
JUDGE_FIGURES = ("judge_over_steps", "judge_vs_oracle")


@dataclass(frozen=True)
class Estimate:
    """A value with its interval; NaN where it is undefined."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """Two raters' agreement on one behavior.

    Attributes:
        statistics: by name (``analysis.agreement``).
        drift: change of each from the first to the last RL step; empty where there are not two.
    """

    behavior: str
    statistics: dict[str, Estimate]
    drift: dict[str, Estimate]
    n_responses: int
    n_problems: int


@dataclass(frozen=True)
class Pair:
    """Two raters, and their agreement by behavior."""

    rater: str
    reference: str
    lines: list[Comparison]


@dataclass(frozen=True)
class Failures:
    """What became of the judgements of one behavior.

    Attributes:
        rates: share of each status that is a failure.
        quotes: quotes given as evidence.
        missing: share of them that do not occur in the response.
    """

    behavior: str
    judgements: int
    rates: dict[str, Estimate]
    quotes: int
    missing: Estimate


@dataclass(frozen=True)
class CorrectedMean:
    """A behavior of a condition after RL: the judge's mean count, as it is and corrected."""

    condition: str
    rl_step: int
    behavior: str
    gold: str
    naive: Estimate
    corrected: Estimate
    oracle_mean: float
    n_gold: int
    n_others: int


@dataclass(frozen=True)
class Judges:
    """Everything the page shows.

    Attributes:
        judge: model and prompt version.
        pairs: every two raters.
        steps: first and last RL step of the drift; None if there is one only.
        failures: by behavior.
        means: by condition, at the last RL step.
        held, naive_held, intervals: of so many corrected intervals, how many hold the oracle's mean, and how
            many of the judge's own do in the same cells.
    """

    judge: str
    pairs: list[Pair]
    steps: tuple[int, int] | None
    failures: list[Failures]
    means: list[CorrectedMean]
    held: int
    naive_held: int
    intervals: int


def judges(inputs: Inputs) -> Judges:
    """The page's content; ArtifactError when a table is missing or empty."""
    tables = {
        name: read_parquet(inputs.calibration / f"{name}.parquet")
        for name in ("agreement", "drift", "corrected", "judgements")
    }
    overall = tables["agreement"][tables["agreement"]["rl_step"].isna()]
    corrected = tables["corrected"]
    if overall.empty or corrected.empty:
        raise ArtifactError(f"{inputs.calibration}: compares nothing; judge more rollouts (judging.samples)")
    certain = corrected[(corrected["gold"] == ORACLE) & corrected["low"].notna()]
    truth = certain["oracle_mean"]
    return Judges(
        judge=str(overall["rater"].iloc[0]),
        pairs=_pairs(overall, tables["drift"]),
        steps=_steps(tables["drift"]),
        failures=_failures(tables["judgements"], inputs.params.statistics.confidence),
        means=_means(corrected, inputs),
        held=int(truth.between(certain["low"], certain["high"]).sum()),
        naive_held=int(truth.between(certain["naive_low"], certain["naive_high"]).sum()),
        intervals=len(certain),
    )


def _pairs(overall: pd.DataFrame, drift: pd.DataFrame) -> list[Pair]:
    found: dict[tuple[str, str], list[Comparison]] = {}
    for pair, rows in overall.groupby(["rater", "reference", "behavior"], sort=False):
        rater, reference, behavior = map(str, pair)
        same = (drift["rater"] == rater) & (drift["reference"] == reference) & (drift["behavior"] == behavior)
        line = Comparison(
            behavior,
            statistics=_estimates(rows),
            drift=_estimates(drift[same]),
            n_responses=int(rows["n_responses"].max()),
            n_problems=int(rows["n_problems"].max()),
        )
        found.setdefault((rater, reference), []).append(line)
    return [Pair(*raters, lines) for raters, lines in found.items()]


def _estimates(rows: pd.DataFrame) -> dict[str, Estimate]:
    columns = rows[["statistic", "value", "low", "high"]].itertuples(index=False, name=None)
    return {name: Estimate(value, low, high) for name, value, low, high in columns}


def _steps(drift: pd.DataFrame) -> tuple[int, int] | None:
    return None if drift.empty else (int(drift["first_step"].min()), int(drift["last_step"].max()))


def _failures(judgements: pd.DataFrame, confidence: float) -> list[Failures]:
    sums = judgements.groupby("behavior")[["judgements", *FAILURES, "quotes", "missing_quotes"]].sum()
    return [
        Failures(
            str(behavior),
            judgements=int(row["judgements"]),
            rates={name: _rate(int(row[name]), int(row["judgements"]), confidence) for name in FAILURES},
            quotes=int(row["quotes"]),
            missing=_rate(int(row["missing_quotes"]), int(row["quotes"]), confidence),
        )
        for behavior, row in sums.loc[list(BEHAVIOR_NAMES)].iterrows()
    ]


def _rate(count: int, n: int, confidence: float) -> Estimate:
    if n == 0:
        return Estimate(math.nan, math.nan, math.nan)
    return Estimate(count / n, *wilson(count, n, confidence))


def _means(corrected: pd.DataFrame, inputs: Inputs) -> list[CorrectedMean]:
    """Rows of the last RL step in which judge or oracle see the behavior at all."""
    last = corrected.groupby(IDENTITY)["rl_step"].transform("max") == corrected["rl_step"]
    seen = (corrected["oracle_mean"] > 0) | (corrected["naive"] > 0)
    names = {(run.model, run.priming, run.algorithm): condition(run, inputs.params) for run in inputs.runs}
    return [
        CorrectedMean(
            condition=names[row["model"], row["priming"], row["algorithm"]],
            rl_step=int(row["rl_step"]),
            behavior=str(row["behavior"]),
            gold=str(row["gold"]),
            naive=Estimate(row["naive"], row["naive_low"], row["naive_high"]),
            corrected=Estimate(row["mean"], row["low"], row["high"]),
            oracle_mean=float(row["oracle_mean"]),
            n_gold=int(row["n_gold"]),
            n_others=int(row["n_others"]),
        )
        for row in corrected[last & seen].to_dict("records")
    ]
