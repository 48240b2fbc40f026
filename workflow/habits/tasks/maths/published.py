"""GSM8K, MATH and CMATH as published: from the Hugging Face Hub at a fixed revision, or from local files.

A row that lacks a field, or a gold answer that cannot be found, is an error with its place:
dropping it would change which items are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from habits.tasks.maths.answers import boxed
from habits.tasks.maths.numbers import parse_number
from habits.tasks.maths.problem import Language, Problem
from habits.tasks.published import PublishedError, Row, file_rows, hub_rows

Published = Literal["gsm8k", "math", "cmath"]
SUBJECTS = (
    *("algebra", "counting_and_probability", "geometry", "intermediate_algebra", "number_theory"),
    *("prealgebra", "precalculus"),
)


@dataclass(frozen=True)
class Source:
    """A published set: its name on the Hub, its configurations there, its test split, how a row is read."""

    hub: str
    configurations: tuple[str, ...]
    split: str
    language: Language
    read: Callable[[Mapping[str, Any]], tuple[str, str]]


def _gsm8k(row: Mapping[str, Any]) -> tuple[str, str]:
    """Question and answer; the Hub's answers end in ``#### 18``, some copies keep the 18 alone."""
    gold = _text(row, "answer").rpartition("####")[2].strip()
    if parse_number(gold) is None:
        raise ValueError(f"answer must end in a number, not {gold!r:.40}")
    return _text(row, "question"), gold


def _math(row: Mapping[str, Any]) -> tuple[str, str]:
    """Problem and what the solution's last ``\\boxed`` holds; a field ``answer`` is taken as it is."""
    if isinstance(row.get("answer"), str):
        return _text(row, "problem"), _text(row, "answer")
    gold = boxed(_text(row, "solution"))
    if gold is None:
        raise ValueError("solution has no \\boxed answer")
    return _text(row, "problem"), gold


def _cmath(row: Mapping[str, Any]) -> tuple[str, str]:
    gold = str(row.get("golden", "")).strip()
    if parse_number(gold) is None:
        raise ValueError(f"golden must be a number, not {gold!r:.40}")
    return _text(row, "question"), gold


SOURCES: dict[Published, Source] = {
    "gsm8k": Source("openai/gsm8k", ("main",), "test", "en", _gsm8k),
    "math": Source("EleutherAI/hendrycks_math", SUBJECTS, "test", "en", _math),
    "cmath": Source("weitianwen/cmath", ("default",), "test", "zh", _cmath),
}


def read_published(
    name: Published, revision: str | None, file: Path | None = None, hub: str | None = None
) -> list[Problem]:
    """The test problems of a published set, in its order.

    Args:
        revision: commit of the data set on the Hub; a file needs none.
        file: local ``.jsonl`` or ``.parquet`` in the published format, in place of a download.
        hub: another repository, or a folder that is laid out like it.

    Raises:
        PublishedError: the set cannot be had, a row is malformed, or there is none.
    """
    source = SOURCES[name]
    rows = file_rows(file) if file else _download(source, revision, hub or source.hub)
    problems = [_problem(source, f"{name}-{source.split}-{n}", row) for n, row in enumerate(rows)]
    if not problems:
        raise PublishedError(f"{file or source.hub}: holds no problem")
    return problems


def _problem(source: Source, key: str, row: Row) -> Problem:
    try:
        question, gold = source.read(row.fields)
    except ValueError as error:
        raise PublishedError(f"{row.place}: {error}") from None
    return Problem(key, question, gold, source.language)


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} is {value!r:.60}; it must be a text")
    return value.strip()


def _download(source: Source, revision: str | None, hub: str) -> Iterator[Row]:
    for configuration in source.configurations:
        yield from hub_rows(hub, source.split, revision, configuration, otherwise="name a local file")
