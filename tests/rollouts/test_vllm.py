"""Rollouts with a real vLLM: opt-in, ``HABITS_GPU_PYTHON=/path/to/python`` of an environment that has one."""

import multiprocessing
import os
import subprocess
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest
import torch
import yaml
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from byte_tokenizers import byte_tokenizer
from habits import params as settings
from habits.cli import PRESETS
from habits.models.base_model import new_model
from habits.models.policy import Policy, Sequences, load_policy, save_checkpoint
from habits.models.social_iqa_corpus import WORDS
from habits.models.tokenizer import build_tokenizer, encode_prompt
from habits.rollouts.rollouts import sample_rollouts
from habits.rollouts.transfer import sample_transfer
from habits.rollouts.vllm_engine import VllmFailedError, roll_out_with_vllm
from habits.section import TinyModel
from habits.tasks.countdown import TEMPLATES, Problem
from habits.tasks.countdown.problems import write_problems
from habits.tasks.countdown.task import make
from habits.tasks.maths.maths import write_maths
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


def roll_out(checkpoint: Path, scratch: str, template: str = "short", times: int = 1) -> Graded:
    return roll_out_with_vllm(
        params(),
        checkpoint,
        PROBLEMS * times,
        task=make(params(), template),
        max_response_tokens=12,
        temperature=params().rollouts.temperature,
        seed=5,
        gpus=0,
        scratch=Path(scratch).absolute(),
    )


def test_a_failed_engine_is_told_with_its_log(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PYTHON, "/bin/false")
    with pytest.raises(VllmFailedError, match=r"code 1; all it said is in .*vllm.log"):
        roll_out(checkpoint, "scratch/failed")


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment with vLLM; its CPU build would otherwise ask for 92 % of the memory."""
    if PYTHON not in os.environ:
        pytest.skip(f"{PYTHON} is not set")
    found = subprocess.run([os.environ[PYTHON], "-c", "import vllm"], capture_output=True)
    assert found.returncode == 0, f"{PYTHON} names no environment with vLLM"
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")


FAMILIES = {
    "llama": (LlamaForCausalLM, LlamaConfig, "<|begin|>"),
    "qwen": (Qwen2ForCausalLM, Qwen2Config, None),
}


def family_checkpoint(family: str, folder: Path) -> Path:
    """A tiny random model whose tokenizer puts a BOS in front (Llama) or does not (Qwen)."""
    model, config, bos = FAMILIES[family]
    tokenizer = byte_tokenizer(bos)
    sizes = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    sizes |= {"num_key_value_heads": 1, "vocab_size": len(tokenizer), "eos_token_id": tokenizer.eos_token_id}
    torch.manual_seed(0)
    made = model(config(**sizes))
    with torch.no_grad():
        for weight in made.parameters():
            weight.mul_(4)  # far from uniform, so that another prompt would show
    made.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_vllm_samples_from_what_training_conditions_on(family: str, engine: None, tmp_path: Path) -> None:
    """Prompt tokens of SFT and RL, BOS or none; the model's log-probabilities; a seed for every row."""
    checkpoint = family_checkpoint(family, tmp_path / "model")
    first = roll_out(checkpoint, f"{tmp_path}/scratch", "paper_base")
    policy, tokenizer = load_policy(checkpoint, params().runtime)
    texts = [TEMPLATES["paper_base"].render(problem) for problem in PROBLEMS]
    assert first.prompt_ids == [encode_prompt(tokenizer, text) for text in texts]
    begins = tokenizer.convert_tokens_to_ids("<|begin|>") if family == "llama" else None
    assert all(
        (ids[0] == begins) == (family == "llama") and begins not in ids[1:] for ids in first.prompt_ids
    )
    sequences = Sequences.build(first.prompt_ids, first.samples.responses, 0, torch.device("cpu"))
    with torch.no_grad():
        scores = policy.score(sequences).logprob_N.split(first.lengths)
    told = first.samples.logprob_B_R[:, 0]
    assert told.tolist() == pytest.approx([float(score.sum()) for score in scores], abs=1e-3)
    assert torch.equal(first.samples.entropy_B_R[:, 0], -told)
    assert len(set(map(tuple, first.samples.responses))) == len(PROBLEMS), "samples of a problem differ"


