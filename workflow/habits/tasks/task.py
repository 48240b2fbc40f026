"""What training and sampling need of a task: its problems, its prompts, its reward. They import no task.

A task is looked up by its name and imported when it is asked for. So the code of one task is no part of what
another one's runs were made with, and editing it leaves their results alone (`habits.sources` follows
imports; rules add the fingerprint of ``habits.tasks.<name>.task``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from habits.params import Params
from habits.section import Section

SOURCES = {"countdown": "countdown", "social_iqa": "social_iqa", "social_stories": "social_iqa"}


class Problem(Protocol):
    """A problem of any task."""

    @property
    def key(self) -> str:
        """Its canonical name, ``problem_id`` in tables."""


class VerdictParts(Protocol):
    """The part of a verdict's reasons that all tasks have."""

    @property
    def format_ok(self) -> bool:
        """Whether the response is well-formed."""


class Verdict(Protocol):
    """Outcome of grading one response."""

    @property
    def reason(self) -> str:
        """``correct``, or why not."""

    @property
    def score(self) -> float:
        """What is paid."""

    @property
    def parts(self) -> VerdictParts:
        """What the verdict rests on."""


@dataclass(frozen=True)
class Task:
    """A task with one prompt template and the reward of params.

    Args:
        name: its folder under data/problems.
        data_source: what verl's reward knows its problems by.
        template: name of the prompt template.
        reward: what outcomes are paid.
        read: the problems of a split's parquet.
        render: the prompt of a problem; chat templates ask the tokenizer.
        grade: the verdict on a response; the last argument is False when it was cut off.
        truth: what a reward needs to know of a problem, as in the parquet of problems.
        columns: what the columns ``numbers`` and ``target`` of a rollouts table say; nulls where it has none.
    """

    name: str
    data_source: str
    template: str
    reward: Section
    read: Callable[[Path], list[Any]]
    render: Callable[[Any, Any], str]
    grade: Callable[[str, Any, bool], Verdict]
    truth: Callable[[Any], dict[str, Any]]
    columns: Callable[[Any], dict[str, Any]]


def reward_of(data_source: str) -> Callable[..., dict[str, float | str]]:
    """The reward of a data source under verl's contract.

    Raises:
        ValueError: no task has such problems.
    """
    if data_source not in SOURCES:
        raise ValueError(f"data_source is {data_source!r}; choose one of {', '.join(SOURCES)}")
    found: Callable[..., dict[str, float | str]] = import_module(
        f"habits.tasks.{SOURCES[data_source]}"
    ).compute_score
    return found


def task_of(params: Params, model: str) -> Task:
    """The task of ``models.{model}`` with that model's prompt template."""
    spec = params.models[model]
    made: Task = import_module(f"habits.tasks.{spec.task}.task").make(params, spec.prompt_template)
    return made
