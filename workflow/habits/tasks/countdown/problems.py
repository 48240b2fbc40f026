"""Rule ``problems``: the Countdown problems of every split, in verl's schema.

Reads params.yaml only. Writes ``{train,validation,test}.parquet`` into data/problems/countdown, one row a
problem: data_source, prompt (the paper_base template), ability, reward_model (ground truth: target and
numbers in prompt order) and extra_info (split, index, canonical problem_id, how hard it is, a solution).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from habits.artifacts import stamp, write_parquet
from habits.params import Countdown, Params
from habits.progress import Progress
from habits.tasks.countdown.arithmetic import Problem
from habits.tasks.countdown.prompts import TEMPLATES
from habits.tasks.countdown.reward import DATA_SOURCE
from habits.tasks.countdown.sampling import sample
from habits.tasks.countdown.solver import difficulty


def write_problems(params: Params, out: Path) -> None:
    """Write the problems of every split to ``out``, stamped.

    Raises:
        SamplingError: the ranges of params.yaml do not hold so many problems.
    """
    settings = params.countdown
    problems = sample(settings)
    progress = Progress("problems", sum(map(len, problems.values())))
    done = 0
    for split in ("train", "validation", "test"):
        rows = []
        for row in _rows(problems[split], split, settings):
            rows.append(row)
            progress.update(done + len(rows))
        done += len(rows)
        path = out / f"{split}.parquet"
        write_parquet(pd.DataFrame(rows), path)
        stamp(path, settings={"countdown": settings.model_dump(mode="json")}, parents=[], seed=settings.seed)


def _rows(problems: list[Problem], split: str, settings: Countdown) -> Iterator[dict[str, Any]]:
    for index, problem in enumerate(problems):
        hardness = difficulty(problem, settings.integer_only, settings.max_intermediate)
        yield {
            "data_source": DATA_SOURCE,
            "prompt": [{"role": "user", "content": TEMPLATES["paper_base"].render(problem)}],
            "ability": "math",
            "reward_model": {
                "style": "rule",
                "ground_truth": {"target": problem.target, "numbers": list(problem.numbers)},
            },
            "extra_info": {
                "split": split,
                "index": index,
                "problem_id": problem.key,
                "operands": len(problem.numbers),
                "n_solutions": hardness.n_solutions,
                "needs_division": hardness.needs_division,
                "depth": hardness.depth,
                "solution": hardness.solution.expression,
            },
        }