@pytest.mark.slow
def test_a_killed_job_leaves_no_engine_and_goes_on(engine: None, checkpoint: Path) -> None:
    """SIGKILL after the first shard: the rest is sampled, and the same rows, as each has its own seed."""
    job = multiprocessing.get_context("spawn").Process(
        target=roll_out, args=(checkpoint, "scratch/killed", "short", 20)
    )
    job.start()
    shard = Path("scratch/killed/shards/shard00000.parquet")
    while not shard.exists():
        assert job.is_alive(), "the job ended before its first shard"
        time.sleep(0.01)
    working = psutil.Process(job.pid).children(recursive=True)
    job.kill()
    job.join()
    assert working and not psutil.wait_procs(working, timeout=20)[1], "on a GPU they would hold its memory"
    assert 1 <= len(list(shard.parent.iterdir())) < 30, "the kill came in the middle"
    before = pd.read_parquet(shard)["response_ids"].map(list).tolist()
    shard.unlink()
    again = roll_out(checkpoint, "scratch/killed", times=20).samples.responses
    assert len(again) == 120 and again[: len(before)] == before
    assert not Path("scratch/killed").exists()


@pytest.mark.slow
def test_a_run_is_evaluated(engine: None, checkpoint: Path) -> None:
    write_problems(params(), Path("problems"))
    sample_rollouts(params(), "plain/none/ppo/seed11", Path("rl"), Path("problems"), Path("out.parquet"))
    frame = pd.read_parquet("out.parquet")
    assert len(frame) == 16 and frame["rollout_id"].is_unique and frame["logprob"].lt(0).all()
    assert (frame["mean_entropy"] * frame["n_tokens"]).tolist() == pytest.approx((-frame["logprob"]).tolist())


@pytest.mark.slow
def test_problems_of_another_task_get_the_answers_that_transformers_gives(
    engine: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Greedy, in float32: the same tokens but for ties."""
    monkeypatch.chdir(tmp_path)
    raw = params().model_dump(mode="json")
    raw["countdown"] |= {"test": 12}
    raw["rollouts"] |= {"problems": 12}
    raw["models"]["social"] |= {"hidden_size": 64}  # vLLM without a GPU wants heads of 32
    raw["matrix"] = [{"model": "social", "priming": "none", "seeds": [11]}]
    raw["transfer"] = [
        {"name": name, "models": ["social"], "problems": name, "count": 12, "max_response_tokens": 16}
        for name in ("word_problems", "countdown")
    ]
    chosen = settings.validate(raw)
    write_problems(chosen, Path("data/problems/countdown"))
    write_maths(chosen, "word_problems", Path("data/maths/word_problems.parquet"))
    spec, tokenizer = chosen.models["social"], build_tokenizer(WORDS)
    assert isinstance(spec, TinyModel)
    for step in (0, 10):
        torch.manual_seed(step)
        policy = Policy(new_model(spec, tokenizer), torch.float32)
        with torch.no_grad():
            for weight in policy.model.parameters():
                weight.mul_(4)  # far from uniform, so that another prompt would show
        save_checkpoint(policy, tokenizer, Path(f"rl/checkpoints/step{step}"))
    texts = []
    for kind in ("transformers", "vllm"):
        raw["rollouts"] |= {"engine": kind}
        out = Path(f"{kind}/transfer.parquet")
        run = "social/none/reinforce_plus_plus/seed11"
        sample_transfer(settings.validate(raw), run, Path("rl"), Path("data"), out)
        table = pd.read_parquet(out).set_index(["evaluation", "rl_step", "problem_id"])
        assert len(table) == 48 and table.index.is_unique
        texts.append(table["response"])
    assert texts[0].nunique() > 12, "else the prompts were not read"
    assert texts[0].eq(texts[1].reindex(texts[0].index)).mean() >= 0.9
