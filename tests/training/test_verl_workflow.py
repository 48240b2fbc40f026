"""The whole workflow with verl's trainers, without a GPU: killed twice, and the same results as always."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest
import yaml

from checkout import ROOT
from habits.figures import available_figures
from habits.params import Params
from verl_cpu import processes, small_params

pytest.importorskip("transfer_queue", reason="needs the extra: pip install -e '.[verl-cpu]'")
pytestmark = pytest.mark.slow

RUN = "plain/backtracking_verification/ppo/seed11"
STEPS = 8


def tiny_workflow(folder: Path) -> Params:
    """One primed run, SFT and PPO by verl; written to ``folder/tiny.yaml``."""
    raw = small_params("verl", steps=STEPS).model_dump(mode="json")
    raw["models"]["plain"]["steps"] = 60
    raw["matrix"] = [{"model": "plain", "priming": "backtracking_verification", "seeds": [11]}]
    (folder / "tiny.yaml").write_text(yaml.safe_dump(raw))
    return Params.model_validate(raw)


def start(folder: Path, log: Path) -> subprocess.Popen[bytes]:
    where = ["--snakefile", ROOT / "Snakefile", "--configfile", folder / "tiny.yaml", "--directory", folder]
    command = [sys.executable, "-m", "snakemake", "--cores", "all", "--retries", "3", *where]
    found = os.environ | {"PYTHONPATH": str(ROOT / "workflow")}
    with log.open("wb") as file:
        return subprocess.Popen(command, env=found, cwd=folder, stdout=file, stderr=subprocess.STDOUT)


def wait_for_checkpoint(folder: Path, step: int, snakemake: subprocess.Popen[bytes], log: Path) -> None:
    path = folder / "scratch/results/rl" / RUN / "checkpoints" / f"step{step}"
    while not path.exists():
        assert snakemake.poll() is None, log.read_text()[-5000:]
        time.sleep(0.02)


def kill(found: list[psutil.Process]) -> None:
    assert found
    for process in found:
        process.kill()


def test_the_workflow_with_verl_survives_kills_of_its_trainer_and_of_snakemake(tmp_path: Path) -> None:
    params = tiny_workflow(tmp_path)
    log = tmp_path / "first.log"
    first = start(tmp_path, log)
    wait_for_checkpoint(tmp_path, 2, first, log)
    kill(processes("verl.trainer.main_ppo", str(tmp_path)))  # Snakemake's own restart has to go on from here
    wait_for_checkpoint(tmp_path, 4, first, log)
    assert f"[rl {RUN}] goes on after 2/{STEPS}" in log.read_text()
    ray = processes((tmp_path / "scratch/results/rl" / RUN / "ray_folder").read_text())
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert ray and not psutil.wait_procs(ray, timeout=60)[1], "Ray outlived the killed workflow"
    again = tmp_path / "second.log"
    assert start(tmp_path, again).wait(timeout=400) == 0, again.read_text()[-5000:]
    said = again.read_text()
    assert any(f"[rl {RUN}] goes on after {step}/{STEPS}" in said for step in (4, 6)), said[-5000:]
    assert not list((tmp_path / "scratch").rglob("verl"))
    check_results(tmp_path, params)


def check_results(folder: Path, params: Params) -> None:
    """What stands behind a trained run, whoever trained it."""
    metrics = pd.read_parquet(folder / "results/rl" / RUN / "metrics.parquet")
    assert list(metrics["step"]) == list(range(1, STEPS + 1)) and metrics.notna().all(axis=None)
    rollouts = pd.read_parquet(folder / f"results/rollouts/{RUN}.parquet")
    assert set(rollouts["rl_step"]) == set(range(0, STEPS + 1, params.rl.save_every))
    behaviors = pd.read_parquet(folder / f"results/behaviors/{RUN}.parquet")
    assert set(behaviors["rollout_id"]) == set(rollouts["rollout_id"])
    assert pd.read_parquet(folder / "results/statistics/final.parquet").shape[0]
    assert all((folder / f"results/figures/{name}.png").exists() for name in available_figures(params))
    assert "</html>" in (folder / "reports/index.html").read_text()
