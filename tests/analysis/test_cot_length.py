"""Length against accuracy and reward, on rollouts whose truth is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from habits.analysis.analyses import analyse, prepared
from habits.analysis.responses import phases, responses, step_groups, thought_of, unit_of
from habits.artifacts import ArtifactError

LIMIT = 130


def rollouts(split: str = "test", n: int = 4000, seed: int = 0, gain: float = 0.004) -> pd.DataFrame:
    """Hard problems get long, wrong answers; of two answers to one the longer is ``gain`` a token better."""
    rng = np.random.default_rng(seed)
    problem = rng.integers(0, 200, n)
    hardness = np.random.default_rng(9).uniform(-1, 1, 200)[problem]
    length = np.clip(np.rint(80 + 40 * hardness + rng.normal(0, 15, n)), 1, LIMIT)
    stopped = length < LIMIT
    correct = stopped & (rng.random(n) < 0.5 - 0.35 * hardness + gain * (length - 80 - 40 * hardness))
    return pd.DataFrame(
        {
            "problem_id": [f"p{p}" for p in problem],
            "response": "so it is 3 </think> <answer> 3 </answer>",
            "correct": correct,
            "reward": np.where(correct, 1.0, 0.1),
            "stopped": stopped,
            "n_tokens": length.astype(int),
            "rl_step": rng.choice([0, 10, 20, 30, 40], n),
            "split": split,
            "seed": 1,
            "prompt": "Question",
        }
    )


def tables(*frames: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return analyse(pd.concat([prepared(frame, "x") for frame in frames], ignore_index=True), 0.95)


def slopes(table: pd.DataFrame, **wanted: str) -> pd.Series[Any]:
    """Slopes by comparison: accuracy over the whole training, complete responses, unless said otherwise."""
    wanted = {"source": "evaluation", "phase": "all", "metric": "accuracy", "responses": "complete", **wanted}
    for column, value in wanted.items():
        table = table[table[column] == value]
    return table.set_index("comparison")["slope"]


@pytest.fixture(scope="module")
def found() -> dict[str, pd.DataFrame]:
    return tables(rollouts(), rollouts("train", seed=1, gain=-0.004))


def test_within_a_problem_the_true_effect_of_length_shows_across_problems_its_opposite(
    found: dict[str, pd.DataFrame],
) -> None:
    by_comparison = slopes(found["length_slopes"])
    assert by_comparison["all problems"] < -0.3
    assert by_comparison["same problem"] == pytest.approx(0.4, abs=0.15)


def test_training_and_evaluation_are_kept_apart(found: dict[str, pd.DataFrame]) -> None:
    within = [slopes(found["length_slopes"], source=s)["same problem"] for s in ("evaluation", "training")]
    assert within[0] > 0.2 and within[1] < -0.2
    bins = found["length_bins"]
    counted = bins[(bins["phase"] == "all") & (bins["metric"] == "accuracy")]
    counted = counted[counted["comparison"] == "all problems"].groupby("source")["n"].sum()
    assert counted.to_dict() == {"evaluation": 4000, "training": 4000}


def test_reward_is_analysed_beside_accuracy(found: dict[str, pd.DataFrame]) -> None:
    accuracy, reward = (slopes(found["length_slopes"], metric=m) for m in ("accuracy", "reward"))
    assert (reward / accuracy).tolist() == pytest.approx([0.9, 0.9])


def test_bins_hold_equally_many_and_carry_n_interval_and_truncation(found: dict[str, pd.DataFrame]) -> None:
    bins = found["length_bins"]
    own = bins[(bins["source"] == "evaluation") & (bins["phase"] == "all") & (bins["metric"] == "accuracy")]
    raw = own[own["comparison"] == "all problems"].sort_values("bin")
    assert len(raw) == 10
    assert raw["n"].between(300, 500).all()
    assert (raw["longest"].to_numpy()[:-1] < raw["shortest"].to_numpy()[1:]).all()
    assert (raw["low"] < raw["mean"]).all() and (raw["mean"] < raw["high"]).all()
    assert raw["truncated"].iloc[:-1].max() == 0 < raw["truncated"].iloc[-1]
    within = own[own["comparison"] == "same problem"]
    assert np.average(within["mean"], weights=within["n"]) == pytest.approx(0, abs=1e-9)


def test_each_part_of_training_has_rows_of_its_own(found: dict[str, pd.DataFrame]) -> None:
    assert set(found["length_slopes"]["phase"]) == {"all", "before RL", "early", "middle", "late"}
    n = found["length_slopes"].query("responses == 'all' and metric == 'reward' and source == 'training'")
    n = n[n["comparison"] == "all problems"].set_index("phase")["n"]
    assert n["all"] == n.drop("all").sum() == 4000


def test_truncated_responses_can_be_told_from_complete_ones() -> None:
    frame = rollouts(gain=0.0)
    table = tables(frame)["length_slopes"]
    everything, complete = (slopes(table, responses=r)["same problem"] for r in ("all", "complete"))
    assert everything < complete - 0.02, "what was cut off is long and wrong by construction"


def test_equal_lengths_and_single_answers_are_no_slope_and_no_crash() -> None:
    frame = rollouts(n=300).assign(n_tokens=7).drop_duplicates("problem_id")
    table = tables(frame)["length_slopes"]
    assert table["slope"].isna().all()
    assert set(table[table["n"] > 0]["status"]) <= {
        "x does not vary",
        "fewer than two problems have several responses",
    }


def test_lengths_are_tokens_of_the_model_or_of_a_named_tokenizer_or_words() -> None:
    frame = rollouts(n=50)
    assert (responses(frame, "x")["length"] == frame["n_tokens"]).all()
    assert unit_of(frame) == "tokens"
    counted = responses(frame, "x", lambda texts: [len(text) for text in texts])
    assert (counted["length"] == len(frame["response"][0])).all()
    bare = frame.drop(columns="n_tokens")
    assert (responses(bare, "x")["length"] == 8).all()
    assert (unit_of(bare), unit_of(bare, "gpt2")) == ("words", "tokens (gpt2)")


def test_a_file_that_is_not_rollouts_is_told_by_its_missing_columns() -> None:
    with pytest.raises(ArtifactError, match=r"some\.parquet: not rollouts: problem_id, correct missing"):
        responses(pd.DataFrame({"response": ["a"]}), "some.parquet")
    with pytest.raises(ArtifactError, match="rows missing"):
        responses(rollouts(n=10).head(0), "x")


def test_only_what_is_known_is_needed() -> None:
    bare = rollouts(n=400)[["problem_id", "response", "correct"]]
    found = tables(bare)
    assert set(found["length_bins"]["source"]) == {"unknown"}
    assert set(found["length_bins"]["metric"]) == {"accuracy"}, "a reward that nobody gave is not zero"
    assert found["aha_by_step"]["rl_step"].isna().all()


def test_unknown_truncation_and_steps_stay_unknown() -> None:
    frame = rollouts(n=60)
    frame["stopped"] = pd.array([None] * 60, dtype="boolean")
    frame["rl_step"] = pd.array([None] * 60, dtype="Int64")
    rows = responses(frame, "x")
    assert rows["truncated"].isna().all() and rows["rl_step"].isna().all()
    assert set(phases(rows["rl_step"])) == {"unknown"}


def test_phases_are_thirds_after_the_start() -> None:
    assert phases(pd.Series([0.0, 1, 13, 14, 27, 40, np.nan])).tolist() == [
        *("before RL", "early", "early", "middle", "late", "late", "unknown")
    ]


def test_many_steps_are_gathered_and_step_zero_stays_alone() -> None:
    steps = pd.Series([*range(2000), np.nan])
    grouped = step_groups(steps)
    assert grouped.nunique() <= 26 and grouped.isna().sum() == 1
    assert (grouped == 0).sum() == 1
    assert (grouped.dropna() <= steps.dropna()).all()


@pytest.mark.parametrize(
    ("response", "thought"),
    [
        ("a b </think> <answer> c </answer>", "a b"),
        ("<think> a </think> b", "a"),
        ("a <answer> c </answer>", "a"),
        ("never closed", "never closed"),
        ("", ""),
    ],
)
def test_the_thought_is_what_stands_before_the_answer(response: str, thought: str) -> None:
    assert thought_of(response) == thought
