"""Evaluate a run before and after its RL on problems that it was not trained on.

Reads the first and the last checkpoint of a run and the problem sets that ``transfer`` in params names;
writes ``results/transfer/{run}.parquet``: rollouts (docs/architecture.md) with evaluation, answer, form and
n_items, one greedy answer an item and checkpoint. What is answered is kept in ``scratch/`` while the rest is
sampled, so an interrupted evaluation goes on; a file is only written when every item was answered exactly
once by each checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from habits.artifacts import ArtifactError, hash_json, hash_path, stamp, write_parquet
from habits.models.optimization import scratch_folder
from habits.models.policy import configure, load_policy
from habits.params import Params, RunId
from habits.progress import Progress
from habits.rollouts.rollouts import step_of
from habits.rollouts.vllm_engine import roll_out_with_vllm
from habits.section import TinyModel
from habits.tasks.countdown.task import make as make_countdown
from habits.tasks.maths.prompts import Style
from habits.tasks.maths.task import evaluation_task
from habits.tasks.maths.verifier import Verifier
from habits.tasks.task import Problem, Task
from habits.training.roll_out import Graded, records, roll_out
from habits.transfer_params import Transfer


@dataclass(frozen=True)
class _Sheet:
    """One evaluation with its problems, as it is put to a model."""

    settings: Transfer
    task: Task
    problems: list[Problem]
    source: Path


# A checkpoint's graded answers to problems of a sheet.
Answer = Callable[[_Sheet, list[Problem]], Graded]


def sample_transfer(params: Params, run: str, rl: Path, data: Path, out: Path, gpus: int = 0) -> None:
    """Write the answers of a run's first and last checkpoint to all its evaluations.

    Args:
        rl: the run's folder, with checkpoints/.
        data: the data folder, with maths/ and problems/.
        gpus: for vLLM.

    Raises:
        ArtifactError: a checkpoint or problem set is missing, or an item was not answered exactly once.
    """
    run_id, _ = params.run(run)
    configure(params.runtime, params.rollouts.seed)
    folders = sorted(rl.glob("checkpoints/step*"), key=step_of)
    if len(folders) < 2:
        raise ArtifactError(
            f"{rl} holds {len(folders)} checkpoints; transfer compares the first and the last"
        )
    with Verifier() as verifier:
        sheets = [
            _sheet(params, run_id, settings, data, verifier) for settings in evaluations_of(params, run_id)
        ]
        total = 2 * sum(len(sheet.problems) for sheet in sheets)
        progress, frames = Progress(f"transfer {run}", total), []
        for folder in (folders[0], folders[-1]):
            if params.rollouts.engine == "transformers":
                answer = _with_transformers(params, folder)
            else:
                answer = _with_vllm(params, folder, scratch_folder(out), gpus)
            for sheet in sheets:
                for part in _answered(params, run_id, folder, answer, sheet, scratch_folder(out)):
                    frames.append(part)
                    progress.update(sum(map(len, frames)), accuracy=float(part["correct"].mean()))
    table = pd.concat(frames, ignore_index=True)
    check_complete(table, {sheet.settings.name: [p.key for p in sheet.problems] for sheet in sheets})
    write_parquet(table, out)
    shown = {sheet.settings.name: sheet.settings.model_dump(mode="json") for sheet in sheets}
    stamp(out, settings={"transfer": shown}, parents=[folders[0], folders[-1], *{s.source for s in sheets}])


def evaluations_of(params: Params, run: RunId) -> list[Transfer]:
    """The evaluations that ``transfer`` asks of a run."""
    return [settings for settings in params.transfer if run.model in settings.models]


def check_complete(table: pd.DataFrame, items: dict[str, list[str]]) -> None:
    """Every item of every evaluation exactly once at each of two checkpoints, and nothing else.

    Raises:
        ArtifactError: what is missing, doubled or not asked for.
    """
    for (name, step), part in table.groupby(["evaluation", "rl_step"]):
        found = part["problem_id"].value_counts()
        missing = sorted(set(items[str(name)]) - set(found.index))
        doubled = sorted(found.index[found > 1])
        strange = sorted(set(found.index) - set(items[str(name)]))
        for problem, keys in (("missing", missing), ("answered twice", doubled), ("not asked for", strange)):
            if keys:
                raise ArtifactError(f"{name}, RL step {step}: {len(keys)} items {problem}: {keys[:3]}")
    pairs = table.groupby("evaluation")["rl_step"].nunique().reindex(list(items))
    if not pairs.eq(2).all():
        raise ArtifactError(f"checkpoints by evaluation: {pairs.to_dict()}; each needs two")


def _sheet(params: Params, run: RunId, settings: Transfer, data: Path, verifier: Verifier) -> _Sheet:
    if settings.problems == "countdown":
        tiny = isinstance(params.models[run.model], TinyModel)
        task = make_countdown(params, "short" if tiny else "paper_base")
        source = data / "problems" / "countdown" / f"{params.rollouts.split}.parquet"
    else:
        style = Style(settings.shots, settings.chat_template)
        task = evaluation_task(settings.problems, style, verifier)
        source = data / "maths" / f"{settings.problems}.parquet"
    problems = task.read(source)
    if settings.count is not None and settings.count > len(problems):
        raise ArtifactError(
            f"transfer: {settings.name} asks for {settings.count} problems; {source} has {len(problems)}"
        )
    return _Sheet(settings, task, problems[: settings.count], source)


def _with_transformers(params: Params, folder: Path) -> Answer:
    """Answers in this process."""
    policy, tokenizer = load_policy(folder, params.runtime)
    model = policy.to(policy.dtype).eval().model
    return lambda sheet, problems: roll_out(
        model,
        tokenizer,
        problems,
        task=sheet.task,
        max_response_tokens=sheet.settings.max_response_tokens,
        temperature=0.0,
        generator=torch.Generator().manual_seed(0),
    )


def _with_vllm(params: Params, folder: Path, scratch: Path, gpus: int) -> Answer:
    """Answers in the GPU environment, which keeps its own batches: what it is asked, it is asked at once."""
    return lambda sheet, problems: roll_out_with_vllm(
        params,
        folder,
        problems,
        task=sheet.task,
        max_response_tokens=sheet.settings.max_response_tokens,
        temperature=0.0,
        seed=0,
        gpus=gpus,
        scratch=(scratch / f"vllm/{sheet.settings.name}/{folder.name}").absolute(),
    )


def _answered(
    params: Params, run: RunId, folder: Path, answer: Answer, sheet: _Sheet, scratch: Path
) -> Iterator[pd.DataFrame]:
    """The answers in parts; those of an interrupted attempt are read, not sampled again."""
    rollouts, step = params.rollouts, step_of(folder)
    size = rollouts.batch_size if rollouts.engine == "transformers" else len(sheet.problems)
    asked = [sheet.settings.model_dump(mode="json"), params.runtime.model_dump(), rollouts.engine, size]
    # By step too: weights that RL left alone have one hash before and after.
    state = scratch / hash_json([asked, step, hash_path(folder), hash_path(sheet.source)])
    for first in range(0, len(sheet.problems), size):
        kept = state / f"{first:06d}.parquet"
        if not kept.exists():
            graded = answer(sheet, sheet.problems[first : first + size])
            write_parquet(_rows(run, folder, sheet, graded), kept)
        yield pd.read_parquet(kept)


def _rows(run: RunId, folder: Path, sheet: _Sheet, graded: Graded) -> pd.DataFrame:
    frame = records(
        graded,
        run,
        checkpoint=hash_path(folder),
        rl_step=step_of(folder),
        split=sheet.settings.name,
        sample_ids=[0] * len(graded.problems),
        temperature=0.0,
    )
    return frame.assign(evaluation=sheet.settings.name, n_items=len(sheet.problems), **_given(graded))


def _given(graded: Graded) -> dict[str, Any]:
    """Final answers, and how they were given, as far as the task tells."""
    parts = [verdict.parts for verdict in graded.verdicts]
    return {name: [getattr(part, name, None) for part in parts] for name in ("answer", "form")}
