"""Evaluations of runs as arrays: one number per evaluation step, metric, seed and problem.

Reads ``rollouts/``, ``behaviors/`` and ``rl/*/metrics.parquet`` of every run in the matrix. Whatever is
missing, empty or doubled is an ArtifactError that names the run: a hole must not become a zero.
Axis letters: T evaluation step, M metric, S seed, P problem.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from habits.analysis.resampling import Floats, pass_at_k
from habits.artifacts import ArtifactError, read_parquet
from habits.params import Params, Rl, RunId

BEHAVIORS = ("verification", "backtracking", "subgoal_setting", "backward_chaining")
SHARES = ("accuracy", "truncated", "format_ok")
ORACLE = "oracle"
MEASURED = (*SHARES, "n_tokens", "reward", "entropy")
METRICS = (*MEASURED, *BEHAVIORS)
IDENTITY = ["model", "priming", "algorithm"]
CELL = ["rl_step", "problem_id"]
ROLLOUT_COLUMNS = {
    "rollout_id": "rollout_id",
    "rl_step": "rl_step",
    "problem_id": "problem_id",
    "correct": "accuracy",
    "stopped": "stopped",
    "format_ok": "format_ok",
    "n_tokens": "n_tokens",
    "reward": "reward",
    "mean_entropy": "entropy",
}


class ConditionKey(NamedTuple):
    """What the seeds of one matrix line share."""

    model: str
    priming: str
    algorithm: str

    @property
    def path(self) -> str:
        """The key as it stands in paths and messages."""
        return f"{self.model}/{self.priming}/{self.algorithm}"


@dataclass(frozen=True)
class Condition:
    """All evaluations of one condition."""

    key: ConditionKey
    seeds: tuple[int, ...]
    steps: tuple[int, ...]
    problems: tuple[str, ...]
    metrics: tuple[str, ...]
    values_T_M_S_P: Floats
    samples_T_S_P: NDArray[np.int64]

    def at(self, metric: str, step: int) -> Floats:
        """``metric`` at RL step ``step``: [S, P]."""
        return np.asarray(self.values_T_M_S_P[self.steps.index(step), self.metrics.index(metric)])

    def final(self, metric: str, points: int) -> Floats:
        """``metric`` averaged over the last ``points`` evaluation steps: [S, P]."""
        return np.asarray(self.values_T_M_S_P[-points:, self.metrics.index(metric)].mean(axis=0))

    def correct(self, step: int) -> Floats:
        """Number of correct samples at ``step``: [S, P]."""
        return np.asarray(np.rint(self.at("accuracy", step) * self.samples_T_S_P[self.steps.index(step)]))

    def pass_at_k(self, k: int, step: int) -> Floats:
        """Unbiased pass@k at ``step``: [S, P]; ValueError when a problem has fewer than k samples."""
        return pass_at_k(self.samples_T_S_P[self.steps.index(step)], self.correct(step), k)


def read_per_problem(params: Params, results: Path, metrics: tuple[str, ...] = METRICS) -> pd.DataFrame:
    """Every run of the matrix as one row a (run, rl_step, problem): n_samples and the mean of each metric.

    Behavior counts are read where ``metrics`` names them; only Countdown has any.
    """
    tables = [
        _run_per_problem(results, run, params.rl_settings(line), metrics) for run, line in params.runs.items()
    ]
    return pd.concat(tables, ignore_index=True)


def read_training(params: Params, results: Path) -> pd.DataFrame:
    """RL metrics of every run of the matrix, one row a (run, RL step)."""
    return pd.concat(
        [_run_training(results, run, params.rl_settings(line)) for run, line in params.runs.items()],
        ignore_index=True,
    )


def conditions(per_problem: pd.DataFrame) -> dict[ConditionKey, Condition]:
    """Arrays of every condition in a per-problem table (``results/statistics/per_problem.parquet``)."""
    grouped = per_problem.groupby(IDENTITY, sort=False)
    keys = (ConditionKey(*map(str, key)) for key, _ in grouped)
    return {key: _condition(key, part) for key, (_, part) in zip(keys, grouped, strict=True)}


def _condition(key: ConditionKey, table: pd.DataFrame) -> Condition:
    ordered = table.sort_values(["rl_step", "seed", "problem_id"])
    steps, seeds, problems = (
        tuple(np.unique(ordered[c].to_numpy()).tolist()) for c in ("rl_step", "seed", "problem_id")
    )
    shape = (len(steps), len(seeds), len(problems))
    if len(ordered) != np.prod(shape):
        sizes = ordered.groupby(["seed", "rl_step"]).problem_id.nunique()
        raise ArtifactError(
            f"condition {key.path}: its seeds do not share evaluation steps and problems "
            f"({sizes.to_dict()} problems by seed and step); evaluate all seeds on the same problems"
        )
    metrics = tuple(metric for metric in METRICS if metric in ordered)
    values = ordered[list(metrics)].to_numpy(dtype=float).reshape(*shape, len(metrics))
    samples = ordered["n_samples"].to_numpy(dtype=np.int64).reshape(shape)
    return Condition(key, seeds, steps, problems, metrics, values.transpose(0, 3, 1, 2), samples)


def _run_per_problem(results: Path, run: RunId, settings: Rl, metrics: tuple[str, ...]) -> pd.DataFrame:
    rollouts = _rollouts(results / "rollouts" / f"{run.path}.parquet", run, settings)
    if set(metrics) & set(BEHAVIORS):
        rollouts = _with_behaviors(rollouts, results, run)
    cells = rollouts.groupby(CELL)
    table = cells[list(metrics)].mean()
    empty = [m for m in metrics if table[m].isna().groupby("rl_step").all().any()]
    if empty:
        raise ArtifactError(f"run {run.path}: no value at all for {', '.join(empty)} at some evaluation step")
    table.insert(0, "n_samples", cells.size())
    return _named(table.reset_index(), run)[[*IDENTITY, "seed", *CELL, "n_samples", *metrics]]


def _with_behaviors(rollouts: pd.DataFrame, results: Path, run: RunId) -> pd.DataFrame:
    """Rollouts with a column of counts for every behavior."""
    counts = _behavior_counts(results / "behaviors" / f"{run.path}.parquet", run, len(rollouts))
    if not rollouts.rollout_id.isin(counts.index).all():
        raise ArtifactError(f"run {run.path}: behaviors do not cover its rollouts; count them again")
    return rollouts.join(counts, on="rollout_id")


def _rollouts(path: Path, run: RunId, settings: Rl) -> pd.DataFrame:
    frame = read_parquet(path, list(ROLLOUT_COLUMNS)).rename(columns=ROLLOUT_COLUMNS)
    if frame.empty:
        raise ArtifactError(f"run {run.path}: {path} has no rollouts; delete it and sample again")
    if not frame.rollout_id.is_unique:
        raise ArtifactError(f"run {run.path}: {path} holds a rollout_id twice")
    wanted = set(range(0, settings.steps + 1, settings.save_every))
    missing = sorted(wanted - set(frame.rl_step))
    if missing:
        raise ArtifactError(f"run {run.path}: {path} has no rollouts at RL steps {missing}; sample again")
    frame = frame[frame.rl_step.isin(wanted)]
    return frame.assign(truncated=~frame.stopped.astype(bool)).astype(
        {m: float for m in (*SHARES, "n_tokens")}
    )


def _behavior_counts(path: Path, run: RunId, n_rollouts: int) -> pd.DataFrame:
    """Counts with one row a rollout and one column a behavior; NaN where a judgement failed."""
    frame = read_parquet(path, ["rollout_id", "behavior", "count"])
    if frame.duplicated(["rollout_id", "behavior"]).any():
        raise ArtifactError(f"run {run.path}: {path} counts a rollout's behavior twice")
    missing = set(BEHAVIORS) - set(frame.behavior)
    if missing or frame.empty:
        raise ArtifactError(f"run {run.path}: {path} has no rows for {', '.join(sorted(missing))}")
    counts = frame.astype({"count": "float64"}).pivot(index="rollout_id", columns="behavior", values="count")
    if len(counts) < n_rollouts:
        raise ArtifactError(f"run {run.path}: {path} covers {len(counts)} of {n_rollouts} rollouts")
    return counts[list(BEHAVIORS)]


def _run_training(results: Path, run: RunId, settings: Rl) -> pd.DataFrame:
    path = results / "rl" / run.path / "metrics.parquet"
    frame = read_parquet(path)
    missing = sorted(set(range(1, settings.steps + 1)) - set(frame.get("step", [])))
    if missing:
        raise ArtifactError(f"run {run.path}: {path} lacks RL steps {missing[:5]}; train it again")
    if frame.step.duplicated().any():
        raise ArtifactError(f"run {run.path}: {path} holds an RL step twice; train it again")
    return _named(frame.sort_values("step"), run)


def _named(frame: pd.DataFrame, run: RunId) -> pd.DataFrame:
    return frame.assign(model=run.model, priming=run.priming, algorithm=run.algorithm, seed=run.seed)
