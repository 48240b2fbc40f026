"""Supervised fine-tuning ("priming") of a base model on one priming set; loss on response tokens only.

Reads a base model folder and a traces parquet; writes a Hugging Face folder with ``metrics.parquet``.
"""

from __future__ import annotations

import random
from pathlib import Path

import pandas as pd
import torch
from transformers import PreTrainedTokenizerBase

from habits.artifacts import read_parquet, stamp, write_parquet
from habits.mistakes import ParamsError
from habits.models.optimization import DivergedError, Optimizers, warmup_then_linear
from habits.models.policy import Policy, Sequences, configure, load_policy, micro_batches, save_checkpoint
from habits.models.tokenizer import encode_prompt, encode_response
from habits.params import Params, Sft
from habits.progress import Progress

ADAM_BETAS = (0.9, 0.98)


def run_sft(params: Params, model: str, priming: str, seed: int, base: Path, traces: Path, out: Path) -> None:
    """Fine-tune ``base`` on ``traces`` with ``seed`` and write the checkpoint to ``out``.

    A run takes seconds on a tiny model, so it starts over after a kill instead of saving its state.
    """
    configure(params.runtime, seed)
    policy, tokenizer = load_policy(base, params.runtime)
    frame = read_parquet(traces, columns=["prompt", "response"])
    pairs = [
        (encode_prompt(tokenizer, prompt), encode_response(tokenizer, response))
        for prompt, response in zip(frame["prompt"], frame["response"], strict=True)
    ]
    name = f"sft {model}/{priming}/seed{seed}"
    metrics = fine_tune(policy, tokenizer, pairs, params.sft, params.runtime.micro_batch_tokens, seed, name)
    save_checkpoint(policy, tokenizer, out)
    write_parquet(metrics, out / "metrics.parquet")
    settings = {"sft": params.sft.model_dump(), "runtime": params.runtime.model_dump()}
    stamp(out, settings=settings, parents=[base, traces], seed=seed)


def fine_tune(
    policy: Policy,
    tokenizer: PreTrainedTokenizerBase,
    pairs: list[tuple[list[int], list[int]]],
    sft: Sft,
    micro_batch_tokens: int,
    seed: int,
    name: str,
) -> pd.DataFrame:
    """Train on (prompt ids, response ids) pairs; returns one row of metrics a step."""
    optimizers = Optimizers([policy], sft.optimizer, sft.learning_rate, ADAM_BETAS)
    batches = epoch_batches(len(pairs), sft, seed)
    progress, metrics = Progress(name, len(batches)), []
    for step, rows in enumerate(batches):
        optimizers.set_rate(warmup_then_linear(step, len(batches), sft.warmup_steps))
        loss = _accumulate(policy, tokenizer, [pairs[row] for row in rows], micro_batch_tokens)
        norm = optimizers.step(sft.grad_clip)
        metrics.append({"step": step + 1, "loss": loss, "grad_norm": norm})
        progress.update(step + 1, loss=loss)
    return pd.DataFrame(metrics)


def epoch_batches(size: int, sft: Sft, seed: int) -> list[list[int]]:
    """Row numbers of every batch: each epoch in its own order, incomplete last batches dropped."""
    if size < sft.batch_size:
        raise ParamsError(f"sft.batch_size is {sft.batch_size}, but the priming set has only {size} traces")
    batches = []
    for epoch in range(sft.epochs):
        order = random.Random(f"{seed}:{epoch}").sample(range(size), size)
        batches += [
            order[i : i + sft.batch_size] for i in range(0, size - sft.batch_size + 1, sft.batch_size)
        ]
    return batches


def _accumulate(
    policy: Policy,
    tokenizer: PreTrainedTokenizerBase,
    pairs: list[tuple[list[int], list[int]]],
    micro_batch_tokens: int,
) -> float:
    """Back-propagate the mean response-token loss of a batch in micro-batches; returns it in nats."""
    total = sum(len(response) for _, response in pairs)
    lengths = [len(prompt) + len(response) for prompt, response in pairs]
    loss = 0.0
    for rows in micro_batches(list(range(len(pairs))), lengths, micro_batch_tokens):
        sequences = Sequences.build(
            [pairs[row][0] for row in rows],
            [pairs[row][1] for row in rows],
            tokenizer.pad_token_id,
            policy.model.device,
        )
        part = -policy.score(sequences).logprob_N.sum() / total
        part.backward()
        loss += float(part.detach())
    if not torch.isfinite(torch.tensor(loss)):
        raise DivergedError(f"the SFT loss is {loss}; lower sft.learning_rate")
    return loss
