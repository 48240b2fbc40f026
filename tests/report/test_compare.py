"""Two runs on one page: planted differences are found; equal runs have none."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from finished_run import HOSTILE, finish, finished_params
from markup import elements

from habits import cli
from habits.analysis.evaluations import read_per_problem
from habits.artifacts import ArtifactError, stamp, write_parquet
from habits.params import Params, validate
from habits.report.compare import write_comparison

PRIMED = {"model": "plain", "priming": "backtracking_verification", "seeds": [11, 12]}
BASE = {"model": "plain", "priming": "none", "seeds": [11]}


def finished(folder: Path, **changes: object) -> Params:
    """A finished run with its statistics and the settings that its report was written with."""
    raw = finished_params().model_dump(mode="json") | {"matrix": [PRIMED, BASE]} | changes
    raw["statistics"]["bootstrap"] = 200
    params = validate(raw)
    results, _ = finish(params, folder)
    write_parquet(read_per_problem(params, results), results / "statistics/per_problem.parquet")
    (folder / "reports").mkdir()
    stamp(folder / "reports", settings=params.model_dump(mode="json"), parents=[])
    return params


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two runs; in the second every answer to one problem is right, and a base model has another seed."""
    a, b = tmp_path_factory.mktemp("a"), tmp_path_factory.mktemp("b")
    finished(a)
    params = finished(b, matrix=[PRIMED])
    sidecar = json.loads((b / "reports/provenance.json").read_text())
    sidecar["settings"]["rl"]["learning_rate"] = 0.5
    (b / "reports/provenance.json").write_text(json.dumps(sidecar))
    base = json.loads((b / "results/base_model/plain/provenance.json").read_text()) | {"hash": "other"}
    (b / "results/base_model/plain/provenance.json").write_text(json.dumps(base))
    for path in (b / "results/rollouts").rglob("seed*.parquet"):
        frame = pd.read_parquet(path)
        write_parquet(frame.assign(correct=frame["correct"] | (frame["target"] == 20)), path)
    write_parquet(read_per_problem(params, b / "results"), b / "results/statistics/per_problem.parquet")
    return a, b


def test_what_differs_is_said(runs: tuple[Path, Path], tmp_path: Path):
    page = tmp_path / "compare.html"
    write_comparison(*map(str, runs), page)
    html = page.read_text()
    assert row_heads(html.split('id="metrics"')[0]) == {
        "matrix",
        "rl.learning_rate",
        "results/base_model/plain",
    }
    assert "Only in A: plain/none/ppo" in html
    lines = html.split('id="metrics"')[1].split("<tr>")
    accuracy = next(line for line in lines if 'scope="row">accuracy' in line)
    shown = [float(n.replace("−", "-")) for n in re.findall(r"[+−-]?\d+\.\d", accuracy)]
    a, b, difference, low, high = shown[:5]
    assert difference == pytest.approx(b - a, abs=0.11) and low <= difference <= high and difference > 0
    assert row_heads(html.split('id="problems"')[1]) == {"1-3-7=20"}
    assert HOSTILE not in html and "alert(&#39;owned&#39;)" in html


def row_heads(html: str) -> set[str]:
    return {e.text for e in elements(html, "th") if e.attributes["scope"] == "row"}


def test_equal_runs_differ_in_nothing(runs: tuple[Path, Path], tmp_path: Path):
    write_comparison(str(runs[0]), str(runs[0]), tmp_path / "same.html")
    html = (tmp_path / "same.html").read_text()
    assert "0 settings and 0 data sets or base models differ" in html
    assert "[0.0, 0.0]" in html and "problem" in html
    assert not elements(html.split('id="metrics"')[1], "b")


def test_what_is_no_run_is_told(runs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(ArtifactError, match="no folder with results/statistics"):
        write_comparison(str(runs[0]), str(tmp_path), tmp_path / "page.html")
    with pytest.raises(SystemExit) as stopped:
        cli.app(["compare", str(runs[0]), "no-such-revision", "--out", str(tmp_path / "page.html")])
    assert stopped.value.code == 2
    assert "no-such-revision" in capsys.readouterr().err
    assert not (tmp_path / "page.html").exists()
