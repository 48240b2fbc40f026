"""What happens around verl: records that a kill leaves behind, checkpoints, and tokens as everywhere else."""

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import PreTrainedTokenizerBase

from byte_tokenizers import byte_tokenizer
from habits import params as settings
from habits.cli import PRESETS
from habits.models.policy import Policy, load_policy, save_checkpoint
from habits.models.tokenizer import build_tokenizer, encode_prompt, encode_response, load_tokenizer
from habits.params import ParamsError, RunId, Runtime
from habits.tasks.countdown import TEMPLATES, Problem
from habits.tasks.countdown.task import make
from habits.training.guards import Watch
from habits.training.verl import checkpoints, collect, data, reward
from habits.training.verl.agent_loop import PlainPrompt
from habits.training.verl.overrides import Job
from habits.training.verl.rl import Session
from habits.training.verl.sft_dataset import TraceDataset
from verl_cpu import small_params

RUN = RunId(model="plain", priming="none", algorithm="ppo", seed=11)
RUNTIME = Runtime(threads=1, micro_batch_tokens=1000, dtype="float32", device="cpu")
TASK = make(settings.load(PRESETS / "laptop.yaml"), "short")
PROMPT = TEMPLATES["paper_base"].render(Problem((3, 5, 9), 24))


TOKENIZERS = {"llama": byte_tokenizer("<|begin|>"), "qwen": byte_tokenizer(None), "tiny": build_tokenizer()}


@dataclass
class Server:
    """Stands for verl's sampling server: keeps the prompts, answers with a fixed response."""

    answer: list[int]
    prompts: list[list[int]] = field(default_factory=list)

    async def generate(self, prompt_ids: list[int], **_: object) -> SimpleNamespace:
        self.prompts.append(prompt_ids)
        return SimpleNamespace(token_ids=self.answer, log_probs=[-0.5] * len(self.answer), extra_fields={})


def roll_out(
    tokenizer: PreTrainedTokenizerBase, prompt: str, response: str, limit: int
) -> tuple[object, Server]:
    server = Server(encode_response(tokenizer, response))
    config = SimpleNamespace(
        config=SimpleNamespace(
            actor_rollout_ref=SimpleNamespace(rollout=SimpleNamespace(response_length=limit))
        )
    )
    loop = PlainPrompt(trainer_config=config, server_manager=server, tokenizer=tokenizer, other="unused")
    asked = {"raw_prompt": [{"role": "user", "content": prompt}], "global_steps": 3, "session_id": 1}
    return asyncio.run(loop.run({"temperature": 1.0}, **asked)), server


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_sft_rl_and_evaluation_see_the_same_prompt_tokens(kind: str, tmp_path: Path) -> None:
    """Llama's tokenizer puts a BOS in front, Qwen's has none; each the same way everywhere."""
    tokenizer = TOKENIZERS[kind]
    prompt = "nums 3 5 9 target 24 <think>" if kind == "tiny" else PROMPT
    response = "5 + 3 = 8 </think>" if kind == "tiny" else " I try 5 + 3 = 8. </think>"
    evaluation = encode_prompt(tokenizer, prompt)
    assert (evaluation[0] == tokenizer.bos_token_id) == (kind != "qwen")
    assert evaluation.count(tokenizer.bos_token_id) == (kind != "qwen")
    _, server = roll_out(tokenizer, prompt, response, limit=99)
    assert server.prompts == [evaluation]
    path = tmp_path / "traces.parquet"
    pd.DataFrame({"prompt": [prompt], "response": [response]}).to_parquet(path)
    row = TraceDataset(str(path), tokenizer, SimpleNamespace(max_length=999))[0]
    assert row["input_ids"].tolist() == [*evaluation, *encode_response(tokenizer, response)]
    assert row["input_ids"][row["loss_mask"].bool()].tolist() == encode_response(tokenizer, response)
    with pytest.raises(ValueError, match="more than 5"):
        TraceDataset(str(path), tokenizer, SimpleNamespace(max_length=5))[0]


def test_the_tokenizer_that_verl_loads_is_the_models_own(tiny_policy: Policy, tmp_path: Path) -> None:
    from verl.utils import hf_tokenizer

    save_checkpoint(tiny_policy, build_tokenizer(), tmp_path / "model")
    ours = data.write_tokenizer(tmp_path / "model", tmp_path / "tokenizer")
    theirs = hf_tokenizer(str(tmp_path / "tokenizer"))
    prompt = "nums 3 5 9 target 24 <think>"
    assert encode_prompt(theirs, prompt) == encode_prompt(ours, prompt)
    assert (theirs.pad_token_id, theirs.eos_token_id) == (ours.pad_token_id, ours.eos_token_id)


