"""Rollouts with a real vLLM: opt-in, ``HABITS_GPU_PYTHON=/path/to/python`` of an environment that has one."""

import os
import subprocess
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml

from habits import params as settings
from habits.cli import PRESETS
from habits.models.base_model import new_model
from habits.models.policy import Policy, Sequences, load_policy, save_checkpoint
from habits.models.tokenizer import build_tokenizer
from habits.rollouts.rollouts import sample_rollouts
from habits.rollouts.vllm_engine import VllmFailedError, roll_out_with_vllm
from habits.tasks.countdown import Problem
from habits.tasks.countdown.problems import write_problems
from habits.tasks.task import task_of
from habits.training.interpreter import PYTHON
from habits.training.roll_out import Graded

PROBLEMS = [Problem((3, 5, 9), 24), Problem((2, 7, 14), 21), Problem((1, 10, 13), 22)] * 2


def params() -> settings.Params:
    raw = yaml.safe_load((PRESETS / "smoke.yaml").read_text())
    raw["countdown"] |= {"train": 60, "validation": 8, "test": 8}
    raw["rollouts"] |= {"problems": 8, "engine": "vllm", "batch_size": 4, "last_samples": 2}
    raw["runtime"] |= {"dtype": "float32"}
    raw["matrix"] = [{"model": "plain", "priming": "none", "seeds": [11]}]
    return settings.validate(raw)


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    spec = params().models["plain"]
    assert isinstance(spec, settings.BaseModelSpec)
    policy = Policy(new_model(spec, build_tokenizer()), torch.float32)
    save_checkpoint(policy, build_tokenizer(), Path("rl/checkpoints/step0"))
    return Path("rl/checkpoints/step0")


def roll_out(checkpoint: Path, scratch: str) -> Graded:
    return roll_out_with_vllm(
        params(),
        checkpoint,
        PROBLEMS,
        task=task_of(params(), "plain"),
        max_response_tokens=12,
        seed=5,
        gpus=0,
        scratch=Path(scratch).absolute(),
    )


def test_a_failed_engine_is_told_with_its_log(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PYTHON, "/bin/false")
    with pytest.raises(VllmFailedError, match=r"code 1; all it said is in .*vllm.log"):
        roll_out(checkpoint, "scratch/failed")


def has_vllm() -> bool:
    python = os.environ.get(PYTHON)
    return (
        bool(python)
        and not subprocess.run([str(python), "-c", "import vllm"], capture_output=True).returncode
    )


needs_vllm = pytest.mark.skipif(PYTHON not in os.environ, reason=f"{PYTHON} is not set")


@pytest.mark.slow
@needs_vllm
def test_log_probabilities_are_the_models_and_a_killed_job_goes_on(checkpoint: Path) -> None:
    assert has_vllm(), f"{PYTHON} names no environment with vLLM"
    first = roll_out(checkpoint, "scratch/a")
    policy, tokenizer = load_policy(checkpoint, params().runtime)
    assert all(ids[0] == tokenizer.bos_token_id for ids in first.prompt_ids)
    sequences = Sequences.build(first.prompt_ids, first.samples.responses, 0, torch.device("cpu"))
    with torch.no_grad():
        scores = policy.score(sequences).logprob_N.split(first.lengths)
    assert first.samples.logprob_B_R[:, 0].tolist() == pytest.approx(
        [float(s.sum()) for s in scores], abs=1e-3
    )
    # A killed job leaves whole shards; the next one samples what is missing and no row twice.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("habits.rollouts.vllm_engine.shutil.rmtree", lambda _: None)
        roll_out(checkpoint, "scratch/b")
    shards = sorted(Path("scratch/b/shards").iterdir())
    shards[1].unlink()
    kept = shards[0].stat().st_mtime_ns
    assert roll_out(checkpoint, "scratch/b").responses == first.responses, "a row's seed decides"
    assert not Path("scratch/b").exists() and kept


@pytest.mark.slow
@needs_vllm
def test_a_run_is_evaluated(checkpoint: Path) -> None:
    write_problems(params(), Path("problems"))
    sample_rollouts(params(), "plain/none/ppo/seed11", Path("rl"), Path("problems"), Path("out.parquet"))
    frame = pd.read_parquet("out.parquet")
    assert len(frame) == 16 and frame["rollout_id"].is_unique and frame["logprob"].lt(0).all()
    assert (frame["mean_entropy"] * frame["n_tokens"]).tolist() == pytest.approx((-frame["logprob"]).tolist())
