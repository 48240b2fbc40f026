"""What every rater counted in every rollout, side by side: the oracle, the judge, people.

Reads ``results/{rollouts,behaviors,judging}`` of every run in the matrix and the CSV of human labels.
Whatever is missing, or belongs to another rollout or judge, is an ArtifactError.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from habits.analysis.evaluations import BEHAVIORS, IDENTITY, ORACLE
from habits.analysis.human_labels import read_labels
from habits.artifacts import ArtifactError, read_parquet
from habits.params import Params, RunId

ROLLOUT = ["rollout_id", "problem_id", *IDENTITY, "seed", "rl_step", "numbers", "target", "response"]
JUDGED = ["rollout_id", "behavior", "count", "rater", "status", "evidence", "missing_quotes"]


@dataclass(frozen=True)
class Ratings:
    """Counts by rater.

    Attributes:
        rollouts: every evaluation rollout, with the columns ``ROLLOUT``.
        counts: one row a rollout and behavior: what identifies the rollout, the behavior, a float column a
            rater (NaN: not counted by it), and the judge's status, evidence and missing_quotes (missing where
            it was not asked).
        judge: the judge's name as a rater.
        humans: the people's.
    """

    rollouts: pd.DataFrame
    counts: pd.DataFrame
    judge: str
    humans: tuple[str, ...]

    @property
    def judged(self) -> pd.DataFrame:
        """The rows of responses that the judge was asked about, whatever became of it."""
        return self.counts[self.counts["status"].notna()]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Rater and reference of each pair: the judge before the oracle before people."""
        return list(combinations((self.judge, ORACLE, *self.humans), 2))


def read_ratings(params: Params, results: Path) -> Ratings:
    """The counts of all raters for every run of the matrix."""
    per_run = [_run(results, run) for run in params.runs]
    rollouts = pd.concat([rollouts for rollouts, _ in per_run], ignore_index=True)
    counts = pd.concat([counts for _, counts in per_run], ignore_index=True)
    judges = sorted(set(counts["rater"].dropna()))
    if len(judges) != 1:
        raise ArtifactError(f"{results}/judging holds counts of {judges}, not of one judge; judge again")
    judge = judges[0]
    counts = counts.rename(columns={"judged": judge}).drop(columns="rater")
    humans: tuple[str, ...] = ()
    if params.calibration.human_labels is not None:
        labels = read_labels(Path(params.calibration.human_labels), rollouts)
        humans = tuple(sorted(set(labels["rater"])))
        counts = _with_people(counts, labels)
    return Ratings(rollouts, counts, judge, humans)


def _run(results: Path, run: RunId) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rollouts of a run, and the oracle's and the judge's counts side by side."""
    rollouts = read_parquet(results / "rollouts" / f"{run.path}.parquet", ROLLOUT)
    oracle = _table(results / "behaviors" / f"{run.path}.parquet", ["rollout_id", "behavior", "count"])
    path = results / "judging" / f"{run.path}.parquet"
    judged = _table(path, JUDGED)
    strangers = set(judged["rollout_id"]) - set(rollouts["rollout_id"])
    if strangers or len(oracle) != len(rollouts) * len(BEHAVIORS):
        raise ArtifactError(
            f"run {run.path}: its rollouts, behaviors and judging tables are not of the same rollouts; "
            f"make {path} again"
        )
    counts = oracle.rename(columns={"count": ORACLE}).merge(
        judged.rename(columns={"count": "judged"}), "left", ["rollout_id", "behavior"], validate="1:1"
    )
    named = rollouts.drop(columns=["numbers", "target", "response"])
    counts = named.merge(counts, "inner", "rollout_id", validate="1:m")
    counts["judged"] = counts["judged"].where(counts["status"] == "ok")
    return rollouts, counts


def _table(path: Path, columns: list[str]) -> pd.DataFrame:
    table = read_parquet(path, columns).astype({"count": "float64"})
    if table.empty or table.duplicated(["rollout_id", "behavior"]).any():
        raise ArtifactError(f"{path}: empty, or counts a behavior of a rollout twice; make it again")
    return table


def _with_people(counts: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """A column more for each person who labelled."""
    long = labels.melt(["rollout_id", "rater"], list(BEHAVIORS), "behavior", "count")
    wide = long.pivot(index=["rollout_id", "behavior"], columns="rater", values="count")
    taken = sorted(set(wide.columns) & set(counts.columns))
    if taken:
        raise ArtifactError(f"human labels: the name {taken[0]!r} is taken; give that person another one")
    return counts.join(wide.astype(np.float64), on=["rollout_id", "behavior"])
