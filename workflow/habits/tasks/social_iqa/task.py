"""Social IQa as training and sampling see it (`habits.tasks.task`)."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa

from habits.params import Params
from habits.tasks.social_iqa.problem import Problem
from habits.tasks.social_iqa.prompts import TEMPLATES, ChatTokenizer
from habits.tasks.social_iqa.reward import grade
from habits.tasks.social_iqa.table import read_problems
from habits.tasks.task import Task, Verdict

# Types of the columns that Countdown fills, so that tables of both tasks can be joined.
NUMBERS, TARGET = pd.ArrowDtype(pa.list_(pa.int64())), pd.ArrowDtype(pa.int64())


def make(params: Params, template: str) -> Task:
    """Social IQa with one of its prompt templates and the reward of ``params``."""
    reward = params.social_iqa.reward

    def paid(response: str, problem: Problem, stopped: bool) -> Verdict:
        return grade(response, problem, stopped=stopped, reward=reward)

    def render(problem: Problem, tokenizer: ChatTokenizer) -> str:
        return TEMPLATES[template].render(problem, tokenizer)

    return Task("social_iqa", template, reward, read_problems, render, paid, _columns)


def _columns(problems: list[Problem]) -> dict[str, Any]:
    """Nulls: a question and its options are found by ``problem_id`` in the table of problems."""
    empty = [None] * len(problems)
    return {"numbers": pd.Series(empty, dtype=NUMBERS), "target": pd.Series(empty, dtype=TARGET)}
