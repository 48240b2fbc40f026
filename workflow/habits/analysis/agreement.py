"""How far two raters agree on the same responses, with intervals, and how that drifts over RL steps.

Pure functions of arrays; reads and writes nothing. Every statistic is a function of sums over responses, so a
resample of problems needs no more than the sums a problem. Whole problems are redrawn, as responses to one
problem (from several seeds) are not independent. Axis letters: P problem, M sum, B resample.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from habits.analysis.resampling import Floats, Interval, Resampler, wilson


@dataclass(frozen=True)
class Sums:
    """Sums over responses that both raters counted; any shape, one entry a group of responses.

    Attributes:
        n: responses.
        rater, reference: sum of counts.
        rater_squared, reference_squared, product: sum of squares and products of counts.
        both, only_rater, only_reference: responses in which the behavior is present (count above 0) to both,
            to the rater alone, to the reference alone.
    """

    n: Floats
    rater: Floats
    reference: Floats
    rater_squared: Floats
    reference_squared: Floats
    product: Floats
    both: Floats
    only_rater: Floats
    only_reference: Floats

    @classmethod
    def split(cls, sums_M: Floats) -> Sums:
        """From an array whose last axis holds the sums in the order of the attributes."""
        return cls(*np.moveaxis(sums_M, -1, 0))


def sums_by(groups: NDArray[np.int64], n_groups: int, rater: Floats, reference: Floats) -> Floats:
    """The ``Sums`` of each group of responses: [n_groups, M].

    Args:
        groups: the group (problem) of each response, 0 to n_groups - 1.
        rater, reference: counts of the same responses, none of them NaN.
    """
    seen, there = rater > 0, reference > 0
    counts = [np.ones_like(rater), rater, reference, rater**2, reference**2, rater * reference]
    present = [seen & there, seen & ~there, there & ~seen]
    totals = [np.bincount(groups, weights=values, minlength=n_groups) for values in (*counts, *present)]
    return np.stack(totals, axis=-1)


def weighted_kappa(sums: Sums) -> Floats:
    """Cohen's kappa (1968), weights quadratic in the difference of the counts.

    1 - (mean squared difference) / (the same for independent raters with these counts): what scikit-learn's
    ``cohen_kappa_score`` gives when every integer up to the largest count is a label.
    """
    n = _positive(sums.n)
    squares = (sums.rater_squared + sums.reference_squared) / n
    by_chance = squares - 2 * sums.rater * sums.reference / n**2
    return 1 - (squares - 2 * sums.product / n) / _positive(by_chance)


def correlation(sums: Sums) -> Floats:
    """Pearson's r of the counts."""
    n = _positive(sums.n)
    means = sums.rater / n, sums.reference / n
    spreads = [
        np.maximum(squared / n - mean**2, 0)
        for squared, mean in zip((sums.rater_squared, sums.reference_squared), means, strict=True)
    ]
    return (sums.product / n - means[0] * means[1]) / _positive(np.sqrt(spreads[0] * spreads[1]))


def precision(sums: Sums) -> Floats:
    """Of the responses in which the rater sees the behavior, the share in which the reference does."""
    return sums.both / _positive(sums.both + sums.only_rater)


def recall(sums: Sums) -> Floats:
    """Of the responses in which the reference sees the behavior, the share in which the rater does."""
    return sums.both / _positive(sums.both + sums.only_reference)


def bias(sums: Sums) -> Floats:
    """Mean count of the rater minus that of the reference."""
    return (sums.rater - sums.reference) / _positive(sums.n)


SHARES: dict[str, Callable[[Sums], Floats]] = {"precision": precision, "recall": recall}
STATISTICS = {"weighted_kappa": weighted_kappa, **SHARES, "correlation": correlation, "bias": bias}


@dataclass(frozen=True)
class Agreement:
    """A statistic with its interval; NaN where it is undefined (counts that never vary, nothing present)."""

    statistic: str
    value: float
    low: float
    high: float
    n_responses: int
    n_problems: int


def agreement(sums_P_M: Floats, resampler: Resampler) -> list[Agreement]:
    """Every statistic over all problems; bootstrap intervals over problems, for shares see :func:`_share`."""
    counted = sums_P_M[sums_P_M[:, 0] > 0]
    problems, total, draws = Sums.split(counted), Sums.split(counted.sum(axis=0)), None
    if len(counted):
        draws = Sums.split(resampler.problem_weights(len(counted)) @ counted)
    found = []
    for name, compute in STATISTICS.items():
        value, interval = float(compute(total)), Interval(np.nan, np.nan)
        if draws is not None and np.isfinite(value):
            interval = Interval(*map(float, resampler.interval(compute(draws))))
            if name in SHARES:
                informative = int(np.isfinite(compute(problems)).sum())
                interval = _share(value, compute(draws), informative, resampler.confidence)
        found.append(Agreement(name, value, *interval, int(total.n), len(counted)))
    return found


def drift(first_P_M: Floats, last_P_M: Floats, resampler: Resampler) -> list[Agreement]:
    """Change of every statistic from one evaluation step to another, the same problems redrawn for both."""
    counted = (first_P_M[:, 0] > 0) | (last_P_M[:, 0] > 0)
    sides = [part[counted] for part in (first_P_M, last_P_M)]
    totals = [Sums.split(part.sum(axis=0)) for part in sides]
    problems = int(counted.sum())
    draws = [Sums.split(resampler.problem_weights(problems) @ part) for part in sides] if problems else []
    found = []
    for name, compute in STATISTICS.items():
        value, interval = float(compute(totals[1]) - compute(totals[0])), Interval(np.nan, np.nan)
        if np.isfinite(value):
            interval = Interval(*map(float, resampler.interval(compute(draws[1]) - compute(draws[0]))))
        found.append(Agreement(name, value, *interval, int(totals[0].n + totals[1].n), problems))
    return found


def _share(share: float, draws: Floats, problems: int, confidence: float) -> Interval:
    """Wilson's interval at the effective number of trials, that which explains the spread of ``draws``.

    A share of 0 or 1 does not spread, however few responses it rests on; its trials are the problems that it
    says something about. A percentile interval would have no width there.
    """
    spread = float(np.nanvar(draws))
    trials = share * (1 - share) / spread if spread > 1e-12 else float(problems)
    trials = max(1, int(trials))
    return wilson(share * trials, trials, confidence)


def _positive(values: Floats) -> Floats:
    """A denominator: NaN where it is not above 0, as the ratio is then undefined and not infinite."""
    return np.where(values > 1e-12, values, np.nan)
