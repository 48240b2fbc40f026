"""Calibration from end to end: planted errors come out, failures are counted, people join as raters."""

from __future__ import annotations

import csv
import shutil
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from synthetic_judge import Errors, write_judging
from synthetic_results import Analysed, synthetic_params, write_synthetic_results

from habits.analysis.calibration import write_calibration
from habits.analysis.human_labels import LabelError
from habits.artifacts import ArtifactError
from habits.params import Params

JUDGE = "gpt-4o-mini-2024-07-18/joint-1"
ERRORS = Errors(miss=(0.2, 0.5), invent=0.05)
MATRIX = [
    {"model": "plain", "priming": "backtracking_verification", "seeds": [11, 12, 13]},
    {"model": "plain", "priming": "none", "seeds": [11], "samples": 2},
    {"model": "plain", "priming": "none", "seeds": [11], "variant": "long", "rl": {"steps": 80}},
]


@pytest.fixture(scope="session")
def calibrated(tmp_path_factory: pytest.TempPathFactory) -> Analysed:
    """Three conditions, 120 problems, a judge whose misses grow from 20 to 50 % during RL."""
    results = tmp_path_factory.mktemp("judged")
    params = synthetic_params(
        judge="gpt-4o-mini",
        rollouts={"problems": 120},
        statistics={"bootstrap": 400},
        judging={"samples": 100},
        calibration={"gold": 40},
        matrix=MATRIX,
    )
    write_synthetic_results(params, results)
    write_judging(params, results, ERRORS)
    write_calibration(params, results, results / "calibration")
    return Analysed(params, results)


def table(run: Analysed, name: str, folder: str = "calibration") -> pd.DataFrame:
    return pd.read_parquet(run.results / folder / f"{name}.parquet")


def test_planted_recall_and_bias_come_out_at_each_step(calibrated: Analysed) -> None:
    """For backtracking and verification of the primed condition: an instance is missed by a known chance."""
    agreement = table(calibrated, "agreement")
    assert set(agreement["rater"]) == {JUDGE} and set(agreement["reference"]) == {"oracle"}
    frequent = agreement[agreement["behavior"].isin(["verification", "backtracking"])]
    bias = frequent[frequent["statistic"] == "bias"].dropna(subset="rl_step")
    assert sorted(set(bias["rl_step"])) == [0, 10, 20, 30, 40]
    corrected = table(calibrated, "corrected").query("algorithm == 'ppo'")
    oracle = corrected.groupby(["behavior", "rl_step"])[["gold_mean"]].size()
    assert (oracle == 2).all()
    held = 0
    for row in bias.itertuples():
        miss = 0.2 + 0.3 * row.rl_step / 40
        judged = counts(calibrated, row.behavior, row.rl_step)
        held += row.low <= 0.05 - miss * judged <= row.high
    assert held >= len(bias) - 1


def counts(run: Analysed, behavior: str, step: int) -> float:
    """The oracle's mean over the judged responses of the main conditions."""
    found = []
    for key in run.params.runs:
        if key.algorithm == "ppo":
            judged = pd.read_parquet(run.results / "judging" / f"{key.path}.parquet")
            judged = judged[(judged["rl_step"] == step) & (judged["behavior"] == behavior)].dropna(
                subset="count"
            )
            oracle = pd.read_parquet(run.results / "behaviors" / f"{key.path}.parquet")
            oracle = oracle[oracle["behavior"] == behavior].set_index("rollout_id")["count"]
            found += oracle.loc[judged["rollout_id"]].tolist()
    return float(np.mean(found))


def test_planted_drift_is_found(calibrated: Analysed) -> None:
    drift = table(calibrated, "drift").set_index(["behavior", "statistic"])
    assert set(drift["first_step"]) == {0} and set(drift["last_step"]) == {40}
    for behavior in ("verification", "backtracking"):
        assert drift.loc[(behavior, "bias"), "high"] < 0
        assert drift.loc[(behavior, "weighted_kappa"), "high"] < 0


def test_corrected_means_hold_the_oracles_where_naive_ones_do_not(calibrated: Analysed) -> None:
    corrected = table(calibrated, "corrected")
    assert len(corrected) == 4 * (5 + 5 + 9) and set(corrected["gold"]) == {"oracle"}
    shown = corrected.dropna(subset="low")
    assert set(shown["priming"]) == {"backtracking_verification"} and len(shown) == 2 * 5
    held = shown["oracle_mean"].between(shown["low"], shown["high"])
    naive = shown["oracle_mean"].between(shown["naive_low"], shown["naive_high"])
    assert held.mean() >= 0.9 and naive.mean() < 0.2
    assert (shown["n_gold"] == 40).all() and (shown["n_gold"] + shown["n_others"] == 100).all()
    assert (shown["n_responses"] == 300).all()
    absent = corrected[corrected["oracle_mean"] == 0]
    assert (absent["mean"].abs() < 0.03).all() and absent["low"].isna().all()


