"""Means, differences and slopes whose errors allow for several responses to one problem.

Responses to one problem resemble each other, so n responses say less than n independent ones would. All
errors here are cluster-robust by problem (statsmodels), with Student's t over (problems - 1). Pure
functions of arrays. Axis letters: N response, G group.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from statsmodels.regression.linear_model import OLS, WLS

from habits.analysis.resampling import Floats, wilson

Codes = NDArray[np.int64]
MAX_SWEEPS = 1000
CONVERGED = 1e-10


@dataclass(frozen=True)
class Estimate:
    """A number with its interval; ``status`` says why there is none (then its ends are NaN)."""

    value: float
    low: float
    high: float
    p: float
    n: int
    n_problems: int
    status: str = "ok"


def missing(status: str, n: int = 0, n_problems: int = 0) -> Estimate:
    """An estimate that the data do not allow, and why."""
    return Estimate(np.nan, np.nan, np.nan, np.nan, n, n_problems, status)


def codes(labels: pd.Series) -> Codes:
    """Labels as the numbers 0, 1, ...; a missing label is one of its own."""
    numbers: Codes = pd.factorize(labels, use_na_sentinel=False)[0].astype(np.int64)
    return numbers


def mean(values_N: Floats, problem_N: Codes, confidence: float, weights_N: Floats | None = None) -> Estimate:
    """The (weighted) mean. Of shares see `share`; a single problem gives no interval.

    With ``values = count / length`` and ``weights = length`` this is the rate per unit of length.
    """
    if len(values_N) == 0:
        return missing("no responses")
    return _fit(values_N, np.ones((len(values_N), 1)), problem_N, confidence, weights_N)


def share(hits_N: Floats, problem_N: Codes, confidence: float) -> Estimate:
    """A share of 0s and 1s with Wilson's interval for as many independent trials as the clusters are worth.

    The effective number is p (1 - p) / se^2 with the cluster-robust se; with no hit (or nothing but hits)
    se is 0 and the problems are counted, so the interval never collapses to a point.
    """
    count, problems = len(hits_N), len(np.unique(problem_N))
    if not count:
        return missing("no responses")
    p, error = float(hits_N.mean()), _standard_error(hits_N, problem_N)
    worth = p * (1 - p) / error**2 if error > 0 else problems
    worth = min(max(worth, 1.0), count)
    return Estimate(p, *wilson(p * worth, worth, confidence), np.nan, count, problems)


def difference(
    values_N: Floats,
    later_N: NDArray[np.bool_],
    problem_N: Codes,
    confidence: float,
    weights_N: Floats | None = None,
) -> Estimate:
    """(Weighted) mean where ``later_N`` minus that of the rest, paired by the problems that both hold."""
    if later_N.all() or not later_N.any():
        return missing("nothing to compare with", len(later_N), len(np.unique(problem_N)))
    design = np.column_stack([np.ones(len(later_N)), later_N.astype(float)])
    return _fit(values_N, design, problem_N, confidence, weights_N)


def slope(values_N: Floats, x_N: Floats, problem_N: Codes, confidence: float) -> Estimate:
    """Slope of the least-squares line through all responses."""
    if len(x_N) == 0:
        return missing("no responses")
    if np.ptp(x_N) == 0:
        return missing("x does not vary", len(x_N), len(np.unique(problem_N)))
    return _fit(values_N, np.column_stack([np.ones(len(x_N)), x_N]), problem_N, confidence)


def slope_within(
    values_N: Floats, x_N: Floats, problem_N: Codes, policy_N: Codes, confidence: float
) -> Estimate:
    """Slope among responses of one policy to one problem: fixed effects of problem and policy.

    What makes a problem hard makes answers long and wrong at once; here each problem is compared with
    itself. Problems with a single response say nothing and are left out.
    """
    keep = repeated(problem_N)
    problem, policy = problem_N[keep], policy_N[keep]
    count, problems = int(keep.sum()), len(np.unique(problem))
    if problems < 2:
        return missing("fewer than two problems have several responses", count, problems)
    x = without_effects(x_N[keep], problem, policy)
    y = without_effects(values_N[keep], problem, policy)
    if np.abs(x).max() < 1e-6:
        return missing("a problem's responses are equally long", count, problems)
    return _fit(y, x[:, None], problem, confidence)


def repeated(problem_N: Codes) -> NDArray[np.bool_]:
    """Whether a response's problem has other responses too."""
    kept: NDArray[np.bool_] = (np.bincount(problem_N)[problem_N] > 1) if len(problem_N) else np.zeros(0, bool)
    return kept


def without_effects(values_N: Floats, problem_N: Codes, policy_N: Codes) -> Floats:
    """Values minus a constant for each problem and each policy (alternating projections).

    Least squares with a dummy for every problem and policy would give the same residuals.
    """
    left = values_N - values_N.mean()
    for _ in range(MAX_SWEEPS):
        before = left
        for code in (policy_N, problem_N):
            sums = np.bincount(code, weights=left)
            left = left - (sums / np.maximum(np.bincount(code), 1))[code]
        if np.abs(left - before).max() < CONVERGED:
            break
    return np.asarray(left, dtype=float)


def _fit(
    values_N: Floats,
    design: Floats,
    problem_N: Codes,
    confidence: float,
    weights_N: Floats | None = None,
) -> Estimate:
    """The last coefficient of a least-squares fit."""
    count, problems = len(values_N), len(np.unique(problem_N))
    if problems < 2 or count <= design.shape[1]:
        value = float(np.average(values_N, weights=weights_N)) if design.shape[1] == 1 else np.nan
        return Estimate(value, np.nan, np.nan, np.nan, count, problems, "fewer than two problems")
    if np.ptp(values_N) == 0:
        value = float(values_N[0]) if design.shape[1] == 1 else 0.0
        return Estimate(value, np.nan, np.nan, np.nan, count, problems, "no spread")
    model = OLS(values_N, design) if weights_N is None else WLS(values_N, design, weights=weights_N)
    result = model.fit(cov_type="cluster", cov_kwds={"groups": problem_N}, use_t=True)
    with np.errstate(invalid="ignore"):  # a variance of 0 may come out as -1e-33
        value, error = float(result.params[-1]), float(result.bse[-1])
    if not error > 1e-12:
        return Estimate(value, np.nan, np.nan, np.nan, count, problems, "no spread")
    low, high = result.conf_int(1 - confidence)[-1]
    return Estimate(value, float(low), float(high), float(result.pvalues[-1]), count, problems)


def _standard_error(values_N: Floats, problem_N: Codes) -> float:
    """Cluster-robust standard error of a mean, 0 when all values are equal or there is one problem."""
    problems = len(np.unique(problem_N))
    if problems < 2 or np.ptp(values_N) == 0:
        return 0.0
    sums = np.bincount(problem_N, weights=values_N - values_N.mean())
    n = len(values_N)
    return float(np.sqrt((sums**2).sum() * problems / (problems - 1)) / n)
