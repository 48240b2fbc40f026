"""Sample evaluation problems from every saved checkpoint of a run.

Reads ``checkpoints/step*/`` and one split of the problems; writes one rollouts parquet for the run.
All runs see the same problems. Sampling is seeded by ``rollouts.seed``, the run and the step: two runs that
start from the same model are sampled apart, or their agreement at step 0 would look like replication.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import torch

from habits.artifacts import ArtifactError, hash_json, hash_path, stamp, write_parquet
from habits.models.optimization import scratch_folder
from habits.models.policy import configure, load_policy
from habits.params import Params, RunId
from habits.progress import Progress
from habits.rollouts.vllm_engine import roll_out_with_vllm
from habits.tasks.task import Problem, task_of
from habits.training.roll_out import Graded, records, roll_out


def sample_rollouts(params: Params, run: str, rl: Path, problems: Path, out: Path, gpus: int = 0) -> None:
    """Write the rollouts of every checkpoint under ``rl/checkpoints`` to ``out``; ``gpus`` are for vLLM."""
    run_id, line = params.run(run)
    settings = params.rollouts
    configure(params.runtime, settings.seed)
    split = problems / f"{settings.split}.parquet"
    chosen = evaluation_problems(task_of(params, run_id.model).read(split), settings.problems, split)
    checkpoints = sorted(rl.glob("checkpoints/step*"), key=step_of)
    if not checkpoints:
        raise ArtifactError(f"{rl} holds no checkpoints; run `snakemake --cores all {rl}`")
    progress = Progress(f"rollouts {run}", len(checkpoints))
    frames = []
    for done, checkpoint in enumerate(checkpoints, start=1):
        last = checkpoint == checkpoints[-1]
        samples = line.samples or (settings.last_samples if last else settings.samples)
        frame = _sample_with(params, run_id, checkpoint, chosen, samples, scratch_folder(out), gpus)
        frames.append(frame)
        progress.update(done, step=step_of(checkpoint), accuracy=float(frame["correct"].mean()))
    write_parquet(pd.concat(frames), out)
    stamp(
        out,
        settings={"rollouts": settings.model_dump(), "samples_of_this_line": line.samples},
        parents=[*checkpoints, split],
        seed=settings.seed,
    )
    shutil.rmtree(scratch_folder(out), ignore_errors=True)


def evaluation_problems(problems: list[Problem], count: int, source: Path) -> list[Problem]:
    """The first ``count`` problems of the split (which is in random order already)."""
    if count > len(problems):
        raise ArtifactError(
            f"rollouts.problems is {count}, but {source} has only {len(problems)}; "
            f"lower it or ask for more {source.stem} problems of {source.parent.name}"
        )
    return problems[:count]


def step_of(checkpoint: Path) -> int:
    """RL step of a checkpoint folder ``step{k}``."""
    return int(checkpoint.name.removeprefix("step"))


def _sample_with(
    params: Params,
    run: RunId,
    checkpoint: Path,
    problems: list[Problem],
    samples: int,
    scratch: Path,
    gpus: int,
) -> pd.DataFrame:
    """The rollouts of a checkpoint with the engine of the settings; vLLM's are kept until the run is done."""
    if params.rollouts.engine == "transformers":
        return _sample_checkpoint(params, run, checkpoint, problems, samples)
    kept = scratch / f"{checkpoint.name}-{hash_path(checkpoint)}.parquet"
    _, line = params.run(run.path)
    if not kept.exists():
        rows = [(problem, i) for problem in problems for i in range(samples)]
        graded = roll_out_with_vllm(
            params,
            checkpoint,
            [problem for problem, _ in rows],
            task=task_of(params, run.model),
            max_response_tokens=params.rl_settings(line).max_response_tokens,
            temperature=params.rollouts.temperature,
            seed=_seed_of(params, run, checkpoint),
            gpus=gpus,
            scratch=(scratch / checkpoint.name).absolute(),
        )
        write_parquet(_rows(params, run, checkpoint, graded, [i for _, i in rows]), kept)
    return pd.read_parquet(kept)


def _sample_checkpoint(
    params: Params, run: RunId, checkpoint: Path, problems: list[Problem], samples: int
) -> pd.DataFrame:
    settings, (_, line) = params.rollouts, params.run(run.path)
    policy, tokenizer = load_policy(checkpoint, params.runtime)
    model = policy.to(policy.dtype).eval().model
    generator = torch.Generator().manual_seed(_seed_of(params, run, checkpoint))
    rows = [(problem, i) for problem in problems for i in range(samples)]
    frames = []
    for first in range(0, len(rows), settings.batch_size):
        batch = rows[first : first + settings.batch_size]
        graded = roll_out(
            model,
            tokenizer,
            [problem for problem, _ in batch],
            task=task_of(params, run.model),
            max_response_tokens=params.rl_settings(line).max_response_tokens,
            temperature=settings.temperature,
            generator=generator,
        )
        frames.append(_rows(params, run, checkpoint, graded, [i for _, i in batch]))
    return pd.concat(frames)


def _seed_of(params: Params, run: RunId, checkpoint: Path) -> int:
    return int(hash_json([params.rollouts.seed, run.path, step_of(checkpoint)])[:15], base=16)


def _rows(
    params: Params, run: RunId, checkpoint: Path, graded: Graded, sample_ids: list[int]
) -> pd.DataFrame:
    return records(
        graded,
        run,
        checkpoint=hash_path(checkpoint),
        rl_step=step_of(checkpoint),
        split=params.rollouts.split,
        sample_ids=sample_ids,
        temperature=params.rollouts.temperature,
    )
