"""Do the behaviors that a model shows before RL foretell how well it does after RL?

Across conditions: mean count at RL step 0 against final accuracy, Pearson's r and Spearman's rho (of mean
ranks; the two are computed by different functions and named apart), intervals by resampling conditions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from habits.analysis.evaluations import BEHAVIORS, Condition, ConditionKey
from habits.analysis.resampling import Floats, Resampler, correlation, ranks

SMALLEST = 3
CONDITION_STREAM = 2
STATISTICS: dict[str, Callable[[Floats, Floats], Floats]] = {
    "pearson": correlation,
    "spearman": lambda x, y: correlation(ranks(x), ranks(y)),
}


@dataclass(frozen=True)
class Correlation:
    """A coefficient with its interval over conditions; NaN where a side is constant or n < 3."""

    value: float
    low: float
    high: float
    n_conditions: int


def correlate(x: Floats, y: Floats, statistic: str, resampler: Resampler) -> Correlation:
    """Correlation of ``x`` [n] and ``y`` [n] over conditions.

    Args:
        statistic: "pearson" or "spearman".
        resampler: gives the number of resamples, the confidence and the seed; whole conditions are redrawn,
            and redraws in which one side is constant are left out.
    """
    n = len(x)
    if n < SMALLEST:
        return Correlation(np.nan, np.nan, np.nan, n)
    coefficient = STATISTICS[statistic]
    rng = np.random.default_rng([resampler.seed, CONDITION_STREAM, n])
    drawn = rng.integers(0, n, size=(resampler.resamples, n))
    redraws = coefficient(x[drawn], y[drawn])
    value = float(coefficient(x, y))
    if np.isnan(value):
        return Correlation(np.nan, np.nan, np.nan, n)
    low, high = resampler.interval(redraws)
    return Correlation(value, float(low), float(high), n)


def correlations(
    found: dict[ConditionKey, Condition], algorithm: str, points: int, resampler: Resampler
) -> pd.DataFrame:
    """One row a (behavior, statistic): value, low, high, n_conditions.

    Args:
        algorithm: only conditions trained with this label count, so a start is not counted twice.
        points: evaluation steps at the end that are averaged to "final".
    """
    chosen = [c for c in found.values() if c.key.algorithm == algorithm]
    accuracy = np.array([np.nanmean(c.final("accuracy", points)) for c in chosen])
    rows = []
    for behavior in BEHAVIORS:
        counts = np.array([np.nanmean(c.at(behavior, c.steps[0])) for c in chosen])
        for statistic in STATISTICS:
            result = correlate(counts, accuracy, statistic, resampler)
            rows.append(
                {"algorithm": algorithm, "behavior": behavior, "statistic": statistic, **vars(result)}
            )
    return pd.DataFrame(rows)
