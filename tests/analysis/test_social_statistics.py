"""Statistics of runs on social stories: what is known of synthetic runs comes out, with verdicts."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from synthetic_results import synthetic_params
from synthetic_social import CLAIMS, write_social

from habits.analysis.claims import load_report
from habits.analysis.social_findings import (
    Estimate,
    decided,
    load_findings,
    load_findings_report,
)

PROBLEMS = 240


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sizes = {"train": 60, "validation": 20, "test": PROBLEMS}
    params = synthetic_params(
        social=True, rollouts={"problems": PROBLEMS}, statistics={"bootstrap": 200}, social_iqa=sizes
    )
    return write_social(params.only("social_iqa"), tmp_path_factory.mktemp("social"))


def test_levels_are_told_apart_and_add_up(folder: Path) -> None:
    groups = pd.read_parquet(folder / "groups.parquet")
    last = groups[groups["rl_step"] == groups["rl_step"].max()]
    assert last.loc[last["metric"] == "accuracy", "mean"].mean() == pytest.approx(0.65, abs=0.1)
    tokens = last[(last["metric"] == "n_tokens") & (last["grouping"] == "level")].set_index("group")
    assert tokens["n_problems"].sum() == PROBLEMS
    assert tokens.loc["hard", "mean"] > tokens.loc["easy", "mean"] + 3


def test_what_the_synthetic_runs_show_is_found(folder: Path) -> None:
    (claim,) = load_report(folder / "claims.json").results
    assert claim.verdict == "supported" and claim.ours.effect == pytest.approx(0.3, abs=0.1)
    found = {result.finding.id: result for result in load_findings_report(folder / "findings.json").results}
    harder = found["longer_only_if_harder"]
    assert harder.verdict == "supported" and 3 < harder.low < 6 < harder.high
    assert found["longer_is_not_better"].verdict == "supported"
    assert (
        found["mixing_is_rare"].verdict == "not_supported" and "None among" in found["mixing_is_rare"].reason
    )
    assert found["transfer"].verdict == "not_supported" and found["transfer"].about == "word_problems"
    assert found["transfer"].effect < 0


def test_transfer_also_stands_in_lm_evaluation_harness_form(folder: Path) -> None:
    files = sorted((folder / "lm_eval").iterdir())
    assert len(files) == 2 * 3, "before and after, of three seeds"
    document = json.loads(files[0].read_text())
    rows = pd.read_parquet(folder / "transfer.parquet")
    accuracy = document["results"]["word_problems"]["exact_match,flexible-extract"]
    assert 0 < accuracy < 1 and document["n-samples"]["word_problems"] == {"original": 120, "effective": 120}
    assert set(rows["n_seeds"]) == {3}


FINDINGS = {finding.id: finding for finding in load_findings(CLAIMS / "social_findings.yaml")}


@pytest.mark.parametrize(
    ("name", "numbers", "verdict"),
    [
        ("transfer", (0.05, 0.03, 0.07), "supported"),
        ("transfer", (0.005, 0.001, 0.009), "not_supported"),  # there, and too small to count
        ("transfer", (0.05, -0.01, 0.11), "inconclusive"),
        ("longer_is_not_better", (-0.1, -0.2, 0.01), "supported"),
        ("longer_is_not_better", (0.2, 0.1, 0.3), "not_supported"),
        ("longer_is_not_better", (0.03, -0.1, 0.2), "inconclusive"),
        ("mixing_is_rare", (0.01, 0.005, 0.02), "supported"),
        ("mixing_is_rare", (0.0, 0.0, 0.001), "not_supported"),
        ("mixing_is_rare", (0.2, 0.15, 0.25), "not_supported"),
        ("mixing_is_rare", (0.04, 0.02, 0.06), "inconclusive"),
    ],
)
def test_verdicts_follow_the_rules_of_the_file(
    name: str, numbers: tuple[float, float, float], verdict: str
) -> None:
    assert decided(FINDINGS[name], Estimate(*numbers, n=100))[0] == verdict
