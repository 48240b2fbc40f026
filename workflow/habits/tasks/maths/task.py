"""Maths as sampling sees it (`habits.tasks.task`): for evaluation, RL does not train on it."""

from __future__ import annotations

from typing import Any

from habits.section import Section
from habits.tasks.maths.problem import Problem
from habits.tasks.maths.prompts import ChatTokenizer, Style
from habits.tasks.maths.reward import Comparer, cut_at, grade
from habits.tasks.maths.table import read_problems, truth
from habits.tasks.task import Task, Verdict


def evaluation_task(name: str, style: Style, verifier: Comparer) -> Task:
    """A maths set, put to a model in one style and graded with the help of ``verifier``."""

    def paid(response: str, problem: Problem, stopped: bool) -> Verdict:
        cut = cut_at(response, style.stops(problem.language))
        return grade(cut, problem, verifier, stopped=stopped or len(cut) < len(response))

    def render(problem: Problem, tokenizer: ChatTokenizer) -> str:
        return style.render(problem, tokenizer)

    return Task(name, name, f"{style.shots} shots", Section(), read_problems, render, paid, truth, _columns)


def _columns(_: Problem) -> dict[str, Any]:
    return {"numbers": None, "target": None}
