"""Evaluate a run before and after its RL on problems that it was not trained on.

Reads the first and the last checkpoint of a run and the problem sets that ``transfer`` in params names;
writes ``results/transfer/{run}.parquet``: rollouts (docs/architecture.md) with evaluation, answer, form and
n_items, one greedy answer an item and checkpoint. Batches are kept in ``scratch/`` while the rest is sampled,
so an interrupted evaluation goes on; a file is only written when every item was answered exactly once by
each checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from habits.artifacts import ArtifactError, hash_json, hash_path, stamp, write_parquet
from habits.models.optimization import scratch_folder
from habits.models.policy import configure, load_policy
from habits.params import Params, RunId
from habits.progress import Progress
from habits.rollouts.rollouts import step_of
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


@dataclass(frozen=True)
class _Checkpoint:
    """A model that answers."""

    run: RunId
    folder: Path
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase

    @property
    def name(self) -> str:
        """The content hash that names it in tables."""
        return hash_path(self.folder)


def sample_transfer(params: Params, run: str, rl: Path, data: Path, out: Path) -> None:
    """Write the answers of a run's first and last checkpoint to all its evaluations.

    Args:
        rl: the run's folder, with checkpoints/.
        data: the data folder, with maths/ and problems/.

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
            checkpoint = _load(params, run_id, folder)
            for sheet in sheets:
                for part in _answered(params, checkpoint, sheet, scratch_folder(out)):
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


def _load(params: Params, run: RunId, folder: Path) -> _Checkpoint:
    policy, tokenizer = load_policy(folder, params.runtime)
    return _Checkpoint(run, folder, policy.to(policy.dtype).eval().model, tokenizer)


def _answered(
    params: Params, checkpoint: _Checkpoint, sheet: _Sheet, scratch: Path
) -> Iterator[pd.DataFrame]:
    """The answers batch by batch; those of an interrupted attempt are read, not sampled again."""
    size = params.rollouts.batch_size
    asked = [sheet.settings.model_dump(mode="json"), params.runtime.model_dump(), size]
    step = step_of(checkpoint.folder)  # weights that RL left alone have one hash before and after
    state = scratch / hash_json([asked, step, checkpoint.name, hash_path(sheet.source)])
    for first in range(0, len(sheet.problems), size):
        kept = state / f"{first:06d}.parquet"
        if not kept.exists():
            write_parquet(_batch(checkpoint, sheet, sheet.problems[first : first + size]), kept)
        yield pd.read_parquet(kept)


def _batch(checkpoint: _Checkpoint, sheet: _Sheet, problems: list[Problem]) -> pd.DataFrame:
    graded = roll_out(
        checkpoint.model,
        checkpoint.tokenizer,
        problems,
        task=sheet.task,
        max_response_tokens=sheet.settings.max_response_tokens,
        temperature=0.0,
        generator=torch.Generator().manual_seed(0),
    )
    frame = records(
        graded,
        checkpoint.run,
        checkpoint=checkpoint.name,
        rl_step=step_of(checkpoint.folder),
        split=sheet.settings.name,
        sample_ids=[0] * len(problems),
        temperature=0.0,
    )
    return frame.assign(evaluation=sheet.settings.name, n_items=len(sheet.problems), **_given(graded))


def _given(graded: Graded) -> dict[str, Any]:
    """Final answers, and how they were given, as far as the task tells."""
    parts = [verdict.parts for verdict in graded.verdicts]
    return {name: [getattr(part, name, None) for part in parts] for name in ("answer", "form")}