def test_failures_are_counted_and_are_no_zeros(calibrated: Analysed) -> None:
    table_ = table(calibrated, "judgements")
    judged = pd.concat(
        pd.read_parquet(calibrated.results / "judging" / f"{run.path}.parquet")
        for run in calibrated.params.runs
    )
    for status in ("ok", "unparsable", "refused", "error"):
        assert table_[status].sum() == (judged["status"] == status).sum()
    assert table_["judgements"].sum() == len(judged) and table_["unparsable"].sum() > 0
    assert table_["missing_quotes"].sum() == table_["ok"].sum() == table_["quotes"].sum() / 2
    assert judged.loc[judged["status"] != "ok", "count"].isna().all()
    agreement = table(calibrated, "agreement").query("rl_step.isna() and statistic == 'bias'")
    assert (agreement["n_responses"] == (judged["status"] == "ok").sum() // 4).all()


def test_the_same_inputs_give_the_same_bytes(calibrated: Analysed, tmp_path: Path) -> None:
    write_calibration(calibrated.params, calibrated.results, tmp_path / "again")
    for path in (calibrated.results / "calibration").iterdir():
        if path.name != "provenance.json":
            assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes(), path.name


# People


def with_labels(run: Analysed, path: Path) -> Params:
    calibration = run.params.calibration.model_copy(update={"human_labels": str(path)})
    return run.params.model_copy(update={"calibration": calibration})


@pytest.fixture
def sheet(calibrated: Analysed) -> list[dict[str, str]]:
    with (calibrated.results / "calibration/label_sheet.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def fill(rows: list[dict[str, str]], path: Path) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_the_sheet_begins_with_one_problem_from_every_cell_and_hides_conditions(
    calibrated: Analysed, sheet: list[dict[str, str]]
) -> None:
    cells = 3 * 5 + 5 + 9  # runs and checkpoints; 40 gold problems each, fewer where 2 samples a problem
    assert len(sheet) >= cells * 25 and len({row["label_id"] for row in sheet}) == len(sheet)
    assert not any("plain" in value for row in sheet for value in row.values())
    assert all(row["response"].startswith("'=1") for row in sheet), "no spreadsheet may take it for a formula"


def test_people_join_as_raters_and_as_gold(
    calibrated: Analysed, sheet: list[dict[str, str]], tmp_path: Path
) -> None:
    """Two people who agree with the oracle but for one behavior; one labels only half of the sheet."""
    rollouts, oracle = [], []
    for run in calibrated.params.runs:
        rollouts.append(pd.read_parquet(calibrated.results / "rollouts" / f"{run.path}.parquet"))
        oracle.append(pd.read_parquet(calibrated.results / "behaviors" / f"{run.path}.parquet"))
    from habits.analysis.human_labels import label_id

    names = {
        label_id(row.rollout_id, row.response): row.rollout_id for row in pd.concat(rollouts).itertuples()
    }
    truth = pd.concat(oracle).set_index(["rollout_id", "behavior"])["count"]
    rows = []
    for rater, share in (("Ada", 1.0), ("Ben", 0.5)):
        for row in sheet[: int(share * len(sheet))]:
            labels = {b: str(truth[names[row["label_id"]], b]) for b in ("verification", "backtracking")}
            rows.append({**row, "rater": rater, **labels, "subgoal_setting": "1"})
    rows += sheet[:5]  # not filled in
    params = with_labels(calibrated, fill(rows, tmp_path / "labels.csv"))
    write_calibration(params, calibrated.results, tmp_path / "out")
    agreement = pd.read_parquet(tmp_path / "out/agreement.parquet").query("rl_step.isna()")
    pairs = set(zip(agreement["rater"], agreement["reference"], strict=True))
    assert pairs == set(combinations((JUDGE, "oracle", "Ada", "Ben"), 2))
    value = agreement.set_index(["rater", "reference", "behavior", "statistic"])["value"]
    assert value["oracle", "Ada", "backtracking", "weighted_kappa"] == pytest.approx(1)
    assert value["oracle", "Ada", "subgoal_setting", "bias"] == -1
    assert ("Ada", "Ben", "backward_chaining", "bias") not in value.index, "nobody labelled it"
    corrected = pd.read_parquet(tmp_path / "out/corrected.parquet")
    human = corrected[corrected["gold"] == "human"].dropna(subset="low")
    frequent = human[human["behavior"].isin(["verification", "backtracking"])]
    assert len(frequent) == 10
    assert frequent["oracle_mean"].between(frequent["low"], frequent["high"]).mean() >= 0.8


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"backtracking": "two"}, r"line 3: backtracking is 'two'; write a whole number from 0 to 999"),
        ({"backtracking": "-1"}, "backtracking is '-1'"),
        ({"backtracking": "1.5"}, "backtracking is '1.5'"),
        ({"backtracking": "٣"}, "backtracking is '٣'"),
        ({"backtracking": "10000"}, "backtracking is '10000'"),
        ({"rater": ""}, "line 3: rater is ''; write who labelled"),
        ({"rater": "<b>x</b>"}, "rater is '<b>x</b>'"),
        ({"label_id": "0" * 16}, "line 3: label_id '0000000000000000' belongs to no response of this run"),
    ],
)
def test_a_mistake_in_the_labels_is_told_by_file_line_and_fix(
    calibrated: Analysed, sheet: list[dict[str, str]], tmp_path: Path, change: dict[str, str], words: str
) -> None:
    plain = [{**row, "response": "one line"} for row in sheet[:4]]
    rows = [{**row, "rater": "Ada", "verification": "1", "backtracking": "0"} for row in plain]
    rows[1] |= change
    path = fill(rows, tmp_path / "labels.csv")
    with pytest.raises(LabelError, match=words) as caught:
        write_calibration(with_labels(calibrated, path), calibrated.results, tmp_path / "out")
    assert str(path) in str(caught.value) and "line 3" in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "no such file"),
        ("", "line 1: lacks column 'label_id'"),
        ("label_id;rater;verification", "separated by commas"),
        ("{head},mood\n", "has the unknown column 'mood'"),
        ("{head},rater\n", "has twice the column 'rater'"),
        ("{head}\n", "no row is filled in"),
        ("{head}\nab,Ada,1\n", "line 2: 3 cells, the first line has 6"),
        ('{head}\n"ab,Ada,1,1,1,1\n', "not CSV"),
        ("\xff\xfe", "not readable as UTF-8"),
    ],
)
def test_a_file_that_is_no_sheet_is_told(
    calibrated: Analysed, tmp_path: Path, text: str | None, words: str
) -> None:
    path = tmp_path / "labels.csv"
    head = "label_id,rater,verification,backtracking,subgoal_setting,backward_chaining"
    if text is not None:
        path.write_bytes(text.replace("{head}", head).encode("latin-1"))
    with pytest.raises(LabelError, match=words):
        write_calibration(with_labels(calibrated, path), calibrated.results, tmp_path / "out")


