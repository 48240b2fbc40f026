"""The published Social IQa questions: read, checked, cleaned, and split without leaks.

Reads a fixed parquet revision of allenai/social_i_qa on the Hub through ``datasets`` (its loading script is
not run), or local files in the published formats: JSON lines with context, question, answerA, answerB,
answerC and label, or without label and with a ``<name>-labels.lst`` beside them; parquet. Published are a
training set and a validation set, whose labels are known; the latter is our test split, and our validation
split is taken from the training set, whole contexts at a time.

A malformed row is an error that names its file and line. Removed and counted are: exact duplicates,
questions that stand there with two labels, questions whose right option stands there twice, and training
questions whose context occurs in an evaluation split.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from habits.social_params import SocialIqa
from habits.tasks.published import PublishedError, Row, file_rows, hub_rows
from habits.tasks.social_iqa.problem import Problem
from habits.tasks.social_iqa.reward import answer_of_label

HUB = "allenai/social_i_qa"
REVISION = "537a2ec8ec565adc0b70b70752893e59e024df26"  # of refs/convert/parquet; main is a loading script
HUB_SPLITS = {"train": "train", "test": "validation"}
TEXTS = ("context", "question", "answerA", "answerB", "answerC")


@dataclass(frozen=True)
class Published:
    """The problems of every split, in random order, and how many rows were removed for which reason."""

    problems: dict[str, list[Problem]]
    removed: dict[str, dict[str, int]]


def read_published(settings: SocialIqa) -> Published:
    """The published questions as ``settings`` asks for them.

    Raises:
        PublishedError: a file is missing, a row is malformed, or a split ends up empty.
    """
    files = settings.files or {}
    rows = {str(split): _rows_of(path) for split, path in files.items()} if files else _download()
    removed = {split: Counter[str]() for split in rows}
    clean = {split: _clean([_problem(row) for row in rows[split]], removed[split]) for split in rows}
    if "train" not in clean or "test" not in clean:
        raise PublishedError("params.yaml: social_iqa.files needs at least train and test")
    if "validation" not in clean:
        if settings.validation is None:
            raise PublishedError(
                "params.yaml: social_iqa.validation must be a number: none is published, it is taken "
                "from the training questions"
            )
        clean["train"], clean["validation"] = _carve(clean["train"], settings.validation, settings.seed)
    held_out = {_plain(p.context) for split in ("validation", "test") for p in clean[split]}
    apart = [p for p in clean["train"] if _plain(p.context) not in held_out]
    removed["train"]["context of an evaluation split"] = len(clean["train"]) - len(apart)
    problems = {split: _chosen(settings, split, found) for split, found in (clean | {"train": apart}).items()}
    return Published(problems, {split: dict(counts) for split, counts in removed.items()})


def _rows_of(path: Path) -> Iterable[Row]:
    labels = path.with_name(f"{path.stem}-labels.lst")
    return _with_labels(path, labels) if path.suffix != ".parquet" and labels.exists() else file_rows(path)


def _with_labels(path: Path, labels: Path) -> Iterator[Row]:
    """Rows whose labels stand in a file of their own, one a line."""
    rows, values = list(file_rows(path)), labels.read_text(encoding="utf-8").split()
    if len(rows) != len(values):
        raise PublishedError(f"{labels}: {len(values)} labels for the {len(rows)} rows of {path}")
    return (Row({**row.fields, "label": v}, row.place) for row, v in zip(rows, values, strict=True))


def _download() -> dict[str, Iterable[Row]]:
    """Rows of the public set."""
    otherwise = "name local files in social_iqa.files, or use source: stories"
    return {split: hub_rows(HUB, name, REVISION, otherwise=otherwise) for split, name in HUB_SPLITS.items()}


def _problem(row: Row) -> Problem:
    for name in TEXTS:
        text = row.fields.get(name)
        if not isinstance(text, str) or not text.strip():
            raise PublishedError(f"{row.place}: {name} is {text!r:.60}; it must be a text")
    try:
        answer = answer_of_label(row.fields.get("label"))
    except ValueError as error:
        raise PublishedError(f"{row.place}: {error}") from None
    context, question, *options = (" ".join(row.fields[name].split()) for name in TEXTS)
    content = json.dumps([context, question, *options])
    key = f"siqa-{hashlib.sha256(content.encode()).hexdigest()[:12]}"
    return Problem(key, context, question, (options[0], options[1], options[2]), answer)


def _clean(problems: list[Problem], removed: Counter[str]) -> list[Problem]:
    """Problems that can be asked, each once; ``removed`` counts the others."""
    answers: dict[str, set[int]] = defaultdict(set)
    for problem in problems:
        answers[problem.key].add(problem.answer)
    kept: dict[str, Problem] = {}
    for problem in problems:
        if len(answers[problem.key]) > 1:
            removed["two labels"] += 1
        elif problem.key in kept:
            removed["exact duplicate"] += 1
        elif [_plain(option) for option in problem.options].count(
            _plain(problem.options[problem.answer])
        ) > 1:
            removed["right option stands there twice"] += 1
        else:
            kept[problem.key] = problem
    return list(kept.values())


def _carve(train: list[Problem], size: int, seed: int) -> tuple[list[Problem], list[Problem]]:
    """Training problems parted into training and validation, whole contexts at a time."""
    contexts = sorted({_plain(problem.context) for problem in train})
    random.Random(seed).shuffle(contexts)
    of_context: dict[str, list[Problem]] = defaultdict(list)
    for problem in train:
        of_context[_plain(problem.context)].append(problem)
    validation: list[Problem] = []
    for context in contexts:
        if len(validation) >= size:
            break
        validation += of_context.pop(context)
    return [problem for found in of_context.values() for problem in found], validation


def _chosen(settings: SocialIqa, split: str, problems: list[Problem]) -> list[Problem]:
    """At most as many problems as the settings ask for, in random order."""
    if not problems:
        raise PublishedError(f"social_iqa: no {split} question is left; see what was removed")
    order = random.Random(f"{settings.seed}:{split}").sample(problems, len(problems))
    return order[: getattr(settings, split)]


def _plain(text: str) -> str:
    return " ".join(text.lower().split()).rstrip(".")
