"""What the cascade is worth on documents that took no part in its plan.

Reads and writes no files.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from habits.analysis.cascade_sample import Counts, Sample
from habits.params import Params
from habits.pretraining.classifier import Line, Marks, features_of, label_surely, sort_out
from habits.pretraining.labelled import Label, label_by_rules
from habits.priming.language import BEHAVIORS

Rows = NDArray[np.int64] | slice
Measure = Callable[[Rows], float]
BOOTSTRAP = 1000  # resamples of documents
HELD_OUT = ["corpus", "strategy", "measure", "behavior", "value", "low", "high", "n_documents"]


def measure(params: Params, corpus: str, lines: Mapping[str, Line], held_out: Sample) -> list[dict[str, Any]]:
    """Rows of ``held_out.parquet``: what rules alone and the cascade are worth on unseen documents."""
    rules_D4 = _counts([label_by_rules(text) for text in held_out.texts])
    nobody_D = np.zeros(len(held_out.texts), np.bool_)
    cascade_D4, asked_D = _cascade(lines, held_out)
    rows = [
        *_worth(params, corpus, "rules", rules_D4, nobody_D, held_out.counts_D4),
        *_worth(params, corpus, "cascade", cascade_D4, asked_D, held_out.counts_D4),
    ]
    told = _f1(cascade_D4, held_out.counts_D4)
    print(
        f"[cascade {corpus}] asks about {asked_D.mean():.1%} of documents, F1 {told:.3f} of 1",
        file=sys.stderr,
        flush=True,
    )
    return rows


def _cascade(lines: Mapping[str, Line], held_out: Sample) -> tuple[Counts, Marks]:
    """Counts that the cascade gives, where the reference answers for the language model, and who is asked."""
    texts, features = held_out.texts, features_of(held_out.texts)
    found = sort_out(lines, features)
    counts_D4 = held_out.counts_D4.copy()
    for place in np.flatnonzero(~found.asked_D):
        present = {target: bool(marks[place]) for target, marks in found.present.items()}
        counts_D4[place] = _counts([label_surely("", texts[place], present)])[0]
    return counts_D4, found.asked_D


def _counts(labels: Sequence[Label]) -> Counts:
    rows = [[label.counts[b] if label.counts else 0 for b in BEHAVIORS] for label in labels]
    return np.array(rows, np.int64).reshape(-1, len(BEHAVIORS))


def _worth(
    params: Params, corpus: str, strategy: str, counts_D4: Counts, asked_D: Marks, truth_D4: Counts
) -> Iterator[dict[str, Any]]:
    """F1 and instances (as a share of the true ones), and the share asked about, with bootstrap intervals."""
    measures: list[tuple[str, str, Measure]] = [("asked", "", lambda rows: float(asked_D[rows].mean()))]
    parts = [("", slice(None)), *((b, slice(k, k + 1)) for k, b in enumerate(BEHAVIORS))]
    for behavior, part in parts:
        for name, compare in (("f1", _f1), ("instances", _ratio)):
            measures.append((name, behavior, partial(_on, compare, counts_D4[:, part], truth_D4[:, part])))
    rng = np.random.default_rng(params.cascade.seed)
    draws_BD = rng.integers(0, len(asked_D), (BOOTSTRAP, len(asked_D)))
    tail = (1 - params.statistics.confidence) / 2
    for measured, behavior, value in measures:
        low, high = np.quantile([value(rows) for rows in draws_BD], [tail, 1 - tail])
        values = (corpus, strategy, measured, behavior, value(slice(None)), low, high, len(asked_D))
        yield dict(zip(HELD_OUT, values, strict=True))


def _on(compare: Callable[[Counts, Counts], float], ours: Counts, true: Counts, rows: Rows) -> float:
    return compare(ours[rows], true[rows])


def _f1(counts: Counts, truth: Counts) -> float:
    """F1 of "the behavior is there"."""
    ours, true = counts > 0, truth > 0
    return 2 * int((ours & true).sum()) / max(int(ours.sum()) + int(true.sum()), 1)


def _ratio(counts: Counts, truth: Counts) -> float:
    return float(counts.sum() / max(truth.sum(), 1))
