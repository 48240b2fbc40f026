"""Countdown as training and sampling see it (`habits.tasks.task`)."""

from __future__ import annotations

from typing import Any

from habits.params import Params
from habits.tasks.countdown.arithmetic import Problem
from habits.tasks.countdown.prompts import TEMPLATES
from habits.tasks.countdown.reward import grade
from habits.tasks.countdown.table import read_problems
from habits.tasks.task import Task, Verdict


def make(params: Params, template: str) -> Task:
    """Countdown with one of its prompt templates and the reward of ``params``."""

    def paid(response: str, problem: Problem, stopped: bool) -> Verdict:
        return grade(response, problem, stopped=stopped, reward=params.reward)

    def render(problem: Problem, _: Any) -> str:
        return TEMPLATES[template].render(problem)

    return Task("countdown", template, params.reward, read_problems, render, paid, _columns)


def _columns(problems: list[Problem]) -> dict[str, Any]:
    return {
        "numbers": [list(problem.numbers) for problem in problems],
        "target": [problem.target for problem in problems],
    }
