"""RL of one run with verl's ``main_ppo``: the same inputs and outputs as `habits.training.rl`.

Reads the start checkpoint and the problems; writes ``checkpoints/step{k}/``, ``metrics.parquet``,
``timing.parquet`` and ``rollouts.parquet``. Work in progress lives under ``scratch/``: after a kill the
next run goes on from verl's last complete checkpoint.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import torch

from habits.artifacts import hash_json, hash_path, replacing, stamp, write_parquet, write_text
from habits.cluster_params import Verl
from habits.mistakes import ParamsError
from habits.models.optimization import scratch_folder
from habits.params import Params, Rl, RunId
from habits.progress import Progress
from habits.tasks.task import task_of
from habits.training.guards import Watch
from habits.training.verl import checkpoints, collect, config, data, process
from habits.training.verl.overrides import Job
from habits.training.verl.rl_overrides import rl_overrides


def run_rl(params: Params, run: str, start: Path, problems: Path, out: Path, gpus: int) -> None:
    """Train ``run`` of the matrix from checkpoint ``start`` with verl and write everything to ``out``."""
    run_id, line = params.run(run)
    rl, task = params.rl_settings(line), task_of(params, run_id.model)
    settings = {
        "run": run_id.model_dump(),
        "rl": rl.model_dump(),
        "reward": task.reward.model_dump(),
        "prompt_template": task.template,
        "training": params.training.model_dump(),
        "gpus": gpus,
    }
    key = hash_json(
        {**settings, "start": hash_path(start), "problems": hash_path(problems / "train.parquet")}
    )
    scratch = scratch_folder(out).absolute()
    keep_only(scratch, key)
    session = prepare(params, run_id, rl, start, problems, scratch, gpus)
    session.train()
    publish(session, out)
    stamp(out, settings=settings, parents=[start, problems / "train.parquet"], seed=run_id.seed)
    shutil.rmtree(scratch)


def keep_only(scratch: Path, key: str) -> None:
    """Throw away work in progress of other settings: going on from it would mix two experiments."""
    note = scratch / "settings"
    if scratch.exists() and (not note.exists() or note.read_text() != key):
        shutil.rmtree(scratch)
    scratch.mkdir(parents=True, exist_ok=True)
    write_text(key, note)


def prepare(
    params: Params, run: RunId, rl: Rl, start: Path, problems: Path, scratch: Path, gpus: int
) -> Session:
    """Write what verl reads, and check its configuration before anything starts."""
    verl = params.training.verl
    if verl is None:
        raise ParamsError("training.backend is local; this is the verl backend")
    tokenizer = data.write_tokenizer(start, scratch / "tokenizer")
    task = task_of(params, run.model)
    longest = params.prompt_tokens(params.models[run.model].task, verl)
    for split in ("train", "validation"):
        rows = task.read(problems / f"{split}.parquet")
        data.write_prompts(rows, task, tokenizer, longest, scratch / f"{split}.parquet")
    job = Job(
        name=run.path.replace("/", "-"),
        model=start.absolute(),
        tokenizer=scratch / "tokenizer",
        train=scratch / "train.parquet",
        validation=scratch / "validation.parquet",
        checkpoints=scratch / "verl",
        seed=run.seed,
        gpus=max(gpus, 1),
        prompt_tokens=longest,
    )
    composed = config.compose("ppo_trainer", rl_overrides(params, rl, task.reward, job))
    config.check_rl(composed)
    config.write(composed, scratch / "main_ppo.yaml")
    return Session(run, rl, verl, Watch(f"rl {run.path}", params.training.guards), start, scratch, job)


@dataclass
class Session:
    """One run while verl works on it."""

    run: RunId
    rl: Rl
    verl: Verl
    watch: Watch
    start: Path
    scratch: Path
    job: Job

    def __post_init__(self) -> None:
        self.attempt = self.scratch / "attempt"
        self.collector = self.new_collector()
        self.progress: Progress | None = None

    def new_collector(self) -> collect.Collector:
        """A collector of the present attempt."""
        unused = {"value_loss"} if self.rl.algorithm != "ppo" else set()
        unused |= {"kl"} if not (self.rl.kl_in_reward or self.rl.use_kl_loss) else set()
        return collect.Collector(self.run, self.scratch, self.attempt, self.rl.temperature, frozenset(unused))

    @property
    def done(self) -> int:
        """Steps in verl's last complete checkpoint."""
        return checkpoints.latest_complete(self.job.checkpoints)

    def train(self) -> None:
        """Run verl until the last step is saved, from its last checkpoint on."""
        if not (self.scratch / "checkpoints" / "step0").exists():
            checkpoints.link_folder(self.start, self.scratch / "checkpoints" / "step0")
        self.collector.read()
        self.keep()  # what a killed attempt had saved but not yet handed over
        if self.done >= self.rl.steps:
            return
        shutil.rmtree(self.attempt, ignore_errors=True)
        self.attempt.mkdir()
        self.collector = self.new_collector()
        self.progress = Progress(f"rl {self.run.path}", self.rl.steps, self.done)
        main = self.scratch / "main_ppo.yaml"
        process.run(["verl.trainer.main_ppo"], main, self.attempt, self.verl, self.job.gpus, self.look)

    def look(self) -> None:
        """Take in what verl has written since the last look."""
        for step in self.collector.read():
            if step in self.collector.rollouts and self.progress is not None:
                row = self.collector.metrics_row(step)
                self.watch.check(row, [record["response"] for record in self.collector.rollouts[step]])
                speed = self.collector.timing_row(step)["tokens_per_second"]
                shown = ("reward", "accuracy", "kl", "entropy", "mean_tokens", "clip_fraction")
                self.progress.update(step, **{name: row[name] for name in shown}, tokens_per_second=speed)
        self.keep()

    def keep(self) -> None:
        """Hand over verl's checkpoints, each with the rows up to it, and delete all but the last."""
        for step in checkpoints.complete(self.job.checkpoints):
            target = self.scratch / "checkpoints" / f"step{step}"
            if target.exists():
                continue
            # verl logs a step after it has saved it; its losses are waited for while it runs.
            if self.progress is not None and step not in self.collector.verl:
                return
            self.collector.flush(step)
            weights = self.job.checkpoints / f"global_step_{step}" / "actor" / "huggingface"
            dtype = torch.bfloat16 if self.verl.platform == "cuda" else torch.float32
            checkpoints.export(weights, self.start, target, dtype)
            checkpoints.prune(self.job.checkpoints, before=step)


def publish(session: Session, out: Path) -> None:
    """Put the finished run together at ``out``, all of it or nothing."""
    with replacing(out) as temporary:
        temporary.mkdir(parents=True)
        checkpoints.link_folder(session.scratch / "checkpoints", temporary / "checkpoints")
        for name, table in collect.tables(session.scratch).items():
            write_parquet(table, temporary / f"{name}.parquet")
