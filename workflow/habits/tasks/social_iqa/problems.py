"""Rule ``problems`` for Social IQa: published questions or embedded social stories, in verl's schema.

Reads params.yaml, and the published set where it is asked for. Writes ``{train,validation,test}.parquet``,
one row a problem: data_source (``social_iqa`` or, for stories, ``social_stories``), prompt (the base
template), ability, reward_model (ground truth: label and options) and extra_info (split, index, problem_id,
context, question, kind of question, level of a story). What was removed from the published set is told and
kept in the provenance.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from habits.artifacts import stamp, write_parquet
from habits.params import Params
from habits.social_params import SocialIqa
from habits.tasks.social_iqa.problem import Problem
from habits.tasks.social_iqa.published import read_published
from habits.tasks.social_iqa.stories import sample
from habits.tasks.social_iqa.table import row_of

# Published questions have few forms; the first that fits names the kind.
PUBLISHED_KINDS = {
    "why": r"^why\b",
    "feel": r"\bfeel\b",
    "before": r"\bneed to do\b",
    "next": r"\bwant to do\b",
    "describe": r"\bdescribe\b",
    "happen": r"\bhappen to\b",
}


@dataclass(frozen=True)
class Made:
    """The problems of a split with what only the table keeps, and the rows that were left out of it."""

    rows: list[dict[str, Any]]
    removed: dict[str, int]


def write_problems(params: Params, out: Path) -> None:
    """Write the problems of every split to ``out``, stamped.

    Raises:
        StoriesError: there are not so many different stories.
        PublishedError: the published set cannot be read.
    """
    settings = params.social_iqa
    made = _stories(settings) if settings.source == "stories" else _published(settings)
    shown = settings.model_dump(mode="json", exclude={"reward"})
    for split, part in made.items():
        path = out / f"{split}.parquet"
        write_parquet(pd.DataFrame(part.rows), path)
        parents = sorted(settings.files.values()) if settings.files else []
        stamp(
            path, settings={"social_iqa": shown, "removed": part.removed}, parents=parents, seed=settings.seed
        )
        left_out = "".join(f", {count} removed: {reason}" for reason, count in part.removed.items())
        print(f"[problems] social_iqa {split}: {len(part.rows)} problems{left_out}", file=sys.stderr)


def _stories(settings: SocialIqa) -> dict[str, Made]:
    found = sample(settings)
    return {
        split: Made(
            [
                row_of(s.problem, "social_stories", split, n, kind=s.scene.kind, level=s.scene.level)
                for n, s in enumerate(found[split])
            ],
            {},
        )
        for split in ("train", "validation", "test")
    }


def _published(settings: SocialIqa) -> dict[str, Made]:
    found = read_published(settings)
    return {
        split: Made(list(_published_rows(problems, split)), found.removed.get(split, {}))
        for split, problems in found.problems.items()
    }


def _published_rows(problems: list[Problem], split: str) -> Iterator[dict[str, Any]]:
    for n, problem in enumerate(problems):
        question = problem.question.lower()
        kinds = (kind for kind, form in PUBLISHED_KINDS.items() if re.search(form, question))
        yield row_of(problem, "social_iqa", split, n, kind=next(kinds, "other"), level=None)
