"""Agreement of two raters: the numbers of well-known libraries, intervals that hold what was planted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import pearsonr
from sklearn.metrics import cohen_kappa_score, precision_score, recall_score

from habits.analysis.agreement import agreement, drift, sums_by
from habits.analysis.resampling import Resampler

RESAMPLER = Resampler(500, 1, 0.95)
COUNTS = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), min_size=12, max_size=40)


def found(rater: np.ndarray, reference: np.ndarray, problems: np.ndarray | None = None) -> dict:
    problems = np.arange(len(rater)) if problems is None else problems
    sums = sums_by(problems, int(problems.max()) + 1, rater.astype(float), reference.astype(float))
    return {one.statistic: one for one in agreement(sums, RESAMPLER)}


@given(COUNTS)
def test_statistics_are_those_of_scikit_learn_and_scipy(counts: list[tuple[int, int]]) -> None:
    rater, reference = np.array(counts).T
    ours = found(rater, reference)
    if len(set(rater)) > 1 and len(set(reference)) > 1:
        kappa = cohen_kappa_score(rater, reference, labels=range(8), weights="quadratic")
        assert ours["weighted_kappa"].value == pytest.approx(kappa, abs=1e-9)
        assert ours["correlation"].value == pytest.approx(pearsonr(rater, reference)[0], abs=1e-9)
    if (rater > 0).any() and (reference > 0).any():
        assert ours["precision"].value == pytest.approx(precision_score(reference > 0, rater > 0))
        assert ours["recall"].value == pytest.approx(recall_score(reference > 0, rater > 0))
    assert ours["bias"].value == pytest.approx((rater - reference).mean())


def test_what_is_undefined_has_no_value_and_no_interval() -> None:
    ours = found(np.zeros(20), np.zeros(20))
    for name in ("weighted_kappa", "precision", "recall", "correlation"):
        assert np.isnan([ours[name].value, ours[name].low, ours[name].high]).all(), name
    assert (ours["bias"].value, ours["bias"].low, ours["bias"].n_responses) == (0, 0, 20)
    nobody = agreement(np.zeros((5, 9)), RESAMPLER)
    assert all(np.isnan(one.value) and one.n_responses == one.n_problems == 0 for one in nobody)


def test_a_perfect_share_of_few_responses_is_not_certain() -> None:
    rater = np.array([1, 0, 2, 0, 1, 0, 0, 3])
    precision = found(rater, rater)["precision"]
    assert precision.value == precision.high == 1
    assert 0.4 < precision.low < 0.6, "Wilson's interval for 4 of 4"


def test_intervals_hold_the_planted_confusion_as_often_as_they_say() -> None:
    """Judge and oracle on 3 responses to each of 120 problems that differ; recall 0.8, precision 0.75."""
    rng = np.random.default_rng(11)
    problems = np.repeat(np.arange(120), 3)
    hits = {"precision": 0, "recall": 0}
    for _ in range(300):
        present = rng.random(360) < np.repeat(rng.beta(2, 2, 120), 3)
        invented = 0.8 * 0.25 / 0.75  # as many false as make precision 0.75 when half are present
        seen = np.where(present, rng.random(360) < 0.8, rng.random(360) < invented)
        ours = found(seen, present, problems)
        for name, truth in (("precision", 0.75), ("recall", 0.8)):
            hits[name] += ours[name].low <= truth <= ours[name].high
    assert all(0.92 <= count / 300 <= 0.98 for count in hits.values()), hits


def test_responses_to_one_problem_are_not_taken_for_independent() -> None:
    """All six responses to a problem alike: intervals must be those of 50 problems, not of 300 responses."""
    rng = np.random.default_rng(3)
    reference, noise = rng.poisson(2, 50), rng.integers(-1, 2, 50)
    once = found(np.maximum(reference + noise, 0), reference)
    rater, repeated = np.repeat(np.maximum(reference + noise, 0), 6), np.repeat(reference, 6)
    sixfold = found(rater, repeated, np.repeat(np.arange(50), 6))
    apart = found(rater, repeated)
    for name in ("weighted_kappa", "bias", "recall"):
        widths = [side[name].high - side[name].low for side in (once, sixfold, apart)]
        assert widths[1] == pytest.approx(widths[0]) and widths[2] < 0.55 * widths[0], name


def test_a_planted_drift_is_found_and_none_where_there_is_none() -> None:
    rng = np.random.default_rng(7)
    reference = rng.poisson(3, (2, 200)).astype(float)
    rater = np.stack([reference[0], rng.binomial(reference[1].astype(int), 0.6)]).astype(float)
    first, last = (sums_by(np.arange(200), 200, rater[i], reference[i]) for i in (0, 1))
    change = {one.statistic: one for one in drift(first, last, RESAMPLER)}
    assert change["bias"].low < -1.2 < change["bias"].high < 0
    assert change["weighted_kappa"].high < 0
    same = {one.statistic: one for one in drift(first, first, RESAMPLER)}
    assert all(one.value == 0 for one in same.values())
