"""``habits analyze`` as a user calls it: on rollouts, on a log, on the wrong file."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from html import unescape
from pathlib import Path

import pandas as pd
import pytest
from test_cot_length import rollouts
from training_logs import Printed, through_ray, training_log, varied

from habits.analysis.analyses import TABLES
from habits.models.tokenizer import build_tokenizer
from habits.report.analyze import token_counter, write_analysis

HOSTILE = "</td><script>alert(1)</script> \u8dcc & <img src=x onerror=alert(1)>"


def habits(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "habits.cli", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="module")
def from_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The analysis of a raw Ray log of six steps, with a broken sample and a hostile one."""
    folder = tmp_path_factory.mktemp("log")
    hostile = replace(Printed(), thought=f"Wait, no. {HOSTILE}")
    text = training_log([[*varied(24), hostile] for _ in range(6)], {0: varied(12), 6: varied(12)})
    (folder / "run.log").write_text(through_ray(text.replace("  Total: 3\n", "  Total: 5\n", 1)))
    done = habits("analyze", folder / "run.log", "--out", folder / "out")
    assert done.returncode == 0, done.stderr
    assert "173 of 174 samples read" in done.stderr and "1 left out: scores do not add up" in done.stderr
    return folder / "out"


def test_a_log_becomes_rollouts_tables_figures_and_a_page(from_log: Path) -> None:
    assert {path.stem for path in from_log.glob("*.parquet")} == {*TABLES, "rollouts"}
    assert len(pd.read_parquet(from_log / "rollouts.parquet")) == 173
    report = json.loads((from_log / "import.json").read_text())
    assert report["unread_by_reason"] == {"scores do not add up": 1}
    drawn = {path.stem for path in (from_log / "figures").glob("*.svg")}
    assert drawn == {"cot_length_evaluation", "cot_length_training", "thought_words"}
    page = (from_log / "index.html").read_text()
    assert "173 of 174 samples" in page and "scores do not add up" in page
    assert "length in words" in page, "a log does not know tokens"


def test_what_a_model_wrote_is_shown_and_never_run(from_log: Path) -> None:
    page = (from_log / "index.html").read_text()
    assert "&lt;script&gt;alert(1)" in page and "\u8dcc" in page
    assert "<script>alert" not in page and "<img src=x" not in page
    assert "default-src 'none'" in unescape(page)


def test_the_findings_of_the_log_are_those_that_were_planted(from_log: Path) -> None:
    mixing = pd.read_parquet(from_log / "mixing_overall.parquet").set_index("source")["mixed"]
    assert mixing["training"] == pytest.approx(6 / 150) and mixing["evaluation"] == 0
    aha = pd.read_parquet(from_log / "aha_by_step.parquet").query("source == 'training' and kind == 'wait'")
    assert aha["count"].tolist() == [1] * 6


def test_rollouts_are_analysed_in_tokens_of_the_model(tmp_path: Path) -> None:
    frame = pd.concat([rollouts(n=600), rollouts("train", n=600)])
    frame.to_parquet(tmp_path / "rollouts.parquet")
    write_analysis(tmp_path / "rollouts.parquet", tmp_path / "out")
    page = (tmp_path / "out/index.html").read_text()
    assert "length in tokens" in page and "evaluation 600" in page and "training 600" in page
    assert not (tmp_path / "out/import.json").exists()


def test_a_named_tokenizer_counts(tmp_path: Path) -> None:
    build_tokenizer().save_pretrained(tmp_path / "tokenizer")
    counts = token_counter(str(tmp_path / "tokenizer"))(["3 + 4 = 7", "", "check 21 no"])
    assert counts == [5, 0, 3]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.log", b"nothing of that kind", "holds no sample"),
        ("x.parquet", b"not a parquet", "not a readable parquet"),
        ("missing.log", None, "cannot be read"),
    ],
)
def test_the_wrong_file_is_one_message(
    name: str, content: bytes | None, message: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    done = habits("analyze", tmp_path / name, "--out", tmp_path / "out")
    assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_an_unknown_tokenizer_is_told_with_the_way_out(tmp_path: Path) -> None:
    rollouts(n=40).to_parquet(tmp_path / "r.parquet")
    done = habits(
        "analyze", tmp_path / "r.parquet", "--out", tmp_path / "out", "--tokenizer", "nobody/nothing"
    )
    assert done.returncode == 2 and "HF_HUB_OFFLINE=0" in done.stderr, done.stderr
