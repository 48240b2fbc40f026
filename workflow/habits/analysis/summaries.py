"""Tables of means with intervals: by condition, by seed, at the end, and per RL step.

Functions from arrays to frames; ``statistics.write_statistics`` writes what they return.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from habits.analysis.evaluations import IDENTITY, SHARES, Condition, ConditionKey
from habits.analysis.resampling import Floats, Resampler, wilson

TRAINING_METRICS = ("accuracy", "reward", "format_rate", "truncated_rate", "mean_tokens", "entropy", "kl")
PASS_AT = (2, 4, 8, 16, 32, 64)


def curves(
    found: dict[ConditionKey, Condition], training: pd.DataFrame, resampler: Resampler
) -> pd.DataFrame:
    """One row a (condition, evaluation step, metric): mean, low, high, counts and rollout tokens so far.

    ``interval`` says what was resampled ("seeds+problems", or "problems" for a single seed) and ``method``
    how ("bootstrap", or "wilson" for a share from one seed with one sample a problem).
    """
    return pd.concat([_curve(c, training, resampler) for c in found.values()], ignore_index=True)


def per_seed(
    found: dict[ConditionKey, Condition], training: pd.DataFrame, resampler: Resampler
) -> pd.DataFrame:
    """The same as :func:`curves`, seed by seed; intervals over problems."""
    single = [_only_seed(c, s) for c in found.values() for s in range(len(c.seeds))]
    tables = [_curve(c, training[training.seed == c.seeds[0]], resampler) for c in single]
    seeds = [c.seeds[0] for c in single]
    return pd.concat([t.assign(seed=s) for t, s in zip(tables, seeds, strict=True)], ignore_index=True)


def final(found: dict[ConditionKey, Condition], points: int, resampler: Resampler) -> pd.DataFrame:
    """One row a (condition, metric): mean over the last ``points`` evaluation steps, with interval."""
    rows = []
    for condition in found.values():
        values = condition.values_T_M_S_P[-points:].mean(axis=0)
        low, high = resampler.interval(resampler.means(values))
        frame = _frame(condition, condition.metrics, values, low, high)
        if points == 1 and _single(condition, -1):
            frame = _wilson(frame, len(condition.problems), resampler.confidence)
        rows.append(frame.assign(rl_step=condition.steps[-1]))
    return pd.concat(rows, ignore_index=True)


def training_curves(training: pd.DataFrame) -> pd.DataFrame:
    """One row a (condition, RL step, metric) of RL's own rollouts: mean, lowest and highest seed."""
    metrics = [m for m in TRAINING_METRICS if m in training.columns]
    long = training.melt([*IDENTITY, "seed", "step"], metrics, "metric", "value")
    grouped = long.groupby([*IDENTITY, "step", "metric"], sort=False).value
    table = grouped.agg(["mean", "min", "max", "size"]).reset_index()
    names = {"step": "rl_step", "min": "low", "max": "high", "size": "n_seeds"}
    return table.rename(columns=names).assign(interval="range over seeds")


def tokens_at(training: pd.DataFrame, key: ConditionKey, step: int) -> float:
    """Rollout tokens that a condition's RL had sampled up to ``step``, mean over seeds; 0 before RL."""
    if step == 0:
        return 0.0
    mine = (training[list(IDENTITY)] == list(key)).all(axis=1) & (training.step == step)
    return float(training.cumulative_rollout_tokens[mine].mean())


def _curve(condition: Condition, training: pd.DataFrame, resampler: Resampler) -> pd.DataFrame:
    parts = []
    for index, step in enumerate(condition.steps):
        names, values = _with_pass_at_k(condition, index)
        low, high = resampler.interval(resampler.means(values))
        frame = _frame(condition, names, values, low, high)
        frame["rl_step"] = step
        frame["cumulative_rollout_tokens"] = tokens_at(training, condition.key, step)
        frame["n_rollouts"] = int(condition.samples_T_S_P[index].sum())
        if _single(condition, index):
            frame = _wilson(frame, len(condition.problems), resampler.confidence)
        parts.append(frame)
    return pd.concat(parts, ignore_index=True)


def _frame(
    condition: Condition, names: tuple[str, ...], values: Floats, low: Floats, high: Floats
) -> pd.DataFrame:
    """Rows of one condition; values [M, S, P], low and high [M]."""
    model, priming, algorithm = condition.key
    return pd.DataFrame(
        {
            "model": model,
            "priming": priming,
            "algorithm": algorithm,
            "metric": list(names),
            "mean": np.nanmean(values, axis=(-2, -1)),
            "low": low,
            "high": high,
            "n_seeds": len(condition.seeds),
            "n_problems": len(condition.problems),
            "interval": "seeds+problems" if len(condition.seeds) > 1 else "problems",
            "method": "bootstrap",
        }
    )


def _with_pass_at_k(condition: Condition, index: int) -> tuple[tuple[str, ...], Floats]:
    """Metrics of one evaluation step and pass@k for each k its samples allow: names [M], values [M, S, P]."""
    allowed = [k for k in PASS_AT if k <= condition.samples_T_S_P[index].min()]
    extra = [condition.pass_at_k(k, condition.steps[index]) for k in allowed]
    names = (*condition.metrics, *(f"pass_at_{k}" for k in allowed))
    return names, np.concatenate([condition.values_T_M_S_P[index], *(e[None] for e in extra)])


def _single(condition: Condition, index: int) -> bool:
    """Whether an evaluation step has one seed and one sample a problem."""
    return len(condition.seeds) == 1 and int(condition.samples_T_S_P[index].max()) == 1


def _wilson(frame: pd.DataFrame, n: int, confidence: float) -> pd.DataFrame:
    """Shares of n single samples from one seed are plain proportions: Wilson's interval instead."""
    shares = frame.metric.isin(SHARES).to_numpy()
    intervals = np.array(
        [wilson(round(share * n), n, confidence) for share in frame["mean"].to_numpy()[shares]]
    )
    frame.loc[shares, ["low", "high"]] = intervals
    frame.loc[shares, "method"] = "wilson"
    return frame


def _only_seed(condition: Condition, index: int) -> Condition:
    return Condition(
        condition.key,
        (condition.seeds[index],),
        condition.steps,
        condition.problems,
        condition.metrics,
        condition.values_T_M_S_P[:, :, [index]],
        condition.samples_T_S_P[:, [index]],
    )