def test_a_response_labelled_twice_by_one_person_is_told(
    calibrated: Analysed, sheet: list[dict[str, str]], tmp_path: Path
) -> None:
    row = {**sheet[0], "response": "", "rater": "Ada", "verification": "1"}
    path = fill([row, {**row, "verification": "2"}], tmp_path / "labels.csv")
    with pytest.raises(LabelError, match="line 3: Ada has labelled this response in line 2 already"):
        write_calibration(with_labels(calibrated, path), calibrated.results, tmp_path / "out")


# Tables that do not fit together


def test_judgements_of_other_rollouts_or_of_two_judges_are_an_error(
    calibrated: Analysed, tmp_path: Path
) -> None:
    shutil.copytree(calibrated.results, tmp_path / "results")
    path = tmp_path / "results/judging/plain/none/ppo/seed11.parquet"
    good = pd.read_parquet(path)
    for bad, words in (
        (good.assign(rater="other/joint-1"), "not of one judge"),
        (good.assign(rollout_id=good["rollout_id"] + "x"), "not of the same rollouts"),
        (good.iloc[:0], "empty"),
        (pd.concat([good, good]), "twice"),
    ):
        bad.to_parquet(path)
        with pytest.raises(ArtifactError, match=words):
            write_calibration(calibrated.params, tmp_path / "results", tmp_path / "out")
    path.unlink()
    with pytest.raises(ArtifactError, match="does not exist"):
        write_calibration(calibrated.params, tmp_path / "results", tmp_path / "out")
