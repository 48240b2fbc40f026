"""Two runs of the workflow compared: what changed in each condition they share, and on which problems.

Pure functions of the conditions that ``evaluations.conditions`` reads; writes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from habits.analysis.evaluations import METRICS, Condition, ConditionKey
from habits.analysis.resampling import Floats, Resampler

Conditions = dict[ConditionKey, Condition]


@dataclass(frozen=True)
class Difference:
    """A metric after RL in run A and run B, and B minus A with its interval.

    Attributes:
        paired: whether both runs were evaluated on the same problems, which are then resampled together;
            seeds are, where both runs have the same.
    """

    condition: str
    metric: str
    a: float
    b: float
    difference: float
    low: float
    high: float
    n_problems_a: int
    n_problems_b: int
    seeds_a: int
    seeds_b: int
    paired: bool

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Change:
    """A problem that one run solves more often than the other, over all seeds and samples after RL."""

    condition: str
    problem: str
    a: float
    b: float


def shared(a: Conditions, b: Conditions) -> list[ConditionKey]:
    """The conditions that both runs have, in A's order."""
    return [key for key in a if key in b]


def differences(a: Conditions, b: Conditions, points: int, resampler: Resampler) -> list[Difference]:
    """Every metric of every shared condition, averaged over the last ``points`` evaluation steps."""
    keys = shared(a, b)
    return [_difference(a[key], b[key], metric, points, resampler) for key in keys for metric in METRICS]


def changes(a: Conditions, b: Conditions) -> list[Change]:
    """Problems of the shared conditions that are solved more or less often, the largest changes first."""
    found = []
    for key in shared(a, b):
        solved = [dict(zip(c.problems, _solved(c), strict=True)) for c in (a[key], b[key])]
        both = [name for name in solved[0] if name in solved[1]]
        found += [Change(key.path, name, solved[0][name], solved[1][name]) for name in both]
    moved = [change for change in found if change.a != change.b]
    return sorted(moved, key=lambda change: (-abs(change.b - change.a), change.condition, change.problem))


def _solved(condition: Condition) -> list[float]:
    shares = np.nanmean(condition.at("accuracy", condition.steps[-1]), axis=0)
    return [float(share) for share in shares]


def _difference(a: Condition, b: Condition, metric: str, points: int, resampler: Resampler) -> Difference:
    values = [condition.final(metric, points) for condition in (a, b)]
    paired = a.problems == b.problems
    other = resampler if paired else replace(resampler, seed=resampler.seed + 1, _problem_weights={})
    draws = other.means(values[1], stream=0 if a.seeds == b.seeds else 1) - resampler.means(values[0])
    low, high = resampler.interval(draws)
    means = [_mean(v) for v in values]
    return Difference(
        condition=a.key.path,
        metric=metric,
        a=means[0],
        b=means[1],
        difference=means[1] - means[0],
        low=float(low),
        high=float(high),
        n_problems_a=len(a.problems),
        n_problems_b=len(b.problems),
        seeds_a=len(a.seeds),
        seeds_b=len(b.seeds),
        paired=paired,
    )


def _mean(values: Floats) -> float:
    return float(np.nanmean(values))
