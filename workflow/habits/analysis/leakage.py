"""Rule ``leakage``: what the data sets share: numbers, problems and prompts of training and evaluation.

Reads the problems, the traces of every priming set in the matrix, and the documents of ``rewriting.corpora``;
writes ``results/leakage/leakage.parquet``, one row a pair of data sets and kind. Compared are the numbers of
a problem in any order, numbers and target, and the prompt as it is written. Of a document it is the number
puzzle that it poses, if it poses one. A leak is what a training set shares with evaluation although it must
not: a problem or a prompt, and the numbers alone where ``countdown.split_by`` keeps them apart. Documents are
no training set before they are rewritten, which drops what evaluation knows.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from habits.artifacts import ArtifactError, read_parquet, replacing, stamp
from habits.params import Params
from habits.pretraining.retelling import retell
from habits.priming.traces import prompt_template
from habits.progress import Progress
from habits.tasks.countdown.table import read_problems

KINDS = ("numbers", "problem", "prompt")
EVALUATION = ("validation", "test")
BATCH = 2_000
COLUMNS = ["one", "other", "kind", "shared", "n_one", "n_other", "leak"]


@dataclass
class Content:
    """What a data set holds, by kind, without repetitions."""

    name: str
    trains: bool
    held: dict[str, set[Any]] = field(default_factory=lambda: {kind: set() for kind in KINDS})

    def add(self, numbers: tuple[int, ...], target: int, prompt: str = "") -> None:
        """Take in a problem."""
        self.held["numbers"].add(numbers)
        self.held["problem"].add((numbers, target))
        if prompt:
            self.held["prompt"].add(prompt)


def write_leakage(params: Params, problems: Path, priming: Path, documents: Path, out: Path) -> None:
    """Write the certificate.

    Args:
        problems: the problems folder.
        priming: the folder of the traces.
        documents: the folder of the corpora.

    Raises:
        ArtifactError: an input is missing.
    """
    contents = list(contents_of(params, problems, priming, documents))
    rows = [row for one, other in combinations(contents, 2) for row in _rows(params, one, other)]
    table = pd.DataFrame(rows, columns=COLUMNS)
    with replacing(out) as temporary:
        temporary.mkdir()
        table.to_parquet(temporary / "leakage.parquet", index=False, compression="zstd")
    leaks = int(table.loc[table["leak"], "shared"].sum())
    print(f"[leakage] {len(contents)} data sets, {leaks} leaks into evaluation", file=sys.stderr, flush=True)
    stamp(out, settings={"split_by": params.countdown.split_by}, parents=[])


def contents_of(params: Params, problems: Path, priming: Path, documents: Path) -> Iterator[Content]:
    """Evaluation, RL, each priming set, each corpus."""
    template = prompt_template(params)
    for split in (*EVALUATION, "train"):
        content = Content(split, trains=split == "train")
        for problem in read_problems(problems / f"{split}.parquet"):
            content.add(tuple(sorted(problem.numbers)), problem.target, template.render(problem))
        yield content
    primed = {(run.priming, run.seed) for run in params.runs if run.priming != "none"}
    for name in sorted({priming_set for priming_set, _ in primed}):
        content = Content(name, trains=True)
        for seed in sorted(seed for priming_set, seed in primed if priming_set == name):
            frame = read_parquet(priming / name / f"seed{seed}.parquet", ["numbers", "target", "prompt"])
            for numbers, target, prompt in frame.itertuples(index=False):
                content.add(tuple(sorted(int(n) for n in numbers)), int(target), prompt)
        yield content
    for corpus in params.rewriting.corpora:
        yield _documents(params, corpus, documents)


def _documents(params: Params, corpus: str, documents: Path) -> Content:
    content = Content(f"documents of {corpus}", trains=False)
    shards = params.pretraining.shards(corpus)
    progress = Progress(f"leakage {corpus}", len(shards))
    for shard in shards:
        path = documents / corpus / f"shard{shard:04d}.parquet"
        if not path.exists():
            raise ArtifactError(f"{path} does not exist; make it with `snakemake --cores all {path}`")
        for batch in pq.ParquetFile(path).iter_batches(BATCH, columns=["text"]):
            for text in batch.column(0).to_pylist():
                if (found := retell(text)) is not None:
                    content.add(tuple(sorted(found.problem.numbers)), found.problem.target)
        progress.update(shard + 1)
    return content


def _rows(params: Params, one: Content, other: Content) -> Iterator[dict[str, Any]]:
    evaluation = one.name in EVALUATION
    for kind in KINDS:
        shared = len(one.held[kind] & other.held[kind])
        apart = kind != "numbers" or params.countdown.split_by == "numbers"
        leak = bool(shared and evaluation and other.trains and apart)
        values = (one.name, other.name, kind, shared, len(one.held[kind]), len(other.held[kind]), leak)
        yield dict(zip(COLUMNS, values, strict=True))
