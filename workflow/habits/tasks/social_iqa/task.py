"""Social IQa as training and sampling see it (`habits.tasks.task`)."""

from __future__ import annotations

from typing import Any

from habits.params import Params
from habits.tasks.social_iqa.problem import Problem
from habits.tasks.social_iqa.prompts import TEMPLATES, ChatTokenizer
from habits.tasks.social_iqa.reward import grade
from habits.tasks.social_iqa.table import read_problems, truth
from habits.tasks.task import Task, Verdict


def make(params: Params, template: str) -> Task:
    """Social IQa with one of its prompt templates and the reward of ``params``."""
    reward = params.social_iqa.reward

    def paid(response: str, problem: Problem, stopped: bool) -> Verdict:
        return grade(response, problem, stopped=stopped, reward=reward)

    def render(problem: Problem, tokenizer: ChatTokenizer) -> str:
        return TEMPLATES[template].render(problem, tokenizer)

    source = "social_stories" if params.social_iqa.source == "stories" else "social_iqa"
    return Task("social_iqa", source, template, reward, read_problems, render, paid, truth, _columns)


def _columns(_: Problem) -> dict[str, Any]:
    """Nulls: a question and its options are found by ``problem_id`` in the table of problems."""
    return {"numbers": None, "target": None}
