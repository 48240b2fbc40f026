"""The page about the judge: the numbers of the calibration, failures as such, hostile text as text."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
from finished_run import BEHAVIORS, HOSTILE, finish, finished_params
from markup import elements

from habits.artifacts import ArtifactError, write_parquet
from habits.report.cost import spent
from habits.report.disagreements import EXAMPLES, LONGEST_SHOWN, disagreements
from habits.report.inputs import Inputs
from habits.report.judges import judges
from habits.report.report import write_report


def copied(site, folder: Path) -> Inputs:
    """The site's artifacts in a folder of its own, to be changed."""
    shutil.copytree(site.results, folder / "results")
    shutil.copytree(site.data, folder / "data")
    return Inputs(site.params.only("countdown"), folder / "results", folder / "data", site.params)


def test_numbers_are_those_of_the_calibration(site):
    shown = judges(site.inputs)
    agreement = pd.read_parquet(site.results / "calibration/agreement.parquet").query("rl_step.isna()")
    (pair,) = shown.pairs
    assert (pair.rater, pair.reference) == ("gpt-4o-mini-2024-07-18/joint-1", "oracle")
    assert [line.behavior for line in pair.lines] == list(BEHAVIORS)
    rows = agreement[agreement["behavior"] == "verification"].set_index("statistic")
    for name, estimate in pair.lines[0].statistics.items():
        assert (estimate.value, estimate.low, estimate.high) == tuple(
            rows.loc[name, ["value", "low", "high"]]
        )
    assert shown.steps == (0, 40)
    corrected = pd.read_parquet(site.results / "calibration/corrected.parquet").dropna(subset="low")
    assert shown.intervals == len(corrected) > 0
    assert shown.held == corrected["oracle_mean"].between(corrected["low"], corrected["high"]).sum()


def test_failures_are_counted_by_status(site):
    judged = pd.concat(pd.read_parquet(site.inputs.judging(run)) for run in site.inputs.runs)
    for line in judges(site.inputs).failures:
        rows = judged[judged["behavior"] == line.behavior]
        assert line.judgements == len(rows)
        for status, rate in line.rates.items():
            assert rate.value == (rows["status"] == status).mean() > 0
            assert rate.low < rate.value < rate.high
        assert line.missing.value == rows["missing_quotes"].sum() / rows["evidence"].map(len).sum()


def test_disagreements_show_what_each_rater_marked(site):
    found = disagreements(site.inputs)
    assert [d.behavior for d in found] == [name for name in BEHAVIORS for _ in range(EXAMPLES)]
    assert all((d.judge, d.oracle) == (3, 0) and d.missing == [f"{HOSTILE} never"[:200]] for d in found)
    assert all("".join(piece.text for piece in d.by_judge) == HOSTILE for d in found)


def test_the_largest_differences_are_shown_and_long_responses_cut(site, tmp_path: Path):
    inputs = copied(site, tmp_path)
    run = inputs.runs[-1]
    rollouts = pd.read_parquet(inputs.rollouts(run))
    judged = pd.read_parquet(inputs.judging(run))
    name = judged.loc[judged["status"] == "ok", "rollout_id"].iloc[-1]
    hit = (judged["rollout_id"] == name) & (judged["behavior"] == "backtracking")
    judged.loc[hit, "count"] = 40
    long = "<i>x</i>" * 100_000
    judged.loc[hit, "spans"] = pd.Series(
        [[{"start": 2990, "end": 700_000}]] * hit.sum(), index=judged.index[hit]
    )
    rollouts.loc[rollouts["rollout_id"] == name, "response"] = long
    behaviors = pd.read_parquet(inputs.behaviors(run))
    behaviors.loc[behaviors["rollout_id"] == name, "count"] = 0
    behaviors["spans"] = behaviors["spans"].where(behaviors["rollout_id"] != name, None)
    behaviors["spans"] = [[] if spans is None else spans for spans in behaviors["spans"]]
    for table, path in (
        (rollouts, inputs.rollouts(run)),
        (judged, inputs.judging(run)),
        (behaviors, inputs.behaviors(run)),
    ):
        write_parquet(table, path)
    (shown,) = [d for d in disagreements(inputs) if d.behavior == "backtracking" and d.judge == 40]
    assert (shown.oracle, shown.cut) == (0, len(long) - LONGEST_SHOWN)
    assert "".join(piece.text for piece in shown.by_judge) == long[:LONGEST_SHOWN]
    assert shown.by_judge[-1].behaviors == ("backtracking",)


def test_the_page_names_the_judge_and_escapes_what_it_quotes(site):
    html = site.html("judges.html")
    assert "gpt-4o-mini-2024-07-18/joint-1" in html
    assert html.count("&lt;/script&gt;&lt;script&gt;") >= 8
    assert not [e for e in elements(html, "img") if not e.attributes["src"].startswith("data:")]
    figures = [e.attributes["id"] for e in elements(html, "figure")]
    assert figures == ["judge_over_steps", "judge_vs_oracle"]
    assert "nan" not in re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL).lower().split()


def test_what_was_paid_stands_on_the_settings_page(site):
    lines = {line.rule: line for line in spent(site.inputs)}
    assert {rule: line.usd for rule, line in lines.items()} == {"judging": 0.0375, "teaching": 1.25}
    assert (lines["judging"].in_batches, lines["judging"].input, lines["judging"].from_cache) == (
        1,
        1200,
        200,
    )
    html = site.html("cost.html")
    assert "1.2875" in html and "gpt-4o-mini-2024-07-18" in html


def test_without_a_judge_there_is_no_such_page(tmp_path: Path):
    params = finished_params()
    results, data = finish(params, tmp_path)
    out = tmp_path / "reports"
    out.mkdir()
    (out / "judges.html").write_text("of an earlier run")
    write_report(params, results, data, out)
    assert not (out / "judges.html").exists()
    for path in out.glob("*.html"):
        assert "judges.html" not in path.read_text(), path
    assert "Cost of language models" not in (out / "cost.html").read_text()


def test_a_calibration_that_compares_nothing_is_an_error(site, tmp_path: Path):
    inputs = copied(site, tmp_path)
    path = inputs.calibration / "corrected.parquet"
    write_parquet(pd.read_parquet(path).iloc[:0], path)
    with pytest.raises(ArtifactError, match="judging.samples"):
        judges(inputs)
