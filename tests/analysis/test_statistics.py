"""The tables: right means and counts, every row there, and holes are errors that name the run."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from synthetic_results import PROBLEMS, Analysed

from habits.analysis.evaluations import METRICS, ConditionKey, conditions
from habits.analysis.resampling import pass_at_k, wilson
from habits.analysis.statistics import TABLES, compute_tables, write_statistics
from habits.artifacts import ArtifactError
from habits.params import Params, RunId

PRIMED = RunId(model="plain", priming="backtracking_verification", algorithm="ppo", seed=11)
NAMES = ["model", "priming", "algorithm"]


def _row(table: pd.DataFrame, **wanted: object) -> pd.Series:
    mask = np.logical_and.reduce([table[column] == value for column, value in wanted.items()])
    assert mask.sum() == 1, wanted
    return table[mask].iloc[0]


def test_every_table_is_written_with_provenance(analysed: Analysed) -> None:
    for name in TABLES:
        assert not analysed.table(name).empty, name
    assert (analysed.statistics / "provenance.json").exists()


def test_every_condition_step_and_metric_has_one_row_with_a_mean_inside_its_interval(
    analysed: Analysed,
) -> None:
    curves = analysed.table("curves")
    assert not curves.duplicated([*NAMES, "rl_step", "metric"]).any()
    expected = sum(
        len(range(0, settings.steps + 1, settings.save_every))
        for line in analysed.params.matrix
        for settings in [analysed.params.rl_settings(line)]
    )
    assert (curves.metric.isin(METRICS)).sum() == expected * len(METRICS)
    assert (curves.low <= curves["mean"] + 1e-9).all()
    assert (curves["mean"] <= curves.high + 1e-9).all()


def test_accuracy_is_the_share_of_correct_rollouts(analysed: Analysed) -> None:
    paths = sorted((analysed.results / "rollouts/plain/backtracking_verification/ppo").glob("*.parquet"))
    rollouts = pd.concat([pd.read_parquet(path) for path in paths])
    share = rollouts[rollouts.rl_step == 40].correct.mean()
    row = _row(
        analysed.table("curves"),
        model="plain",
        priming="backtracking_verification",
        algorithm="ppo",
        rl_step=40,
        metric="accuracy",
    )
    assert row["mean"] == pytest.approx(share)
    assert (row.n_seeds, row.n_problems, row.n_rollouts) == (3, PROBLEMS, 3 * PROBLEMS)
    assert (row.interval, row.method) == ("seeds+problems", "bootstrap")


def test_a_single_seed_gets_a_wilson_interval_and_says_that_seeds_were_not_resampled(
    analysed: Analysed,
) -> None:
    row = _row(
        analysed.table("curves"),
        model="plain",
        priming="all_strategies",
        algorithm="ppo",
        rl_step=40,
        metric="accuracy",
    )
    assert (row.interval, row.method) == ("problems", "wilson")
    assert (row.low, row.high) == pytest.approx(wilson(round(row["mean"] * PROBLEMS), PROBLEMS, 0.95))


def test_per_seed_means_average_to_the_condition(analysed: Analysed) -> None:
    seeds = analysed.table("per_seed").groupby([*NAMES, "rl_step", "metric"])["mean"].mean()
    curves = analysed.table("curves").set_index([*NAMES, "rl_step", "metric"])["mean"]
    pd.testing.assert_series_equal(seeds.sort_index(), curves.sort_index(), check_names=False)


def test_rollout_tokens_are_those_of_the_training_log_and_zero_before_rl(analysed: Analysed) -> None:
    curves = analysed.table("curves").query("priming == 'none' and algorithm == 'ppo' and model == 'plain'")
    log = pd.read_parquet(analysed.results / "rl/plain/none/ppo/seed11/metrics.parquet").set_index("step")
    by_step = curves.groupby("rl_step").cumulative_rollout_tokens.first()
    assert by_step[0] == 0
    assert by_step[40] == log.cumulative_rollout_tokens[40]


def test_pass_at_k_stands_where_samples_allow_it(analysed: Analysed) -> None:
    curves = analysed.table("curves")
    rows = curves[curves.metric == "pass_at_8"]
    assert set(map(tuple, rows[NAMES].to_numpy())) == {("plain", "none", "ppo")}
    grid = conditions(analysed.table("per_problem"))[ConditionKey("plain", "none", "ppo")]
    by_hand = np.mean([float((c > 0).mean()) for c in grid.correct(0)])
    assert _row(rows, rl_step=0)["mean"] == pytest.approx(by_hand)


def test_training_curves_span_the_seeds(analysed: Analysed) -> None:
    table = analysed.table("training_curves")
    row = _row(table, priming="backtracking_verification", rl_step=7, metric="accuracy")
    assert row.low < row["mean"] < row.high
    assert row.n_seeds == 3


def test_final_of_several_points_is_their_mean(analysed: Analysed) -> None:
    params = analysed.params.model_copy(
        update={"statistics": analysed.params.statistics.model_copy(update={"last_points": 2})}
    )
    curves = analysed.table("curves").query("metric == 'n_tokens' and rl_step in [30, 40]")
    final = compute_tables(params, analysed.results)["final"].query("metric == 'n_tokens'")
    wanted = curves.groupby(NAMES)["mean"].mean()
    got = final.set_index(NAMES)["mean"]
    key = ("plain", "empty_cot", "ppo")
    assert got[key] == pytest.approx(wanted[key])


def test_correlation_agrees_with_pandas_and_names_the_two_coefficients_apart(analysed: Analysed) -> None:
    curves, final = analysed.table("curves"), analysed.table("final")
    start = curves.query("metric == 'backtracking' and rl_step == 0 and algorithm == 'ppo'")
    end = final.query("metric == 'accuracy' and algorithm == 'ppo'")
    points = start.merge(end, on=NAMES, suffixes=("_x", "_y"))
    table = analysed.table("correlation")
    pearson = _row(table, behavior="backtracking", statistic="pearson")
    spearman = _row(table, behavior="backtracking", statistic="spearman")
    assert pearson.value == pytest.approx(points.mean_x.corr(points.mean_y))
    assert spearman.value == pytest.approx(points.mean_x.rank().corr(points.mean_y.rank()))
    assert pearson.n_conditions == len(points) == 14
    assert pearson.low < pearson.value < pearson.high


def test_matched_tokens_takes_the_first_evaluation_with_enough_tokens(analysed: Analysed) -> None:
    table = analysed.table("sinking_controls")
    primed = _row(table, control="matched_tokens", role="primed")
    matched = _row(table, control="matched_tokens", role="unprimed, trained longer")
    curves = analysed.table("curves").query("algorithm == 'ppo_matched_tokens' and metric == 'accuracy'")
    enough = curves[curves.cumulative_rollout_tokens >= primed.cumulative_rollout_tokens]
    assert matched.reached == (not enough.empty)
    assert matched.rl_step == (enough.rl_step.min() if matched.reached else curves.rl_step.max())
    assert f"{primed.cumulative_rollout_tokens:,.0f}" in matched.note


def test_matched_tokens_is_reached_when_the_long_run_is_long_enough(analysed: Analysed) -> None:
    long = analysed.results / "rl/plain/none/ppo_matched_tokens/seed11/metrics.parquet"
    saved = pd.read_parquet(long)
    try:
        saved.assign(cumulative_rollout_tokens=saved.cumulative_rollout_tokens * 3).to_parquet(long)
        table = compute_tables(analysed.params, analysed.results)["sinking_controls"]
    finally:
        saved.to_parquet(long)
    matched = _row(table, role="unprimed, trained longer")
    wanted = _row(table, control="matched_tokens", role="primed").cumulative_rollout_tokens
    assert matched.reached
    assert matched.rl_step == 60
    assert matched.cumulative_rollout_tokens >= wanted


def test_pass_at_k_control_gives_the_base_as_many_samples_as_the_primed_model_tries(
    analysed: Analysed,
) -> None:
    found = conditions(analysed.table("per_problem"))
    primed = found[ConditionKey("plain", "backtracking_verification", "ppo")]
    base = found[ConditionKey("plain", "none", "ppo")]
    tries = round(1 + primed.at("backtracking", 40).mean())
    row = _row(analysed.table("sinking_controls"), role="unprimed before RL")
    assert (row.k, row.metric, row.reached) == (tries, f"pass_at_{tries}", True)
    assert row["mean"] == pytest.approx(pass_at_k(8, base.correct(0), tries).mean())


def test_controls_that_the_matrix_lacks_are_left_out(analysed: Analysed) -> None:
    lines = [line for line in analysed.params.matrix if line.variant is None]
    table = compute_tables(analysed.params.model_copy(update={"matrix": lines}), analysed.results)
    assert set(table["sinking_controls"].control) == {"pass_at_k", "give_up"}


def _broken(analysed: Analysed, tmp_path: Path) -> tuple[Params, Path]:
    """A copy of the results with one run only, to be damaged."""
    line = next(line for line in analysed.params.matrix if line.priming == PRIMED.priming)
    params = analysed.params.model_copy(update={"matrix": [line.model_copy(update={"seeds": [11, 12]})]})
    for run in params.runs:
        for path in (f"rollouts/{run.path}.parquet", f"behaviors/{run.path}.parquet"):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(analysed.results / path, tmp_path / path)
        shutil.copytree(analysed.results / "rl" / run.path, tmp_path / "rl" / run.path)
    return params, tmp_path


@pytest.mark.parametrize(
    ("kind", "damage", "message"),
    [
        ("rollouts", lambda frame: frame.iloc[:0], "has no rollouts"),
        ("rollouts", lambda frame: frame[frame.rl_step != 20], r"RL steps \[20\]"),
        ("rollouts", lambda frame: pd.concat([frame, frame]), "a rollout_id twice"),
        ("rollouts", lambda frame: frame[frame.problem_id != "problem-3"], "do not share"),
        ("behaviors", lambda frame: frame[frame.behavior != "backtracking"], "no rows for backtracking"),
        ("behaviors", lambda frame: frame.iloc[:0], "no rows for"),
        ("behaviors", lambda frame: pd.concat([frame, frame]), "counts a rollout's behavior twice"),
        ("behaviors", lambda frame: frame[~frame.rollout_id.str.endswith("-40-1")], "covers 239 of 240"),
        ("behaviors", lambda frame: frame.assign(count=pd.NA), "no value at all for verification"),
        ("metrics", lambda frame: frame[frame.step != 10], r"lacks RL steps \[10\]"),
    ],
)
def test_a_hole_is_an_error_that_names_the_run(
    analysed: Analysed, tmp_path: Path, kind: str, damage: object, message: str
) -> None:
    params, results = _broken(analysed, tmp_path)
    path = results / kind / f"{PRIMED.path}.parquet"
    if kind == "metrics":
        path = results / "rl" / PRIMED.path / "metrics.parquet"
    frame = pd.read_parquet(path)
    damage(frame).astype(frame.dtypes.to_dict()).to_parquet(path)  # type: ignore[operator]
    with pytest.raises(ArtifactError, match=message) as raised:
        write_statistics(params, results, results / "statistics")
    assert "plain/backtracking_verification/ppo" in str(raised.value)
    assert not (results / "statistics").exists()


def test_a_missing_run_is_an_error(analysed: Analysed, tmp_path: Path) -> None:
    params, results = _broken(analysed, tmp_path)
    (results / "rollouts" / f"{PRIMED.path}.parquet").unlink()
    with pytest.raises(ArtifactError, match=f"{PRIMED.path}.parquet does not exist"):
        write_statistics(params, results, results / "statistics")


def test_a_failed_judgement_is_not_a_zero(analysed: Analysed, tmp_path: Path) -> None:
    params, results = _broken(analysed, tmp_path)
    path = results / "behaviors" / f"{PRIMED.path}.parquet"
    frame = pd.read_parquet(path)
    failed = (frame["count"] == 0) & (frame.behavior == "verification")
    frame.assign(count=frame["count"].mask(failed)).to_parquet(path)
    curves = compute_tables(params, results)["per_seed"].query("seed == 11 and metric == 'verification'")
    assert (curves["mean"] >= 1).all()


def test_the_same_results_give_the_same_bytes(analysed: Analysed, tmp_path: Path) -> None:
    write_statistics(analysed.params, analysed.results, tmp_path / "again")
    for name in TABLES:
        first, second = analysed.statistics / f"{name}.parquet", tmp_path / "again" / f"{name}.parquet"
        assert first.read_bytes() == second.read_bytes(), name
