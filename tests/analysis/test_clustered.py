"""Means, differences and slopes with errors clustered by problem, against statsmodels and by simulation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

from habits.analysis import clustered
from habits.analysis.resampling import wilson


def drawn(seed: int = 0, problems: int = 60, n: int = 900) -> pd.DataFrame:
    """Responses of 8 policies: hard problems get long and bad ones, but within a problem longer is better."""
    rng = np.random.default_rng(seed)
    problem = rng.integers(0, problems, n)
    hardness = rng.normal(size=problems)[problem]
    length = 80 + 20 * hardness + rng.normal(0, 10, n)
    policy = rng.integers(0, 8, n)
    score = -2 * hardness + 0.03 * (length - 80) + 0.2 * policy + rng.normal(size=n)
    return pd.DataFrame({"problem": problem, "policy": policy, "length": length, "score": score})


def arrays(frame: pd.DataFrame) -> tuple[np.ndarray, ...]:
    return tuple(frame[name].to_numpy() for name in ("score", "length", "problem", "policy"))


def test_a_slope_within_problems_is_that_of_a_regression_with_a_dummy_for_each() -> None:
    frame = drawn()
    score, length, problem, policy = arrays(frame)
    ours = clustered.slope_within(score, length, problem, policy, 0.95)
    theirs = smf.ols("score ~ length + C(problem) + C(policy)", frame).fit(
        cov_type="cluster", cov_kwds={"groups": frame["problem"]}, use_t=True
    )
    assert ours.value == pytest.approx(theirs.params["length"], abs=1e-6)
    low, high = theirs.conf_int().loc["length"]
    # Statsmodels also counts the dummies as lost degrees of freedom: at most that much wider.
    assert (high - low) * 0.9 < ours.high - ours.low <= (high - low) * 1.001


def test_difficulty_turns_the_slope_around_and_the_comparison_within_problems_finds_the_truth() -> None:
    score, length, problem, policy = arrays(drawn())
    across = clustered.slope(score, length, problem, 0.95)
    within = clustered.slope_within(score, length, problem, policy, 0.95)
    assert across.high < 0 < within.low
    assert within.low < 0.03 < within.high


def test_a_raw_slope_is_that_of_statsmodels() -> None:
    frame = drawn(1)
    score, length, problem, _ = arrays(frame)
    theirs = smf.ols("score ~ length", frame).fit(
        cov_type="cluster", cov_kwds={"groups": frame["problem"]}, use_t=True
    )
    ours = clustered.slope(score, length, problem, 0.95)
    assert (ours.value, ours.low, ours.high) == pytest.approx(
        (theirs.params["length"], *theirs.conf_int().loc["length"])
    )


def test_repeats_of_a_problem_are_not_independent_trials() -> None:
    hits = np.repeat(np.tile([0.0, 1.0], 25), 20)  # 50 problems, always or never solved, 20 responses each
    clusters = np.repeat(np.arange(50), 20)
    ours = clustered.share(hits, clusters, 0.95)
    problems, responses = wilson(25, 50, 0.95), wilson(500, 1000, 0.95)
    assert (ours.low, ours.high) == pytest.approx(problems, abs=0.01)
    assert ours.high - ours.low > 3 * (responses.high - responses.low)
    alone = clustered.share(hits, np.arange(1000), 0.95)
    assert (alone.low, alone.high) == pytest.approx(responses, abs=0.001)


def test_an_interval_of_a_share_covers_its_truth() -> None:
    covered = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        chance = np.repeat(rng.beta(1, 3, 40), 5)
        hits = (rng.random(200) < chance).astype(float)
        ours = clustered.share(hits, np.repeat(np.arange(40), 5), 0.95)
        covered += ours.low <= 0.25 <= ours.high
    assert covered >= 184  # 92 %, two standard errors below 95 %


def test_no_hit_still_leaves_room_for_some() -> None:
    ours = clustered.share(np.zeros(300), np.repeat(np.arange(30), 10), 0.95)
    assert (ours.value, ours.low, ours.high) == pytest.approx((0.0, *wilson(0, 30, 0.95)))


def test_a_rate_is_the_ratio_of_the_sums() -> None:
    counts, lengths = np.array([1.0, 0, 3, 0, 0, 2]), np.array([10.0, 30, 20, 15, 5, 40])
    ours = clustered.mean(counts / lengths, np.array([0, 0, 1, 1, 2, 2]), 0.95, weights_N=lengths)
    assert ours.value == pytest.approx(6 / 120)
    assert ours.low < ours.value < ours.high


def test_a_difference_is_paired_by_problem() -> None:
    rng = np.random.default_rng(3)
    problem = np.tile(np.arange(100), 2)
    base = rng.normal(0, 3, 100)[problem]
    later = np.repeat([False, True], 100)
    ours = clustered.difference(base + 0.5 * later + rng.normal(0, 0.2, 200), later, problem, 0.95)
    assert ours.low < 0.5 < ours.high
    assert ours.high - ours.low < 0.2  # unpaired it would be 1.7


@pytest.mark.parametrize(
    ("estimate", "status"),
    [
        (clustered.mean(np.zeros(0), np.zeros(0, int), 0.95), "no responses"),
        (clustered.mean(np.array([1.0, 2]), np.array([0, 0]), 0.95), "fewer than two problems"),
        (clustered.mean(np.ones(4), np.arange(4), 0.95), "no spread"),
        (clustered.slope(np.arange(4.0), np.ones(4), np.arange(4), 0.95), "x does not vary"),
        (
            clustered.slope_within(np.arange(4.0), np.arange(4.0), np.arange(4), np.zeros(4, int), 0.95),
            "fewer than two problems have several responses",
        ),
        (
            clustered.difference(np.arange(3.0), np.ones(3, bool), np.arange(3), 0.95),
            "nothing to compare with",
        ),
    ],
)
def test_what_cannot_be_estimated_says_why(estimate: clustered.Estimate, status: str) -> None:
    assert estimate.status == status
    assert np.isnan(estimate.low) and np.isnan(estimate.high)


def test_problems_with_one_response_say_nothing_about_a_slope_within() -> None:
    frame = drawn(2)
    single = frame.assign(problem=frame["problem"] + 1000).drop_duplicates("problem").assign(score=1e6)
    kept = clustered.slope_within(*(a for a in arrays(frame)), 0.95)
    more = clustered.slope_within(*arrays(pd.concat([frame, single])), 0.95)
    assert (more.value, more.n, more.n_problems) == pytest.approx((kept.value, kept.n, kept.n_problems))
