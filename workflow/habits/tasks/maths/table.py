"""Maths problems as the rows of a problems parquet (verl's schema), and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from habits.artifacts import ArtifactError, read_parquet
from habits.tasks.maths.problem import Problem
from habits.tasks.maths.prompts import Style


def row_of(problem: Problem, data_source: str, index: int) -> dict[str, Any]:
    """The row of a problem; its prompt is the plain one without worked examples."""
    return {
        "data_source": data_source,
        "prompt": [{"role": "user", "content": Style().render(problem)}],
        "ability": "math",
        "reward_model": {"style": "rule", "ground_truth": truth(problem)},
        "extra_info": {
            "split": "test",
            "index": index,
            "problem_id": problem.key,
            "question": problem.question,
            "language": problem.language,
        },
    }


def truth(problem: Problem) -> dict[str, Any]:
    """The right answer as published."""
    return {"answer": problem.gold}


def read_problems(source: Path) -> list[Problem]:
    """The problems of a parquet in file order.

    Raises:
        ArtifactError: the file is missing, unreadable or empty.
    """
    frame = read_parquet(source, ["reward_model", "extra_info"])
    if frame.empty:
        raise ArtifactError(f"{source} holds no problems; make it again with `habits maths`")
    return [
        Problem(info["problem_id"], info["question"], reward["ground_truth"]["answer"], info["language"])
        for reward, info in zip(frame["reward_model"], frame["extra_info"], strict=True)
    ]
