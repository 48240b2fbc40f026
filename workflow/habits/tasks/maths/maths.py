"""Rule ``maths``: the problems of one maths set, for evaluation only.

Reads params.yaml, and for published sets the Hub or the file that it names. Writes one parquet a set in
verl's schema (see ``table``), in the set's own order.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from habits.artifacts import stamp, write_parquet
from habits.mistakes import ParamsError
from habits.params import Params
from habits.tasks.maths.problem import Problem
from habits.tasks.maths.published import SOURCES, read_published
from habits.tasks.maths.table import row_of
from habits.tasks.maths.word_problems import sample


def write_maths(params: Params, name: str, out: Path) -> None:
    """Write the problems of set ``name`` to ``out``, stamped.

    Raises:
        ParamsError: there is no such set.
        PublishedError: a published set cannot be read.
    """
    settings = params.maths
    problems = _problems(params, name)
    write_parquet(pd.DataFrame([row_of(problem, name, n) for n, problem in enumerate(problems)]), out)
    file = settings.files.get(name)  # type: ignore[call-overload]
    stamp(out, settings=settings.model_dump(mode="json"), parents=[file] if file else [], seed=settings.seed)
    print(f"[maths] {name}: {len(problems)} problems", file=sys.stderr)


def _problems(params: Params, name: str) -> list[Problem]:
    settings = params.maths
    if name == "word_problems":
        return [composed.problem for composed in sample(settings.word_problems, settings.seed)]
    for published in SOURCES:
        if name == published:
            return read_published(published, settings.revisions.get(published), settings.files.get(published))
    raise ParamsError(f"maths set {name!r} does not exist; choose word_problems, {', '.join(SOURCES)}")
