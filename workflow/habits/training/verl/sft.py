"""SFT with verl's ``sft_trainer``: the same inputs and outputs as `habits.training.sft`.

Reads a base model folder and a traces parquet; writes a Hugging Face folder with ``metrics.parquet``. After
a kill the next run goes on from the last epoch that was saved.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import torch

from habits.artifacts import hash_json, hash_path, replacing, stamp, write_parquet
from habits.mistakes import ParamsError
from habits.models.optimization import scratch_folder
from habits.params import Params
from habits.progress import Progress
from habits.training.verl import checkpoints, config, data, process
from habits.training.verl.collect import first_of
from habits.training.verl.overrides import Job, sft_overrides
from habits.training.verl.rl import keep_only


def run_sft(
    params: Params, model: str, priming: str, seed: int, base: Path, traces: Path, out: Path, gpus: int
) -> None:
    """Fine-tune ``base`` on ``traces`` with ``seed`` and write the checkpoint to ``out``."""
    verl = params.training.verl
    if verl is None:
        raise ParamsError("training.backend is local; this is the verl backend")
    name = f"sft {model}/{priming}/seed{seed}"
    settings = {"sft": params.sft.model_dump(), "training": params.training.model_dump(), "gpus": gpus}
    scratch = scratch_folder(out).absolute()
    key = hash_json({**settings, "seed": seed, "base": hash_path(base), "traces": hash_path(traces)})
    keep_only(scratch, key)
    job, steps = prepare(params, seed, base, traces, scratch, gpus)
    metrics = Metrics(scratch / "attempt" / "metrics.jsonl", scratch / "steps.jsonl", name, steps)
    metrics.look()
    if checkpoints.latest_complete(job.checkpoints) < steps:
        (scratch / "attempt").mkdir(exist_ok=True)
        metrics.begin(checkpoints.latest_complete(job.checkpoints))
        launcher = ["torch.distributed.run", "--standalone", f"--nproc_per_node={job.gpus}", "-m"]
        module = [*launcher, "verl.trainer.sft_trainer"]
        process.run(module, scratch / "sft_trainer.yaml", scratch / "attempt", verl, metrics.look)
    dtype = torch.bfloat16 if verl.platform == "cuda" else torch.float32
    weights = job.checkpoints / f"global_step_{steps}" / "huggingface"
    with replacing(out) as temporary:
        checkpoints.export(weights, base, temporary, dtype)
        write_parquet(metrics.table(), temporary / "metrics.parquet")
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
    composed = config.compose("sft_trainer_engine", sft_overrides(params, job, steps, len(lengths)))
    config.check_sft(composed)
    config.write(composed, scratch / "sft_trainer.yaml")
    return job, steps


class Metrics:
    """verl's metrics of every step, kept over attempts in one file."""

    def __init__(self, source: Path, kept: Path, name: str, steps: int) -> None:
        self.source, self.kept, self.name, self.steps = source, kept, name, steps
        self.rows: dict[int, dict[str, float]] = {}
        self.progress: Progress | None = None
        if kept.exists():
            self.rows = {row["step"]: row for row in map(json.loads, kept.read_text().splitlines())}

    def begin(self, done: int) -> None:
        """A new attempt goes on after ``done`` steps."""
        self.rows = {step: row for step, row in self.rows.items() if step <= done}
        self.source.unlink(missing_ok=True)
        self.progress = Progress(self.name, self.steps, done)

    def look(self) -> None:
        """Take in what verl has written."""
        lines = self.source.read_bytes().splitlines(keepends=True) if self.source.exists() else []
        for line in (json.loads(line) for line in lines if line.endswith(b"\n")):
            if line["step"] not in self.rows and "train/loss" in line["data"]:
                row = {
                    "step": line["step"],
                    "loss": first_of(line["data"], ("train/loss",)),
                    "grad_norm": first_of(line["data"], ("train/grad_norm",)),
                }
                self.rows[line["step"]] = row
                with self.kept.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                if self.progress is not None:
                    self.progress.update(row["step"], loss=row["loss"])

    def table(self) -> pd.DataFrame:
        """One row a step, in order."""
        return pd.DataFrame([self.rows[step] for step in sorted(self.rows)])
