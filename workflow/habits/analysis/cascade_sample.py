"""The documents that plan and measure the cascade, and who says what is in them.

Reads shards of ``data/corpus``, ``data/deduplication`` and, where a language model has labelled everything,
``data/labels``; with ``labelling.cascade`` it asks the language model about the sample alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from habits.artifacts import read_parquet
from habits.params import Params
from habits.pretraining.classifier import KINDS, TARGETS, Marks
from habits.pretraining.labelled import Label, Text
from habits.pretraining.labelling import label_by_model
from habits.pretraining.labels import check_failures
from habits.pretraining_params import RULES
from habits.priming.language import BEHAVIORS
from habits.progress import Progress

BATCH = 2_000

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Drawn:
    """A document of the sample, and what was planted in it, if that is known."""

    text: Text
    truth: Mapping[str, Any] | None


@dataclass(frozen=True)
class Sample:
    """D documents with labels: counts of the four behaviors, is_problem and is_solution."""

    texts: list[str]
    counts_D4: Counts
    kinds_D2: Marks

    def has(self, target: str) -> Marks:
        """Which documents have a target."""
        if target in KINDS:
            return self.kinds_D2[:, KINDS.index(target)]
        return np.asarray(self.counts_D4[:, TARGETS.index(target)] > 0, np.bool_)


def draw(params: Params, shards: list[Path], repeated: Path) -> list[Drawn]:
    """A random sample of twice ``cascade.sample`` documents, held one shard at a time.

    Args:
        repeated: the corpus's repeated documents, which nobody labels.
    """
    rng, wanted = Random(params.cascade.seed), 2 * params.cascade.sample
    dropped = set(read_parquet(repeated, ["document"])["document"])
    chosen: list[Drawn] = []
    seen = 0
    progress = Progress("cascade: sample", len(shards))
    for number, shard in enumerate(shards):
        for found in _documents(shard, dropped):
            # Reservoir sampling: each document seen so far is in it with the same probability.
            place = len(chosen) if len(chosen) < wanted else rng.randrange(seen + 1)
            if place < wanted:
                chosen[place : place + 1] = [found]
            seen += 1
        progress.update(number + 1)
    rng.shuffle(chosen)
    return chosen


def _documents(shard: Path, dropped: set[int]) -> Iterator[Drawn]:
    columns = ["document", "text", "n_tokens", "truth"]
    for batch in pq.ParquetFile(shard).iter_batches(BATCH, columns=columns):
        for row in batch.to_pylist():
            if row["document"] not in dropped:
                yield Drawn(Text(row["document"], row["text"], row["n_tokens"]), row["truth"])


def reference(
    params: Params, corpus: str, drawn: list[Drawn], files: list[Path], gpus: int
) -> list[Label | None]:
    """The labels that the cascade has to reach; None where there is none."""
    if params.labelling.labeller == RULES:
        return [_planted(found.truth) for found in drawn]
    if params.labelling.cascade:
        labels = label_by_model(params, [found.text for found in drawn], gpus)
        reasons = Counter(label.reason for label in labels if label.reason)
        check_failures(params, f"cascade {corpus}", Counter(label.status for label in labels), reasons)
        return list(labels)
    wanted = {found.text.document for found in drawn}
    known = {document: label for file in files for document, label in _labels(file, wanted)}
    return [known.get(found.text.document) for found in drawn]


def _planted(truth: Mapping[str, Any] | None) -> Label | None:
    if truth is None:
        return None
    counts = {behavior: int(truth[behavior]) for behavior in BEHAVIORS}
    problem, solution = (bool(truth[kind]) for kind in KINDS)
    return Label("planted", counts=counts, is_problem=problem, is_solution=solution)


def _labels(path: Path, wanted: set[int]) -> Iterator[tuple[int, Label]]:
    frame = read_parquet(path, ["document", "rater", "status", *BEHAVIORS, *KINDS])
    for row in frame[(frame["status"] == "ok") & frame["document"].isin(wanted)].to_dict("records"):
        counts = {behavior: int(row[behavior]) for behavior in BEHAVIORS}
        problem, solution = (bool(row[kind]) for kind in KINDS)
        label = Label(row["rater"], counts=counts, is_problem=problem, is_solution=solution)
        yield int(row["document"]), label


def samples(drawn: list[Drawn], labels: Sequence[Label | None]) -> tuple[Sample, Sample]:
    """Half of the documents that have labels, and the other half."""
    pairs = [(d, label) for d, label in zip(drawn, labels, strict=True) if label and label.counts]
    half = len(pairs) // 2
    return _sample(pairs[:half]), _sample(pairs[half:])


def _sample(pairs: Sequence[tuple[Drawn, Label]]) -> Sample:
    counts = [[label.counts[b] if label.counts else 0 for b in BEHAVIORS] for _, label in pairs]
    kinds = [[bool(label.is_problem), bool(label.is_solution)] for _, label in pairs]
    return Sample(
        [found.text.text for found, _ in pairs],
        np.array(counts, np.int64).reshape(-1, len(BEHAVIORS)),
        np.array(kinds, np.bool_).reshape(-1, len(KINDS)),
    )
