"""The workflow with an LLM teacher and a judge: from server to report, then from the store alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from asking import CANARY
from vendor_formats import Asked
from vendor_server import Said, VendorServer

from habits import jobs
from habits.cli import PRESETS
from habits.llm.store import spent_by_rule
from noisy_judge import NoisyJudge
from taught_by_symbols import reply

ROOT = Path(__file__).parents[2]
Command = tuple[str, ...]
# Nothing is reachable in a network of one's own. Where that is not allowed, the server at least is gone.
NO_NETWORK = ("unshare", "--map-root-user", "--net")
# No priming, priming by the teacher, and a control that is as long as its traces.
MATRIX = [
    {"model": "plain", "priming": priming, "seeds": [1]}
    for priming in ("none", "backtracking_verification", "length_matched_empty_cot")
]


@pytest.fixture
def server() -> Iterator[VendorServer]:
    """Both vendors: Claude is played by the symbolic teacher, GPT by the oracle with errors."""
    judge = NoisyJudge(unparsable=0.04, refused=0.02)

    def answer(asked: Asked) -> Said | str:
        return judge(asked) if asked.api == "openai" else reply(asked.system, asked.user)

    with VendorServer(answer, key=CANARY) as server:
        yield server


def settings(url: str, **changes: Any) -> dict[str, Any]:
    """The smoke preset with both vendors at ``url`` and claude as teacher, its models hardly trained."""
    raw = yaml.safe_load((PRESETS / "smoke.yaml").read_text())
    for name, path in (("claude", ""), ("gpt-4o-mini", "/v1")):
        raw["llm"]["models"][name] |= {"base_url": url + path, "api_key_env": "CANARY_KEY"}
    raw["llm"]["batch"] = False  # The batch API has tests of its own, and between two looks at it are 15 s.
    for model in raw["models"].values():
        model["steps"] = 20
    raw["teaching"]["requests_per_trace"] = 1.2
    return raw | {"teacher": "claude"} | changes


def run(folder: Path, raw: dict[str, Any], *targets: str, key: str = CANARY, before: Command = ()) -> str:
    """Run the workflow in ``folder`` with settings ``raw``; its messages."""
    (folder / "settings.yaml").write_text(yaml.safe_dump(raw))
    options = ("--cores", "all", "--directory", folder, "--configfile", folder / "settings.yaml")
    kept = {k: v for k, v in os.environ.items() if k not in {jobs.WORKFLOW_PID, jobs.PARAMS_FILE}}
    done = subprocess.run(
        [
            *before,
            sys.executable,
            "-m",
            "snakemake",
            "--snakefile",
            ROOT / "Snakefile",
            *options,
            "--",
            *targets,
        ],
        cwd=ROOT,
        env=kept | {"PYTHONPATH": str(ROOT / "workflow"), "CANARY_KEY": key},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-5000:]
    return done.stdout


def replayed(first: Path, second: Path, raw: dict[str, Any], *targets: str) -> None:
    """Run again elsewhere, from the stored replies alone: no network, no key."""
    shutil.copytree(first / "data/replies", second / "data/replies")
    raw["llm"]["mode"] = "replay"
    allowed = subprocess.run([*NO_NETWORK, "true"], capture_output=True).returncode == 0
    run(second, raw, *targets, key="", before=NO_NETWORK if allowed else ())


def artifacts(folder: Path) -> dict[str, bytes]:
    """Tables, decisions and weights by name, but for times; the store itself is not one."""
    found = [p for kind in ("parquet", "safetensors", "csv", "json") for p in folder.glob(f"*/**/*.{kind}")]
    known = {str(path.relative_to(folder)): path for path in found if path.parts[-2] != "replies"}
    skipped = ("provenance.json", "MANIFEST.json", "timing.parquet")
    hidden = (".snakemake", "scratch", "logs")
    return {
        name: path.read_bytes()
        for name, path in known.items()
        if not name.endswith(skipped) and not name.startswith(hidden)
    }


def assert_no_key_in(folder: Path, printed: str) -> None:
    assert CANARY not in printed
    leaks = [path for path in folder.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()]
    assert not leaks


def test_sets_are_asked_for_and_chosen_and_again_from_the_store(server: VendorServer, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir(), second.mkdir()
    traces = [
        f"data/priming/{name}/seed1.parquet"
        for name in ("backtracking_verification", "negative_only", "length_matched_empty_cot")
    ]
    raw = settings(server.url)
    printed = run(first, raw, *traces)
    assert_no_key_in(first, printed)
    asked = {name: len(pd.read_parquet(first / f"data/teaching/{name}.parquet")) for name in SHARING}
    assert asked == {"backtracking_verification": 116, "negative_only": 288, "all_strategies": 116}
    # The negative set begins with its parent's requests, which are paid for once.
    assert len(server.bill) == 288 + 116 and not server.paid_twice()
    negative = pd.read_parquet(first / "data/priming/negative_only/seed1.parquet")
    assert set(negative["teacher"]) == {"claude"} and "correct" not in set(negative["verdict"])
    replayed(first, second, raw, *traces)
    assert len(server.bill) == 288 + 116
    made = artifacts(second)
    assert len(made) == 9 and made == artifacts(first)


SHARING = ("backtracking_verification", "negative_only", "all_strategies")


@pytest.mark.slow
def test_everything_with_an_llm_teacher_and_a_judge_and_again_without_their_server(
    server: VendorServer, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir(), second.mkdir()
    raw = settings(server.url, judge="gpt-4o-mini", matrix=MATRIX)
    printed = run(first, raw, "all")
    assert_no_key_in(first, printed)
    assert not server.paid_twice()
    judged = pd.concat(map(pd.read_parquet, sorted(first.glob("results/judging/**/*.parquet"))))
    assert set(judged["rater"]) == {"gpt-4o-mini-2024-07-18/joint-1"}
    # 12 rollouts at each of three checkpoints, four behaviors each.
    assert (judged.groupby(["priming", "rl_step"]).size() == 12 * 4).all()
    assert set(judged["status"]) >= {"ok", "unparsable"} and judged["count"].isna().mean() < 0.2
    calibration = {path.stem: pd.read_parquet(path) for path in first.glob("results/calibration/*.parquet")}
    assert set(calibration) == {"agreement", "corrected", "drift", "judgements"}
    assert calibration["judgements"]["judgements"].sum() == len(judged)
    pages = {path.stem: path.read_text() for path in first.glob("reports/*.html")}
    assert "Replies of the teacher" in pages["data"] and "claude" in pages["data"]
    assert "gpt-4o-mini-2024-07-18/joint-1" in pages["judges"]
    calls = spent_by_rule(first / "data/replies").set_index("rule")["calls"]
    assert calls.index.tolist() == ["judging", "teaching"] and calls.sum() == len(server.bill)
    replayed(first, second, raw, "all")
    made = artifacts(first)
    assert len(made) > 60 and artifacts(second) == made
