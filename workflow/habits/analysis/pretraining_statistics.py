"""Rule ``pretraining_statistics``: how often behaviors occur in each corpus and domain, with intervals.

Reads ``data/labels/{corpus}/shard*.parquet``, one batch at a time; writes
``results/pretraining_statistics/``: ``shares.parquet`` (behavior by corpus and domain; domain ``all``: all of
them), ``together.parquet`` (pairs of behaviors in one document), ``labels.parquet`` (how many documents could
be labelled) and, where the corpus was generated, ``accuracy.parquet`` (the labels against what was planted).
All of it comes from sums, so memory does not depend on the number of documents.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from habits.analysis.resampling import wilson
from habits.artifacts import ArtifactError, replacing, stamp
from habits.params import Params
from habits.pretraining.labelled import STATUSES
from habits.priming.language import BEHAVIORS
from habits.progress import Progress

BATCH = 16_384
ALL = "all"


@dataclass
class Sums:
    """What is known of the labelled documents of a corpus and domain."""

    n: int = 0
    tokens: float = 0.0
    tokens_squared: float = 0.0
    present: np.ndarray[Any, Any] = field(default_factory=lambda: np.zeros(4))
    counts: np.ndarray[Any, Any] = field(default_factory=lambda: np.zeros(4))
    squared: np.ndarray[Any, Any] = field(default_factory=lambda: np.zeros(4))
    with_tokens: np.ndarray[Any, Any] = field(default_factory=lambda: np.zeros(4))
    together: np.ndarray[Any, Any] = field(default_factory=lambda: np.zeros((4, 4)))

    def add(self, counts_D4: np.ndarray[Any, Any], tokens_D: np.ndarray[Any, Any]) -> None:
        """Take in D documents: their counts of the four behaviors and their lengths."""
        present = (counts_D4 > 0).astype(float)
        self.n += len(tokens_D)
        self.tokens += tokens_D.sum()
        self.tokens_squared += (tokens_D**2).sum()
        self.present += present.sum(axis=0)
        self.counts += counts_D4.sum(axis=0)
        self.squared += (counts_D4**2).sum(axis=0)
        self.with_tokens += (counts_D4 * tokens_D[:, None]).sum(axis=0)
        self.together += present.T @ present


def write_pretraining_statistics(params: Params, labels: Path, documents: Path, out: Path) -> None:
    """Write the tables of all corpora.

    Args:
        labels: the folder of the labels.
        documents: the folder of the corpora, which knows what was planted.

    Raises:
        ArtifactError: the labels of a shard are missing.
    """
    tables: dict[str, list[dict[str, Any]]] = {name: [] for name in COLUMNS}
    parents: list[Path] = []
    for corpus in params.pretraining.corpora:
        files = [labels / corpus / f"shard{shard:04d}.parquet" for shard in params.pretraining.shards(corpus)]
        parents += files
        sums, found, truth = _sums(corpus, files, documents)
        for domain in sorted(sums, key=lambda name: (name != ALL, name)):
            tables["shares"] += _shares(params, corpus, domain, sums[domain])
        tables["together"] += _together(params, corpus, sums[ALL])
        total = found.total()
        tables["labels"].append(
            {"corpus": corpus, "documents": total, **{name: found[name] for name in STATUSES}}
        )
        tables["accuracy"] += _accuracy(params, corpus, truth)
    with replacing(out) as temporary:
        temporary.mkdir()
        for name, rows in tables.items():
            pd.DataFrame(rows, columns=COLUMNS[name]).to_parquet(
                temporary / f"{name}.parquet", index=False, compression="zstd"
            )
    stamp(out, settings={"confidence": params.statistics.confidence}, parents=parents)


INTERVAL = ["low", "high"]
COLUMNS = {
    "shares": ["corpus", "domain", "behavior", "metric", "mean", *INTERVAL, "n_documents"],
    "together": ["corpus", "behavior", "other", "share", *INTERVAL, "lift", "n_documents"],
    "labels": ["corpus", "documents", *STATUSES],
    "accuracy": ["corpus", "behavior", "statistic", "value", *INTERVAL, "n_documents"],
}


def _sums(
    corpus: str, files: list[Path], documents: Path
) -> tuple[dict[str, Sums], Counter[str], Counter[tuple[str, bool, bool]]]:
    """Sums by domain, documents by status, and (behavior, planted, found) where that is known."""
    sums: dict[str, Sums] = {ALL: Sums()}
    statuses: Counter[str] = Counter()
    truth: Counter[tuple[str, bool, bool]] = Counter()
    progress = Progress(f"pretraining_statistics {corpus}", len(files))
    for done, file in enumerate(files, start=1):
        if not file.exists():
            raise ArtifactError(f"{file} does not exist; make it with `snakemake --cores all {file}`")
        planted = dict(_planted(documents / corpus / file.name))
        columns = ["document", "n_tokens", *BEHAVIORS, "domain", "status"]
        for batch in pq.ParquetFile(file).iter_batches(BATCH, columns=columns):
            frame = batch.to_pandas()
            statuses.update(frame["status"])
            frame = frame[frame["status"] == "ok"]
            for domain, rows in [(ALL, frame), *frame.groupby("domain")]:
                counts = rows[list(BEHAVIORS)].to_numpy(float)
                sums.setdefault(str(domain), Sums()).add(counts, rows["n_tokens"].to_numpy(float))
            if planted:
                for behavior in BEHAVIORS:
                    there = [planted[document][behavior] > 0 for document in frame["document"]]
                    truth.update(zip([behavior] * len(there), there, frame[behavior] > 0, strict=True))
        progress.update(done)
    return sums, statuses, truth


def _planted(shard: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """What was planted in each document of a generated shard; nothing for another one."""
    for batch in pq.ParquetFile(shard).iter_batches(BATCH, columns=["document", "truth"]):
        documents, truths = batch.column(0).to_pylist(), batch.column(1)
        if truths.null_count < len(truths):
            yield from zip(documents, truths.to_pylist(), strict=True)


def _shares(params: Params, corpus: str, domain: str, sums: Sums) -> Iterator[dict[str, Any]]:
    """Share of documents with a behavior, mean count, and instances per 1,000 tokens."""
    confidence = params.statistics.confidence
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    for place, behavior in enumerate(BEHAVIORS if sums.n else ()):
        n, count = sums.n, sums.counts[place]
        mean = count / n
        spread = z * np.sqrt(max(sums.squared[place] / n - mean**2, 0.0) / n)
        rate = count / sums.tokens
        # Ratio estimator: the variance of count - rate * tokens over documents, by the delta method.
        left = sums.squared[place] - 2 * rate * sums.with_tokens[place] + rate**2 * sums.tokens_squared
        rate_spread = z * np.sqrt(max(left, 0.0)) / sums.tokens
        share = wilson(sums.present[place], n, confidence)
        rows = {
            "share": (sums.present[place] / n, *share),
            "mean_count": (mean, max(mean - spread, 0.0), mean + spread),
            "per_1000_tokens": (
                1000 * rate,
                max(1000 * (rate - rate_spread), 0.0),
                1000 * (rate + rate_spread),
            ),
        }
        for metric, (value, low, high) in rows.items():
            yield dict(
                zip(COLUMNS["shares"], (corpus, domain, behavior, metric, value, low, high, n), strict=True)
            )


def _together(params: Params, corpus: str, sums: Sums) -> Iterator[dict[str, Any]]:
    """Pairs of behaviors in one document; lift: how much more often than if they were independent."""
    for one, other in combinations(range(len(BEHAVIORS)) if sums.n else (), 2):
        both, n = sums.together[one, other], sums.n
        expected = sums.present[one] * sums.present[other] / n
        low, high = wilson(both, n, params.statistics.confidence)
        lift = both / expected if expected else float("nan")
        values = (corpus, BEHAVIORS[one], BEHAVIORS[other], both / n, low, high, lift, n)
        yield dict(zip(COLUMNS["together"], values, strict=True))


def _accuracy(
    params: Params, corpus: str, truth: Counter[tuple[str, bool, bool]]
) -> Iterator[dict[str, Any]]:
    """Precision, recall and F1 of "the behavior is there" against what was planted."""
    for behavior in BEHAVIORS if truth else ():
        hit, missed = truth[behavior, True, True], truth[behavior, True, False]
        false = truth[behavior, False, True]
        f1 = 2 * hit / (2 * hit + missed + false) if hit else 0.0
        rows = [
            ("precision", hit, hit + false),
            ("recall", hit, hit + missed),
        ]
        for statistic, part, whole in rows:
            if whole:
                low, high = wilson(part, whole, params.statistics.confidence)
                values = (corpus, behavior, statistic, part / whole, low, high, whole)
                yield dict(zip(COLUMNS["accuracy"], values, strict=True))
        n = sum(count for (name, _, _), count in truth.items() if name == behavior)
        nothing = float("nan")
        yield dict(zip(COLUMNS["accuracy"], (corpus, behavior, "f1", f1, nothing, nothing, n), strict=True))
