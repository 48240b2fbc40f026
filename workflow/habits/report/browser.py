"""The data of the rollout browser: an index that filters read, and shards with the texts, loaded when shown.

Writes into one folder of the site: index.js and 000.js, 001.js ... A page opened from disk may not fetch, but
it may load scripts; each of these calls one function with gzip-compressed JSON as base64. A shard holds all
rollouts of some problems, so neighbours (the same problem elsewhere) come with it. When there is more than
fits, whole problems are left out, in an order that the seed draws, and the page says so.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from habits.artifacts import replacing
from habits.behaviors.sampling import key
from habits.params import RunId
from habits.progress import Progress
from habits.report.experiments import EXPERIMENTS
from habits.report.gathering import OUTCOMES, Gathered, Rating, gather, sizes
from habits.report.inputs import SPLITS, Inputs, read_rows
from habits.report.labels import BEHAVIOR_NAMES, TASKS, condition

TOTAL_BYTES = 40_000_000  # of all shards on disk
TOTAL_LETTERS = 200_000_000  # of all responses: what is held in memory at once
SHARD_LETTERS = 400_000  # of responses; about 60 kB on disk
JUDGED, ORACLE_FAILED, JUDGE_FAILED = 8, 16, 32  # bits beside the reason

Json = dict[str, Any]


@dataclass(frozen=True)
class Browser:
    """What the page says about its data: rollouts and problems in it, and all there are."""

    shown: int
    total: int
    problems: int
    all_problems: int
    bytes: int


@dataclass(frozen=True)
class _Cells:
    """Numbers of conditions and of cells (condition, seed, RL step); a row of the index holds a cell's."""

    conditions: list[Json]
    cells: list[list[int]]
    places: dict[tuple[str, int], int]


def write_browser(
    inputs: Inputs, out: Path, most_bytes: int = TOTAL_BYTES, most_letters: int = TOTAL_LETTERS
) -> Browser:
    """Write index and shards into the folder ``out``, which appears at once.

    Raises:
        ArtifactError: a rollout has no behavior rows, or its spans do not fit its text.
    """
    found = sizes(inputs)
    seed = inputs.params.statistics.seed
    order = sorted(found.index, key=lambda name: key(seed, name))
    chosen = [name for name, sum_ in found.loc[order, "letters"].cumsum().items() if sum_ <= most_letters]
    rollouts = _by_problem(inputs, chosen or order[:1])
    cells = _cells(inputs, rollouts)
    with replacing(out) as folder:
        folder.mkdir()
        shown, written = _write_shards(inputs, rollouts, cells, folder, most_bytes)
        index = _index(shown, cells, inputs)
        written += _write(folder / "index.js", "habitsIndex", index)
    rows = sum(len(part) for shard in shown for part in shard)
    problems = sum(len(shard) for shard in shown)
    return Browser(rows, int(found["rows"].sum()), problems, len(found), written)


def _by_problem(inputs: Inputs, chosen: list[str]) -> list[list[Gathered]]:
    """All rollouts of each chosen problem, in the order of the matrix."""
    found: dict[str, list[Gathered]] = {name: [] for name in chosen}
    wanted = set(chosen)
    progress = Progress("report rollouts", len(inputs.whole.runs), every=5.0)
    for done, run in enumerate(inputs.whole.runs, start=1):
        for rollout in sorted(gather(inputs, run, wanted), key=lambda r: (r.step, r.sample)):
            found[rollout.problem].append(rollout)
        progress.update(done)
    return list(found.values())


def _cells(inputs: Inputs, rollouts: list[list[Gathered]]) -> _Cells:
    steps: dict[str, set[int]] = {}
    for rollout in (r for part in rollouts for r in part):
        steps.setdefault(rollout.run.path, set()).add(rollout.step)
    made = _Cells([], [], {})
    numbers: dict[str, int] = {}
    for run in inputs.whole.runs:
        path = f"{run.model}/{run.priming}/{run.algorithm}"
        if path not in numbers:
            numbers[path] = len(numbers)
            name = condition(run, inputs.params)
            made.conditions.append({"path": path, "name": name, "experiments": _experiments(inputs, run)})
        for step in sorted(steps.get(run.path, set())):
            made.places[run.path, step] = len(made.cells)
            made.cells.append([numbers[path], run.seed, step])
    return made


def _experiments(inputs: Inputs, run: RunId) -> list[str]:
    """The experiments that a run belongs to; runs of another task have that as their only one."""
    if run in inputs.params.runs:
        return [e.name for e in EXPERIMENTS if e.holds(inputs.params, run)]
    return [TASKS[inputs.whole.task_of(inputs.whole.runs[run])]]


