"""SFT with verl's ``sft_trainer``: the same inputs and outputs as `habits.training.sft`.

Reads a base model folder and a traces parquet; writes a Hugging Face folder with ``metrics.parquet``. A run
takes minutes, so it starts over after a kill. (verl 0.9.1 can end a resumed SFT without having trained: from
a checkpoint at the end of an epoch its data loader goes on behind its last batch.)
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import torch

from habits.artifacts import replacing, stamp, write_parquet
from habits.mistakes import ParamsError
from habits.models.optimization import scratch_folder
from habits.params import Params
from habits.progress import Progress
from habits.training.verl import checkpoints, config, data, process
from habits.training.verl.collect import first_of
from habits.training.verl.overrides import Job
from habits.training.verl.sft_overrides import sft_overrides


def run_sft(
    params: Params, model: str, priming: str, seed: int, base: Path, traces: Path, out: Path, gpus: int
) -> None:
    """Fine-tune ``base`` on ``traces`` with ``seed`` and write the checkpoint to ``out``."""
    verl = params.training.verl
    if verl is None:
        raise ParamsError("training.backend is local; this is the verl backend")
    scratch = scratch_folder(out).absolute()
    shutil.rmtree(scratch, ignore_errors=True)
    (scratch / "attempt").mkdir(parents=True)
    job, steps = prepare(params, seed, base, traces, scratch, gpus)
    metrics = Metrics(scratch / "attempt" / "metrics.jsonl", f"sft {model}/{priming}/seed{seed}", steps)
    launcher = ["torch.distributed.run", "--standalone", f"--nproc_per_node={job.gpus}", "-m"]
    module = [*launcher, "verl.trainer.sft_trainer"]
    process.run(module, scratch / "sft_trainer.yaml", scratch / "attempt", verl, job.gpus, metrics.look)
    dtype = torch.bfloat16 if verl.platform == "cuda" else torch.float32
    weights = job.checkpoints / f"global_step_{steps}" / "huggingface"
    with replacing(out) as temporary:
        checkpoints.export(weights, base, temporary, dtype)
        write_parquet(pd.DataFrame(metrics.rows), temporary / "metrics.parquet")
    settings = {"sft": params.sft.model_dump(), "training": params.training.model_dump(), "gpus": gpus}
    stamp(out, settings=settings, parents=[base, traces], seed=seed)
    shutil.rmtree(scratch)


def prepare(params: Params, seed: int, base: Path, traces: Path, scratch: Path, gpus: int) -> tuple[Job, int]:
    """Check verl's configuration and write it; returns the job and its number of steps."""
    tokenizer = data.write_tokenizer(base, scratch / "tokenizer")
    lengths = data.trace_lengths(traces, tokenizer)
    if len(lengths) < params.sft.batch_size:
        raise ParamsError(
            f"sft.batch_size is {params.sft.batch_size}, but the priming set has only {len(lengths)} traces"
        )
    job = Job(
        name=scratch.name,
        model=base.absolute(),
        tokenizer=scratch / "tokenizer",
        train=traces.absolute(),
        validation=traces.absolute(),
        checkpoints=scratch / "verl",
        seed=seed,
        gpus=max(gpus, 1),
        prompt_tokens=max(lengths),
    )
    steps = len(lengths) // params.sft.batch_size * params.sft.epochs
    composed = config.compose("sft_trainer_engine", sft_overrides(params, job, steps))
    config.check_sft(composed)
    config.write(composed, scratch / "sft_trainer.yaml")
    return job, steps


class Metrics:
    """One row a step, as verl writes its metrics."""

    def __init__(self, source: Path, name: str, steps: int) -> None:
        self.source = source
        self.rows: list[dict[str, float]] = []
        self.progress = Progress(name, steps)

    def look(self) -> None:
        """Take in what verl has written."""
        lines = self.source.read_bytes().splitlines(keepends=True) if self.source.exists() else []
        whole = [json.loads(line) for line in lines if line.endswith(b"\n")]
        for line in [line for line in whole if "train/loss" in line["data"]][len(self.rows) :]:
            loss = first_of(line["data"], ("train/loss",))
            norm = first_of(line["data"], ("train/grad_norm",))
            self.rows.append({"step": line["step"], "loss": loss, "grad_norm": norm})
            self.progress.update(line["step"], loss=loss)
