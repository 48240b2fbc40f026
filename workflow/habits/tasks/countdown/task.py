"""Countdown as training and sampling see it (`habits.tasks.task`)."""

from __future__ import annotations

from typing import Any

from habits.params import Params
from habits.tasks.countdown.arithmetic import Problem
from habits.tasks.countdown.prompts import TEMPLATES
from habits.tasks.countdown.reward import DATA_SOURCE, grade
from habits.tasks.countdown.table import read_problems
from habits.tasks.task import Task, Verdict


def make(params: Params, template: str) -> Task:
    """Countdown with one of its prompt templates and the reward of ``params``."""

    def paid(response: str, problem: Problem, stopped: bool) -> Verdict:
        return grade(response, problem, stopped=stopped, reward=params.reward)

    def render(problem: Problem, _: Any) -> str:
        return TEMPLATES[template].render(problem)

    return Task(DATA_SOURCE, DATA_SOURCE, template, params.reward, read_problems, render, paid, truth, truth)


def truth(problem: Problem) -> dict[str, Any]:
    """The numbers and the target of a problem."""
    return {"numbers": list(problem.numbers), "target": problem.target}