def _write_shards(
    inputs: Inputs, rollouts: list[list[Gathered]], cells: _Cells, folder: Path, most_bytes: int
) -> tuple[list[list[list[Gathered]]], int]:
    """Shards until ``most_bytes`` are written: what they hold, and their bytes."""
    solutions = _solutions(inputs)
    shown: list[list[list[Gathered]]] = []
    written = 0
    for number, shard in enumerate(_shards(rollouts)):
        file = folder / f"{number:03d}.js"
        size = _write(file, "habitsShard", _shard(shard, solutions), number)
        if written + size > most_bytes and shown:
            file.unlink()
            break
        shown.append(shard)
        written += size
    return shown, written


def _shards(rollouts: list[list[Gathered]]) -> Iterator[list[list[Gathered]]]:
    """Neighbouring problems in groups of about ``SHARD_LETTERS``."""
    ends = np.cumsum([sum(len(r.response) for r in part) for part in rollouts])
    numbered = zip((ends - 1) // SHARD_LETTERS, rollouts, strict=True)
    for _, group in groupby(numbered, key=lambda pair: int(pair[0])):
        yield [part for _, part in group]


def _shard(problems: list[list[Gathered]], solutions: dict[str, str]) -> Json:
    """The texts of some problems: for each its solution, its prompts and its rows."""
    return {"problems": [_problem(part, solutions) for part in problems]}


def _problem(rollouts: list[Gathered], solutions: dict[str, str]) -> Json:
    prompts = list(dict.fromkeys(rollout.prompt for rollout in rollouts))
    return {
        "solution": solutions.get(rollouts[0].problem, ""),
        "prompts": prompts,
        "rows": [
            [
                r.sample,
                r.reward,
                r.tokens,
                prompts.index(r.prompt),
                r.response,
                _rating(r.oracle),
                r.judge and _rating(r.judge),
            ]
            for r in rollouts
        ],
    }


def _rating(rating: Rating) -> list[Any]:
    replies = [[stored.key, stored.text] for stored in rating.replies]
    return [rating.counts, rating.spans, *([rating.reason, replies] if replies or rating.reason else [])]


def _index(shards: list[list[list[Gathered]]], cells: _Cells, inputs: Inputs) -> Json:
    """What filters need, a few bytes a rollout: its cell, its outcome, which behaviors each rater saw."""
    rows = [rollout for shard in shards for part in shard for rollout in part]
    cell = np.array([cells.places[r.run.path, r.step] for r in rows], dtype="<u2")
    outcome = np.array([_outcome(r) for r in rows], dtype=np.uint8)
    seen = np.array([r.oracle.shown | (r.judge.shown << 4 if r.judge else 0) for r in rows], dtype=np.uint8)
    return {
        "experiments": [*(e.name for e in EXPERIMENTS), *TASKS.values()],
        "conditions": cells.conditions,
        "cells": cells.cells,
        "reasons": list(OUTCOMES.values()),
        "behaviors": list(BEHAVIOR_NAMES),
        "judge": inputs.params.judge if inputs.params.judge != "none" else "",
        "problems": [[part[0].problem, len(part), n] for n, shard in enumerate(shards) for part in shard],
        "columns": [base64.b64encode(column.tobytes()).decode() for column in (cell, outcome, seen)],
    }


def _outcome(rollout: Gathered) -> int:
    judged = JUDGED | (JUDGE_FAILED if rollout.judge.failed else 0) if rollout.judge else 0
    return rollout.reason | judged | (ORACLE_FAILED if rollout.oracle.failed else 0)


def _solutions(inputs: Inputs) -> dict[str, str]:
    """A solution of each problem, by problem_id."""
    found: dict[str, str] = {}
    for split in SPLITS:
        for extra in read_rows(inputs.problems(split), ["extra_info"])["extra_info"]:
            if extra.get("solution"):
                found[str(extra["problem_id"])] = str(extra["solution"])
    return found


def _write(file: Path, function: str, content: Json, *arguments: int) -> int:
    """A script that calls ``function``; its size in bytes."""
    packed = gzip.compress(json.dumps(content, separators=(",", ":")).encode(), 6, mtime=0)
    words = ", ".join([*map(str, arguments), f'"{base64.b64encode(packed).decode()}"'])
    text = f"{function}({words});\n"
    file.write_text(text)
    return len(text)