def test_a_tokenizer_without_padding_gets_its_end_token(tmp_path: Path) -> None:
    TOKENIZERS["qwen"].save_pretrained(tmp_path)
    loaded = load_tokenizer(tmp_path)
    assert loaded.pad_token_id is None or loaded.pad_token_id == loaded.eos_token_id


def test_a_prompt_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="max_prompt_tokens is 5"):
        data.write_prompts([Problem((3, 5, 9), 24)], TASK, build_tokenizer(), 5, tmp_path / "train.parquet")


@pytest.mark.parametrize(("limit", "stopped"), [(99, True), (3, False)])
def test_a_cut_off_rollout_is_truncated_and_noted(
    limit: int, stopped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(reward.FOLDER, str(tmp_path))
    output, _ = roll_out(build_tokenizer(), "nums 3 5 9 target 24 <think>", "5 + 3 = 8 </think>", limit)
    shown = {"problem_id": "3-5-9=24", "numbers": [3, 5, 9], "target": 24}
    told = {**output.extra_fields, "problem": json.dumps(shown)}  # type: ignore[attr-defined]
    truth = {"numbers": [3, 5, 9], "target": 24}
    result = reward.compute_score(
        "countdown", "5 + 3 = 8", truth, told, correct=1.0, well_formed=0.1, malformed=0.0
    )
    assert result == {"score": 0.0, "acc": 0.0, "format_ok": 0.0}
    (file,) = tmp_path.glob("rollouts-*.jsonl")
    noted = json.loads(file.read_text())
    assert (noted["stopped"], noted["step"], noted["session"]) == (stopped, 3, 1)
    assert noted["reason"] == ("no_answer" if stopped else "truncated")
    assert noted["n_tokens"] == min(limit, 7) and noted["logprob"] == -0.5 * noted["n_tokens"]


def record(step: int, session: int, score: float = 1.0) -> dict[str, object]:
    return {
        "prompt": "p",
        "n_tokens": 10,
        "stopped": True,
        "logprob": -5.0,
        "step": step,
        "session": session,
        "sampled": True,
        "score": score,
        "acc": float(score == 1.0),
        "format_ok": 1.0,
        "reason": "correct" if score == 1.0 else "wrong_value",
        "problem": {"problem_id": "3-5-9=24", "numbers": [3, 5, 9], "target": 24},
        "response": "r",
    }


def write_lines(path: Path, *rows: object, end: str = "\n") -> None:
    with path.open("a") as file:
        file.write("\n".join(map(json.dumps, rows)) + end)


def test_a_half_written_line_waits_for_its_end(tmp_path: Path) -> None:
    collector = collect.Collector(RUN, tmp_path, tmp_path, temperature=1.0)
    path = tmp_path / "rollouts-1.jsonl"
    whole = json.dumps(record(1, 0))
    path.write_text(whole[:50])
    collector.read()
    assert not collector.rollouts
    path.write_text(whole + "\n")
    collector.read()
    assert len(collector.rollouts[1]) == 1


def test_validation_is_no_training_rollout(tmp_path: Path) -> None:
    collector = collect.Collector(RUN, tmp_path, tmp_path, temperature=1.0)
    write_lines(tmp_path / "rollouts-1.jsonl", {**record(1, 0), "sampled": False}, record(1, 1))
    collector.read()
    assert [r["session"] for r in collector.rollouts[1]] == [1]


def test_rows_are_written_up_to_a_checkpoint_and_no_further(tmp_path: Path) -> None:
    attempt = tmp_path / "attempt"
    attempt.mkdir()
    collector = collect.Collector(RUN, tmp_path, attempt, temperature=1.0)
    write_lines(attempt / "rollouts-1.jsonl", record(1, 0), record(2, 0, score=0.1), record(3, 0))
    write_lines(attempt / "rollouts-2.jsonl", record(1, 1), record(2, 1))
    log = {"actor/pg_loss": 0.5, "actor/entropy": 2.0, "timing_s/step": 4.0, "actor/reward_kl_penalty": 0.01}
    write_lines(attempt / "metrics.jsonl", {"step": 0, "data": {}}, {"step": 1, "data": log})
    assert collector.read() == [1]
    collector.flush(2)
    tables = collect.tables(tmp_path)
    assert tables["metrics"]["accuracy"].tolist() == [1.0, 0.5]
    assert tables["metrics"]["cumulative_rollout_tokens"].tolist() == [20, 40]
    assert tables["metrics"]["policy_loss"].iloc[0] == 0.5 and tables["metrics"]["kl"].iloc[0] == 0.01
    assert tables["metrics"]["policy_loss"].isna().tolist() == [False, True], "lost by a kill: null, not zero"
    assert tables["rollouts"]["rl_step"].tolist() == [0, 0, 1, 1]
    # Another attempt repeats step 3 after the checkpoint of step 2.
    again = collect.Collector(RUN, tmp_path, attempt, temperature=1.0)
    again.read()
    again.flush(3)
    assert collect.tables(tmp_path)["metrics"]["step"].tolist() == [1, 2, 3]


def test_only_a_complete_checkpoint_counts(tmp_path: Path) -> None:
    assert checkpoints.latest_complete(tmp_path) == 0
    for step in (2, 4):
        (tmp_path / f"global_step_{step}").mkdir()
    (tmp_path / checkpoints.TRACKER).write_text("2")
    assert checkpoints.latest_complete(tmp_path) == 2
    assert checkpoints.complete(tmp_path) == [2], "step 4 is being written"
    checkpoints.prune(tmp_path, before=5)
    assert [path.name for path in tmp_path.glob("global_step_*")] == ["global_step_4"]
    (tmp_path / checkpoints.TRACKER).write_text("")
    assert checkpoints.latest_complete(tmp_path) == 0


def test_an_exported_checkpoint_has_new_weights_and_the_old_tokenizer(
    tiny_policy: Policy, tmp_path: Path
) -> None:
    save_checkpoint(tiny_policy, build_tokenizer(), tmp_path / "start")
    with torch.no_grad():
        for weight in tiny_policy.parameters():
            weight.add_(0.25)
    tiny_policy.model.save_pretrained(tmp_path / "verl/huggingface")
    for dtype in (torch.float32, torch.bfloat16):
        checkpoints.export(tmp_path / "verl/huggingface", tmp_path / "start", tmp_path / "out", dtype)
        policy, tokenizer = load_policy(tmp_path / "out", RUNTIME)
        assert tokenizer.bos_token == "<bos>"
        for name, weight in policy.state_dict().items():
            assert torch.equal(weight, tiny_policy.state_dict()[name].to(dtype).float()), name


def test_adapters_are_merged_as_peft_merges_them(tiny_policy: Policy, tmp_path: Path) -> None:
    """verl's folder with LoRA: peft's names, and the tied output matrix under a name of its own."""
    tiny_policy.model.config.tie_word_embeddings = True
    tiny_policy.model.tie_weights()
    save_checkpoint(tiny_policy, build_tokenizer(), tmp_path / "start")
    adapters = LoraConfig(r=2, lora_alpha=6, target_modules="all-linear", init_lora_weights=False)
    model = get_peft_model(tiny_policy.model, adapters)
    weights = tmp_path / "verl/huggingface"
    weights.mkdir(parents=True)
    state = {name: weight.clone() for name, weight in model.state_dict().items()}
    save_file(state, weights / "model.safetensors")
    (tmp_path / "verl" / checkpoints.ADAPTER).write_text(
        '{"r": 2, "lora_alpha": 6, "task_type": "CAUSAL_LM"}'
    )
    checkpoints.export(weights, tmp_path / "start", tmp_path / "out", torch.float32)
    policy, _ = load_policy(tmp_path / "out", RUNTIME)
    ids = torch.arange(3, 23)[None]
    with torch.no_grad():
        merged, base = policy.model(ids).logits, load_policy(tmp_path / "start", RUNTIME)[0].model(ids).logits
        assert torch.allclose(merged, model(ids).logits, atol=1e-4)
    assert (merged - base).abs().max() > 0.1, "the adapters say something"
    assert policy.model.lm_head.weight is policy.model.model.embed_tokens.weight


def test_checkpoints_that_come_faster_than_they_are_handed_over_are_all_kept(
    tiny_policy: Policy, tmp_path: Path
) -> None:
    save_checkpoint(tiny_policy, build_tokenizer(), tmp_path / "start")
    job = Job("test", *[tmp_path / "verl"] * 5, seed=11, gpus=1, prompt_tokens=16)
    for step in (2, 4, 6):
        weights = tmp_path / f"verl/global_step_{step}/actor/huggingface"
        with torch.no_grad():
            tiny_policy.model.lm_head.weight.fill_(step)
        tiny_policy.model.save_pretrained(weights)
    (tmp_path / "verl" / checkpoints.TRACKER).write_text("4")
    params = small_params("verl")
    assert params.training.verl is not None
    watch = Watch("test", params.training.guards)
    session = Session(RUN, params.rl, params.training.verl, watch, tmp_path / "start", tmp_path, job)
    session.keep()
    for step in (2, 4):
        policy, _ = load_policy(tmp_path / f"checkpoints/step{step}", RUNTIME)
        assert policy.model.lm_head.weight.eq(step).all()
    left = sorted(path.name for path in (tmp_path / "verl").glob("global_step_*"))
    assert left == ["global_step_4", "global_step_6"], "one to resume from, and the one being written"
