"""Social IQa problems as the rows of a problems parquet, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from habits.artifacts import ArtifactError, read_parquet
from habits.tasks.social_iqa.problem import LETTERS, Problem
from habits.tasks.social_iqa.prompts import TEMPLATES
from habits.tasks.social_iqa.reward import answer_of_label


def row_of(problem: Problem, data_source: str, split: str, index: int, **more: str | None) -> dict[str, Any]:
    """The row of a problem in verl's schema; ``more`` goes into extra_info."""
    told = {"problem_id": problem.key, "context": problem.context, "question": problem.question}
    return {
        "data_source": data_source,
        "prompt": TEMPLATES["base"].messages(problem),
        "ability": "reasoning",
        "reward_model": {"style": "rule", "ground_truth": truth(problem)},
        "extra_info": {"split": split, "index": index, **told, **more},
    }


def truth(problem: Problem) -> dict[str, Any]:
    """The label of the right option, as published, and the options."""
    options = {f"answer{letter}": text for letter, text in zip(LETTERS, problem.options, strict=True)}
    return {"label": problem.label, **options}


def read_problems(source: Path) -> list[Problem]:
    """The problems of a split's parquet in file order.

    Raises:
        ArtifactError: the file is missing, unreadable or empty.
    """
    frame = read_parquet(source, ["reward_model", "extra_info"])
    if frame.empty:
        raise ArtifactError(f"{source} holds no problems; make it again with `habits problems`")
    return [
        _problem(reward["ground_truth"], info)
        for reward, info in zip(frame["reward_model"], frame["extra_info"], strict=True)
    ]


def _problem(truth: dict[str, str], info: dict[str, str]) -> Problem:
    a, b, c = (truth[f"answer{letter}"] for letter in LETTERS)
    answer = answer_of_label(truth["label"])
    return Problem(info["problem_id"], info["context"], info["question"], (a, b, c), answer)
