"""The typed-in published series: anchors, complete curves, and no known defect."""

from __future__ import annotations

import numpy as np
import pytest

from habits.analysis.published import LLAMA, PUBLISHED, QWEN, has_series, published, published_series
from habits.analysis.resampling import correlation
from habits.artifacts import ArtifactError


@pytest.mark.parametrize(
    ("model", "condition", "step", "accuracy"),
    [
        (LLAMA, "none", 250, 0.338),
        (LLAMA, "all_strategies", 250, 0.736),
        (LLAMA, "only_backtracking", 250, 0.769),
        (LLAMA, "backtracking_verification", 0, 0.419),
        (LLAMA, "negative_only", 250, 0.735),
        (LLAMA, "length_matched_empty_cot", 250, 0.381),
        (LLAMA, "pretraining_curated", 250, 0.489),
        (QWEN, "none", 150, 0.613),
        (QWEN, "none", 240, 0.535),
        (QWEN, "empty_cot", 250, 0.405),
    ],
)
def test_anchors(model: str, condition: str, step: int, accuracy: float) -> None:
    series = published_series(model, condition).set_index("step")
    assert series.accuracy[step] == pytest.approx(accuracy, abs=5e-4)


def test_curves_are_complete_but_for_the_rows_named_in_the_readme() -> None:
    missing = {
        (QWEN, "all_strategies"): {0},
        (QWEN, "only_backtracking"): {0, 10},
        (QWEN, "human_cot"): {80, 90},
        (QWEN, "none"): {250},
    }
    table = published()
    for (model, condition), rows in table.groupby(["model", "condition"]):
        gaps = set(range(0, 251, 10)) - set(rows.step)
        assert gaps == missing.get((str(model), str(condition)), set()), (model, condition)
    assert table[["accuracy", "response_tokens", "n_accuracy"]].notna().all(axis=None)


def test_no_two_conditions_share_a_step_zero_row() -> None:
    start = published().query("step == 0")
    assert not start.duplicated(["model", "accuracy", "response_tokens"]).any()


def test_accuracies_are_whole_counts_of_their_n() -> None:
    table = published()
    counts = table.accuracy * table.n_accuracy
    assert np.abs(counts - counts.round()).max() < 0.06  # four digits of 1024ths


def test_backtracking_before_rl_goes_with_accuracy_after_rl_as_known() -> None:
    rows = published().query("model == @LLAMA").sort_values("step").groupby("condition")
    first, last = rows.backtracking.first().to_numpy(), rows.accuracy.last().to_numpy()
    assert correlation(first, last) == pytest.approx(0.976, abs=0.002)


def test_behavior_counts_of_the_qwen_base_explode_and_fade() -> None:
    series = published_series(QWEN, "none").set_index("step")
    assert series.verification[20] < 0.5
    assert series.verification[60] > 11
    assert series.verification[240] < 0.5


def test_an_unknown_series_is_an_error() -> None:
    assert not has_series(LLAMA, "negative_control")
    with pytest.raises(ArtifactError, match="no series for Llama-3.2-3B negative_control"):
        published_series(LLAMA, "negative_control")


def test_the_file_is_small_and_documented() -> None:
    assert PUBLISHED.stat().st_size < 60_000
    assert "2503.01307" in (PUBLISHED.parent / "README.md").read_text()
