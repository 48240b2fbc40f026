"""Train a tiny base model from scratch: Qwen2 architecture, next-token loss on the generated corpus.

Reads the training problems, writes a Hugging Face folder with ``metrics.parquet``. What it makes for
Countdown is an arithmetic model of 0.6 million parameters (laptop preset) that knows the answer format; the
plain one has never seen a search, the searching one has. They play the parts of the paper's two base models
and are not those models. What the models of a task read is written by ``habits.models.<task>_corpus``,
imported by name for the reason that `habits.tasks.task` gives.
"""

from __future__ import annotations

import random
from importlib import import_module
from pathlib import Path
from typing import Protocol

import pandas as pd
import torch
from torch.nn.functional import cross_entropy
from transformers import PreTrainedTokenizerBase, Qwen2Config, Qwen2ForCausalLM

from habits.artifacts import hash_json, hash_path, stamp, write_parquet
from habits.models import attention
from habits.models.optimization import Optimizers, load_state, save_state, scratch_folder, warmup_then_linear
from habits.models.policy import Policy, choose_device, choose_dtype, configure, save_checkpoint
from habits.models.tokenizer import build_tokenizer
from habits.params import Params, ParamsError
from habits.progress import Progress
from habits.section import TinyModel

WARMUP_STEPS = 50
SAVE_EVERY = 200


class Corpus(Protocol):
    """A source of training text without an end."""

    words: tuple[str, ...]

    def row(self, rng: random.Random, tokens: int) -> list[str]:
        """``tokens`` tokens of documents; a function of ``rng`` alone."""


def train_base_model(params: Params, model: str, problems: Path, out: Path) -> None:
    """Train ``models.{model}`` of params and write its checkpoint to ``out``; resumes after a kill."""
    spec = params.models[model]
    if not isinstance(spec, TinyModel):
        raise ParamsError(f"models.{model} is a pretrained model; there is nothing to train")
    train = problems / "train.parquet"
    configure(params.runtime, spec.seed)
    source = import_module(f"habits.models.{spec.task}_corpus")
    corpus: Corpus = source.make_corpus(params, spec, train)
    tokenizer = build_tokenizer(corpus.words)
    policy = Policy(new_model(spec, tokenizer), choose_dtype(params.runtime))
    policy.to(choose_device(params.runtime))
    settings = {
        "model": spec.model_dump(),
        **source.settings_of(params),
        "runtime": params.runtime.model_dump(),
    }
    key = hash_json({**settings, "problems": hash_path(train)})
    metrics = _train(policy, tokenizer, corpus, spec, scratch_folder(out), key, f"base_model {model}")
    save_checkpoint(policy, tokenizer, out)
    write_parquet(metrics, out / "metrics.parquet")
    stamp(out, settings=settings, parents=[train], seed=spec.seed)


def new_model(spec: TinyModel, tokenizer: PreTrainedTokenizerBase) -> Qwen2ForCausalLM:
    """A randomly initialized Qwen2 of the given shape (torch's seed decides)."""
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=spec.hidden_size,
        intermediate_size=spec.mlp_size,
        num_hidden_layers=spec.layers,
        num_attention_heads=spec.heads,
        num_key_value_heads=spec.kv_heads,
        max_position_embeddings=spec.max_positions,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = Qwen2ForCausalLM(config)
    model.set_attn_implementation(attention.register())
    return model


def _train(
    policy: Policy,
    tokenizer: PreTrainedTokenizerBase,
    corpus: Corpus,
    spec: TinyModel,
    scratch: Path,
    settings: str,
    name: str,
) -> pd.DataFrame:
    optimizers = Optimizers([policy], "muon", spec.learning_rate, betas=(0.9, 0.98))
    state = load_state(scratch, settings) or {"step": 0, "metrics": []}
    if state["step"]:
        policy.load_state_dict(state["policy"])
        optimizers.load_state_dict(state["optimizers"])
    metrics, first = state["metrics"], state["step"]
    progress = Progress(name, spec.steps, first)
    for step in range(first, spec.steps):
        ids = _batch(corpus, tokenizer, spec, step).to(policy.model.device)
        optimizers.set_rate(warmup_then_linear(step, spec.steps, WARMUP_STEPS))
        loss = next_token_loss(policy, ids)
        loss.backward()
        norm = optimizers.step(grad_clip=1.0)
        metrics.append({"step": step + 1, "loss": loss.item(), "grad_norm": norm})
        progress.update(step + 1, loss=loss.item())
        if (step + 1) % SAVE_EVERY == 0 or step + 1 == spec.steps:
            save_state(
                scratch,
                {
                    "settings": settings,
                    "step": step + 1,
                    "metrics": metrics,
                    "policy": policy.state_dict(),
                    "optimizers": optimizers.state_dict(),
                },
            )
    return pd.DataFrame(metrics)


def next_token_loss(policy: Policy, ids_B_T: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy of every next token, in nats."""
    logits = torch.func.functional_call(
        policy.model,
        {name.removeprefix("model."): weight for name, weight in policy.cast().items()},
        kwargs={"input_ids": ids_B_T[:, :-1], "use_cache": False},
        tie_weights=True,
    ).logits
    return cross_entropy(logits.float().flatten(0, 1), ids_B_T[:, 1:].flatten())


def _batch(corpus: Corpus, tokenizer: PreTrainedTokenizerBase, spec: TinyModel, step: int) -> torch.Tensor:
    """Token ids ``[rows, sequence_length]``; a function of seed and step alone, so resuming is exact."""
    rng = random.Random(f"{spec.seed}:{step}")
    rows = [corpus.row(rng, spec.sequence_length) for _ in range(spec.batch_tokens // spec.sequence_length)]
    return torch.tensor([tokenizer.convert_tokens_to_ids(row) for row in rows])
