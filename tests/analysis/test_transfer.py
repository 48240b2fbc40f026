"""Transfer: only whole, equal sets of items are compared, and gains in form are told from gains in maths."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from habits.analysis.resampling import Resampler
from habits.analysis.transfer import IN_FORM, evaluated, pairs_table, transfer_table
from habits.artifacts import ArtifactError

ITEMS = 200
RESAMPLER = Resampler(500, 1, 0.95)


def side(step: int, correct: np.ndarray, in_form: np.ndarray, seed: int = 11) -> pd.DataFrame:
    """Answers of one checkpoint to all items of one evaluation."""
    return pd.DataFrame(
        {
            "evaluation": "words",
            "model": "social",
            "priming": "none",
            "algorithm": "reinforce_plus_plus",
            "seed": seed,
            "checkpoint": f"hash{step}",
            "rl_step": step,
            "problem_id": [f"words-{n}" for n in range(ITEMS)],
            "n_items": ITEMS,
            "correct": correct,
            "format_ok": in_form,
            "reason": np.where(correct, "correct", np.where(in_form, "wrong_value", "no_answer")),
            "n_tokens": 20 + step,
        }
    )


def run(gain: float, form: tuple[float, float] = (1.0, 1.0), seed: int = 11) -> pd.DataFrame:
    """A run whose reasoning gets ``gain`` better and whose answers are readable to the shares in ``form``."""
    rng = np.random.default_rng(seed)
    knows = rng.random(ITEMS) < 0.4
    learned = knows | (rng.random(ITEMS) < gain / 0.6)
    readable = [rng.random(ITEMS) < share for share in form]
    return pd.concat(
        [
            side(0, knows & readable[0], readable[0], seed),
            side(40, learned & readable[1], readable[1], seed),
        ]
    )


def table(*frames: pd.DataFrame) -> pd.DataFrame:
    found = [item for frame in frames for item in evaluated(frame, "x.parquet")]
    return transfer_table(found, RESAMPLER).set_index("metric")


def test_a_gain_is_measured_on_paired_items_with_its_interval() -> None:
    found = table(*(run(0.12, seed=seed) for seed in (11, 12, 13)))
    row = found.loc["accuracy"]
    assert row["difference"] == pytest.approx(row["after"] - row["before"]) == pytest.approx(0.12, abs=0.04)
    assert 0 < row["low"] < row["difference"] < row["high"]
    assert (row["n_problems"], row["n_seeds"]) == (ITEMS, 3)


def test_a_gain_in_form_alone_is_seen_as_such() -> None:
    found = table(*(run(0.0, form=(0.6, 1.0), seed=seed) for seed in (11, 12, 13)))
    assert found.loc["accuracy", "low"] > 0.05, "more right answers are read"
    assert found.loc["answered in form", "difference"] == pytest.approx(0.4, abs=0.08)
    assert found.loc["no readable answer", "difference"] == pytest.approx(-0.4, abs=0.08)
    assert found.loc[IN_FORM, "difference"] == 0, "where both answered, nothing changed"
    assert found.loc[IN_FORM, "n_problems"] < ITEMS


def test_a_gain_in_reasoning_shows_where_both_answered() -> None:
    found = table(*(run(0.2, form=(0.8, 0.8), seed=seed) for seed in (11, 12, 13)))
    assert found.loc[IN_FORM, "low"] > 0
    assert found.loc["answered in form", "low"] < 0 < found.loc["answered in form", "high"]


def test_mcnemar_counts_the_items_that_changed() -> None:
    before = np.array([True] * 80 + [False] * 120)
    after = before.copy()
    after[70:80], after[80:110] = False, True
    form = np.ones(ITEMS, dtype=bool)
    frame = pd.concat([side(0, before, form), side(40, after, form)])
    row = pairs_table(evaluated(frame, "x")).iloc[0]
    assert (row["n"], row["both"], row["gained"], row["lost"], row["neither"]) == (200, 70, 30, 10, 90)
    assert row["p"] == pytest.approx(0.00222, abs=1e-5)  # 2 P(X <= 10), X binomial(40, 1/2)


def test_nothing_changed_is_no_evidence_of_anything() -> None:
    frame = run(0.0)
    assert pairs_table(evaluated(frame, "x")).iloc[0]["p"] == 1.0
    assert table(frame).loc["accuracy", ["difference", "low", "high"]].tolist() == [0, 0, 0]


DAMAGE = {
    "a shard that never ran": (lambda f: f[~((f.rl_step == 40) & (f.index >= 150))], "150 of 200 items"),
    "an item scored twice": (
        lambda f: pd.concat([f, f[f.rl_step == 0].head(1)]),
        "1 of them twice, such as words-0",
    ),
    "another item in its place": (
        lambda f: f.assign(
            problem_id=f.problem_id.where((f.rl_step == 0) | (f.problem_id != "words-7"), "words-900")
        ),
        "different items before and after RL, such as",
    ),
    "one checkpoint only": (lambda f: f[f.rl_step == 0], "it needs one before and one after"),
    "a stale part of another run": (
        lambda f: f.assign(checkpoint=f.checkpoint.where(f.problem_id != "words-3", "old")),
        "rows of several checkpoints",
    ),
    "a stale checkpoint of another run": (
        lambda f: pd.concat([f, f[f.rl_step == 40].assign(rl_step=20)]),
        r"RL steps \[0, 20, 40\]",
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_incomplete_or_unequal_sets_are_never_compared(name: str) -> None:
    damage, message = DAMAGE[name]
    with pytest.raises(ArtifactError, match=message):
        evaluated(damage(run(0.1)), "results/transfer/x.parquet")


def test_seeds_on_different_items_are_never_pooled() -> None:
    other = run(0.1, seed=12)
    other["problem_id"] = other["problem_id"].str.replace("words-1", "words-x1")
    with pytest.raises(ArtifactError, match="different items"):
        table(run(0.1), other)
