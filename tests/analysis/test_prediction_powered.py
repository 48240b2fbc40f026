"""The corrected mean: its interval covers as often as it says, however the judge errs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from habits.analysis.prediction_powered import FEWEST_PRESENT, corrected_mean
from habits.analysis.resampling import Resampler

SIMULATIONS = 1000  # 2000 gave the numbers in the module's docstring
RESAMPLER = Resampler(400, 1, 0.95)
PROBLEMS, GOLD = 200, 50


def counts(kind: str, seeds: int, rng: np.random.Generator) -> np.ndarray:
    """Gold counts [problems, seeds]; problems differ, as a few are searched much longer than others."""
    effect = rng.gamma(2, 0.5, (PROBLEMS, 1))
    if kind in PRESENT:
        return rng.poisson(2 * effect, (PROBLEMS, seeds)) * (rng.random((PROBLEMS, seeds)) < PRESENT[kind])
    return rng.poisson({"frequent": 4.0, "occasional": 0.8}[kind] * effect, (PROBLEMS, seeds))


PRESENT = {"often absent": 0.25, "rare": 0.1}
MEANS = {"frequent": 4.0, "occasional": 0.8, "often absent": 0.5, "rare": 0.2}


def judged(gold: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A judge that misses 40 %, invents a few, and fails more often on responses with many instances."""
    seen = rng.binomial(gold, 0.6) + rng.poisson(0.05, gold.shape)
    failed = rng.random(gold.shape) < 0.04 + 0.1 * (gold > 2)
    return np.where(failed, np.nan, seen)


@dataclass
class Coverage:
    """How many intervals there were, and how many of them, and of the judge's own, held the true mean."""

    intervals: int = 0
    held: float = 0
    naive_held: float = 0


def coverage(kind: str, seeds: int) -> Coverage:
    """Of the intervals of all simulations."""
    rng = np.random.default_rng([5, seeds, *kind.encode()])
    result = Coverage()
    for _ in range(SIMULATIONS):
        gold = counts(kind, seeds, rng)
        seen = judged(gold, rng)
        naive, error = np.nanmean(seen), np.nanstd(seen) / np.sqrt(PROBLEMS)
        filled = np.where(np.isnan(seen), naive, seen).mean(axis=1)
        found = corrected_mean(gold[:GOLD].mean(axis=1), filled[:GOLD], filled[GOLD:], RESAMPLER)
        if not np.isnan(found.low):
            result.intervals += 1
            result.held += found.low <= MEANS[kind] <= found.high
            result.naive_held += abs(naive - MEANS[kind]) < 1.96 * error
    return result


@pytest.mark.parametrize(
    ("kind", "seeds"), [("frequent", 1), ("frequent", 3), ("occasional", 1), ("often absent", 1)]
)
def test_intervals_cover_as_often_as_they_say(kind: str, seeds: int) -> None:
    found = coverage(kind, seeds)
    assert found.intervals > 0.9 * SIMULATIONS
    assert abs(found.held / found.intervals - 0.95) < 0.025, found
    assert found.naive_held / found.intervals < 0.9, "else the judge of this test is not biased"


def test_intervals_of_a_rare_behavior_cover_too_though_only_lucky_samples_have_one() -> None:
    found = coverage("rare", 1)
    assert 0.2 < found.intervals / SIMULATIONS < 0.5
    assert found.held / found.intervals > 0.95, found


def test_a_good_judge_makes_the_interval_narrower_and_a_useless_one_does_not_widen_it_much() -> None:
    rng = np.random.default_rng(2)
    gold = rng.poisson(3, PROBLEMS).astype(float)
    noise = rng.permutation(gold)
    good, useless = (
        corrected_mean(gold[:GOLD], seen[:GOLD], seen[GOLD:], RESAMPLER) for seen in (gold * 0.5 + 1, noise)
    )
    alone = corrected_mean(gold[:GOLD], np.zeros(GOLD), np.zeros(PROBLEMS - GOLD), RESAMPLER)
    assert good.mean == pytest.approx(gold.mean(), abs=0.25) and alone.mean == gold[:GOLD].mean()
    assert good.high - good.low < 0.65 * (alone.high - alone.low)
    assert useless.high - useless.low < 1.1 * (alone.high - alone.low)
    assert (alone.weight, good.weight) == (0, 1)


def test_a_constant_added_by_the_judge_changes_nothing() -> None:
    rng = np.random.default_rng(4)
    gold, seen = rng.poisson(2, PROBLEMS).astype(float), rng.poisson(2, PROBLEMS).astype(float)
    one = corrected_mean(gold[:GOLD], seen[:GOLD], seen[GOLD:], RESAMPLER)
    other = corrected_mean(gold[:GOLD], seen[:GOLD] + 7, seen[GOLD:] + 7, RESAMPLER)
    assert (one.mean, one.low, one.high) == pytest.approx((other.mean, other.low, other.high))


def test_too_few_gold_instances_give_a_mean_without_an_interval() -> None:
    gold = np.zeros(GOLD)
    gold[: FEWEST_PRESENT - 1] = 1
    others = np.resize([0.0, 0.0, 1.0], 100)
    found = corrected_mean(gold, gold, others, RESAMPLER)
    assert found.n_present == FEWEST_PRESENT - 1 and np.isnan([found.low, found.high]).all()
    gold[FEWEST_PRESENT] = 1
    found = corrected_mean(gold, gold, others, RESAMPLER)
    assert 0 <= found.low < found.mean < found.high


@pytest.mark.parametrize(
    ("gold", "seen", "others"),
    [([1.0], [1.0], [1.0, 2.0]), ([1.0, 2.0], [1.0, 2.0], [1.0]), ([1.0, np.nan], [1.0, 2.0], [1.0, 2.0])],
)
def test_too_little_or_missing_counts_are_an_error(
    gold: list[float], seen: list[float], others: list[float]
) -> None:
    with pytest.raises(ValueError, match="two problems with and two without"):
        corrected_mean(np.array(gold), np.array(seen), np.array(others), RESAMPLER)
