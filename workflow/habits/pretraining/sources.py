"""Where documents come from: the embedded generator, or parquet and jsonl files here or on the network.

Files are named by a glob, locally or as any fsspec URL
(``hf://datasets/open-web-math/open-web-math/data/*.parquet`` reads the public source itself, with ``@COMMIT``
after the data set's name a fixed state of it); jsonl may be compressed (.gz, .bz2, .xz). Documents stand in
the order of the files' names. A shard reads only the row groups that it needs, one at a time, so memory does
not depend on the size of a corpus.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from habits.artifacts import ArtifactError
from habits.pretraining.documents import document
from habits.pretraining_params import GENERATOR, CorpusSpec
from habits.priming.language import Behavior

BATCH = 256  # documents that are in memory at once


@dataclass(frozen=True)
class Truth:
    """What the generator knows about its document."""

    planted: Counter[Behavior]
    is_problem: bool
    is_solution: bool
    domain: str
    copied_from: int


@dataclass(frozen=True)
class Source:
    """A text as it came; ``truth`` is None but for the generator's."""

    index: int
    text: str
    truth: Truth | None = None


def read_source(spec: CorpusSpec, first: int, stop: int) -> Iterator[Source]:
    """Documents ``first`` to ``stop`` (exclusive) of a corpus; fewer where it ends before.

    Raises:
        ArtifactError: no file is found, or one cannot be read.
    """
    if spec.source == GENERATOR:
        for index in range(first, stop):
            made = document(spec.seed, index)
            truth = Truth(made.planted, made.is_problem, made.is_solution, made.domain, made.copied_from)
            yield Source(index, made.text, truth)
        return
    try:
        texts = _texts(spec, first)
        for index, text in enumerate(islice(texts, stop - first), start=first):
            yield Source(index, text)
    except (OSError, EOFError, ValueError, pa.ArrowException) as error:
        raise ArtifactError(f"{spec.source}: cannot be read: {error}") from error


def _texts(spec: CorpusSpec, first: int) -> Iterator[str]:
    files = sorted(fsspec.open_files(spec.source, "rb", compression="infer"), key=lambda file: file.path)
    if not files:
        raise ArtifactError(f"{spec.source}: no such file; see pretraining.corpora.*.source in params.yaml")
    to_skip = first
    for file in files:
        with file as handle:
            if file.path.endswith(".parquet"):
                table = pq.ParquetFile(handle)
                rows = table.metadata.num_rows
                if to_skip < rows:
                    yield from _parquet(table, spec, to_skip, file.path)
                to_skip = max(0, to_skip - rows)
            else:
                for number, line in enumerate(handle, start=1):
                    if not line.strip():
                        continue
                    if to_skip:
                        to_skip -= 1
                    else:
                        yield _json_text(line, spec, f"{file.path} line {number}")


def _parquet(table: pq.ParquetFile, spec: CorpusSpec, skip: int, path: str) -> Iterator[str]:
    if spec.text_column not in table.schema_arrow.names:
        raise ArtifactError(
            f"{path} has no column {spec.text_column!r} (text_column), but "
            f"{', '.join(table.schema_arrow.names)}"
        )
    groups: list[int] = []
    for group in range(table.num_row_groups):
        rows = table.metadata.row_group(group).num_rows
        if skip >= rows and not groups:
            skip -= rows
        else:
            groups.append(group)
    for batch in table.iter_batches(BATCH, groups, [spec.text_column]):
        texts = batch.column(0)
        start = min(skip, len(texts))
        skip -= start
        for place in range(start, len(texts)):
            yield str(texts[place].as_py() or "")


def _json_text(line: bytes, spec: CorpusSpec, place: str) -> str:
    try:
        record: Any = json.loads(line)
    except ValueError as error:  # JSON, or bytes that are no UTF-8
        raise ArtifactError(f"{place}: not JSON: {error}") from None
    if not isinstance(record, dict) or spec.text_column not in record:
        raise ArtifactError(f"{place}: no object with the key {spec.text_column!r} (text_column)")
    return str(record[spec.text_column] or "")
