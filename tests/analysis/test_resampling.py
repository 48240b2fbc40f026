"""Known answers for the estimators, and how often the bootstrap's intervals hold the truth."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from habits.analysis.resampling import Resampler, correlation, holm, one_sided_p, pass_at_k, ranks, wilson


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),  # Newcombe 1998, table I
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (29, 29, 0.8830, 1.0),
    ],
)
def test_wilson_gives_the_textbook_intervals(successes: int, n: int, low: float, high: float) -> None:
    assert wilson(successes, n, 0.95) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 500), st.data())
def test_wilson_holds_the_share_and_stays_in_the_unit_interval(n: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, n))
    low, high = wilson(successes, n, 0.9)
    assert 0 <= low <= successes / n + 1e-12
    assert successes / n - 1e-12 <= high <= 1


def test_wilson_refuses_impossible_counts() -> None:
    with pytest.raises(ValueError, match="5 successes in 4 trials"):
        wilson(5, 4, 0.95)


@given(st.integers(1, 7), st.data())
def test_pass_at_k_equals_the_share_of_all_draws_that_hold_a_hit(n: int, data: st.DataObject) -> None:
    correct, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    draws = list(combinations([True] * correct + [False] * (n - correct), k))
    assert pass_at_k(n, correct, k) == pytest.approx(np.mean([any(draw) for draw in draws]))


def test_pass_at_k_works_on_arrays_and_pass_at_one_is_accuracy() -> None:
    correct = np.array([[0, 2], [5, 8]])
    assert np.allclose(pass_at_k(8, correct, 1), correct / 8)
    assert np.allclose(pass_at_k(8, correct, 4), np.array([[0, 1 - 15 / 70], [1, 1]]))


def test_pass_at_k_refuses_fewer_samples_than_k() -> None:
    with pytest.raises(ValueError, match="pass@4 needs at least 4 samples"):
        pass_at_k([8, 3], [1, 1], 4)


def test_bootstrap_weights_draw_one_seed_less_than_there_are_and_every_problem_once_on_average() -> None:
    resampler = Resampler(500, 1, 0.95)
    assert set(resampler.seed_weights(3).sum(axis=1)) == {2}
    assert set(resampler.seed_weights(1).sum(axis=1)) == {1}
    assert set(resampler.problem_weights(40).sum(axis=1)) == {40}


def test_bootstrap_spread_of_seeds_equals_the_standard_error() -> None:
    seeds = np.array([0.1, 0.4, 0.7])
    draws = Resampler(20_000, 1, 0.95).means(np.repeat(seeds[:, None], 5, axis=1))
    assert draws.var() == pytest.approx(seeds.var(ddof=1) / 3, rel=0.05)


def test_bootstrap_spread_of_problems_equals_the_standard_error() -> None:
    values = np.random.default_rng(3).normal(size=(1, 100))
    draws = Resampler(20_000, 1, 0.95).means(values)
    assert draws.var() == pytest.approx(values.var() / 100, rel=0.05)


def test_bootstrap_leaves_missing_values_out() -> None:
    values = np.full((2, 6), 3.0)
    values[0, 2] = np.nan
    assert np.allclose(Resampler(50, 1, 0.95).means(values), 3.0)


def test_bootstrap_pairs_conditions_over_problems_and_unpairs_seeds_by_stream() -> None:
    resampler = Resampler(300, 1, 0.95)
    hard = np.random.default_rng(4).normal(size=(3, 50))
    assert np.allclose(resampler.means(hard + 1) - resampler.means(hard), 1)
    assert not np.allclose(resampler.means(hard + 1) - resampler.means(hard, stream=1), 1)


def test_bootstrap_is_the_same_every_time() -> None:
    values = np.random.default_rng(5).random((3, 30))
    assert np.array_equal(Resampler(100, 9, 0.95).means(values), Resampler(100, 9, 0.95).means(values))


@pytest.mark.parametrize(("seeds", "seed_spread"), [(1, 0.0), (3, 0.1), (3, 0.2)])
def test_intervals_hold_the_truth_about_as_often_as_they_say(seeds: int, seed_spread: float) -> None:
    """Accuracies from a model with problem difficulty, seed luck and chance; 95 % nominal."""
    rng = np.random.default_rng(6)
    resampler = Resampler(300, 1, 0.95)
    draws = rng.normal(size=(2, 100_000))
    truth = _sigmoid(-0.5 + draws[0] + seed_spread * draws[1]).mean()
    held = 0
    for _ in range(150):
        luck = seed_spread * rng.normal(size=(seeds, 1))
        values = (rng.random((seeds, 128)) < _sigmoid(-0.5 + rng.normal(size=(1, 128)) + luck)).astype(float)
        low, high = resampler.interval(resampler.means(values))
        held += bool(low <= truth <= high)
    assert 0.88 <= held / 150 <= 1.0


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-x)))


def test_one_sided_p_counts_draws_at_or_below_the_null_and_is_never_zero() -> None:
    assert one_sided_p(np.array([1.0, 2, 3, -1]), 0.0) == pytest.approx(2 / 5)
    assert one_sided_p(np.ones(99), 0.0) == pytest.approx(0.01)


def test_holm_gives_the_textbook_adjustment_in_the_given_order() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def test_pearson_and_spearman_differ_where_they_should() -> None:
    x = np.array([1.0, 2, 3, 4, 5])
    assert correlation(x, x**5) == pytest.approx(np.corrcoef(x, x**5)[0, 1])
    assert correlation(x, x**5) < 0.9
    assert correlation(ranks(x), ranks(x**5)) == pytest.approx(1.0)
    assert np.isnan(correlation(x, np.zeros(5)))


def test_ranks_share_ties() -> None:
    assert ranks(np.array([10.0, 20, 10, 5])).tolist() == [2.5, 4, 2.5, 1]
