"""Rule ``cascade``: how few documents a language model has to read for labels as good as if it read all.

Reads ``data/corpus``, ``data/deduplication`` and who labels documents: what was planted where only rules do,
``data/labels`` of the language model, or, with ``labelling.cascade``, its replies about the sample alone.
Writes ``results/cascade/``. A sample decides, another one of the same size measures. Three steps label a
document: the rules (``cues``), a classifier that was trained on the sample, and, where that is not sure of
every behavior, the language model (``habits.pretraining.classifier``). ``classifier.parquet`` has what the
labeller needs; per behavior ``plan.parquet`` has the two thresholds between which one asks,
``curve.parquet`` the cost of each recall, ``held_out.parquet`` what came of it on the other sample.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import cross_val_predict

from habits.analysis.cascade_sample import Sample, draw, reference, samples
from habits.analysis.cascade_worth import HELD_OUT, measure
from habits.analysis.resampling import wilson
from habits.artifacts import replacing, stamp
from habits.params import Params
from habits.pretraining.classifier import KINDS, TARGETS, Line, Marks, Shares, features_of, lines_table
from habits.pretraining_params import GENERATOR, RULES
from habits.priming.language import BEHAVIORS

FOLDS = 5
CURVE = 40  # points of a curve
FEWEST = 2 * FOLDS  # documents with a target, or without it, below which no classifier is trained
PLAN = ["corpus", "behavior", "lower", "upper", "recall", "precision", "asked", "n_documents"]
RECALL = ["corpus", "behavior", "recall", "low", "high", "asked", "n_documents"]


def write_cascade(params: Params, data: Path, out: Path, gpus: int = 0) -> None:
    """Plan the cascade for each corpus that has a reference, and measure it.

    Args:
        data: the folder of corpora, duplicates and labels.
        gpus: for a language model on this machine.

    Raises:
        MissingReplyError, BudgetError, ProviderError, VllmFailedError: the language model could not be asked.
        LabelError: more labels of the sample failed than ``labelling.max_failed_rate`` allows.
    """
    lines: dict[str, dict[str, Line]] = {}
    plans, curves, worths = [], [], []
    parents: list[Path] = []
    for corpus, spec in params.pretraining.corpora.items():
        if params.labelling.labeller == RULES and spec.source != GENERATOR:
            continue
        files = [f"{corpus}/shard{shard:04d}.parquet" for shard in params.pretraining.shards(corpus)]
        shards = [data / "corpus" / file for file in files]
        repeated = data / f"deduplication/{corpus}.parquet"
        drawn = draw(params, shards, repeated)
        labels = reference(params, corpus, drawn, [data / "labels" / file for file in files], gpus)
        known, held_out = samples(drawn, labels)
        lines[corpus], scores = _train(params, corpus, known)
        for behavior in [target for target in lines[corpus] if target in BEHAVIORS]:
            line, present = lines[corpus][behavior], known.has(behavior)
            plans.append(_planned(corpus, line, scores[behavior], present))
            curves += list(_curve(params, corpus, line, scores[behavior], present))
        worths += measure(params, corpus, lines[corpus], held_out)
        parents += [*shards, repeated]
    tables = {
        "classifier": lines_table(lines),
        "plan": pd.DataFrame(plans, columns=PLAN),
        "curve": pd.DataFrame(curves, columns=RECALL),
        "held_out": pd.DataFrame(worths, columns=HELD_OUT),
    }
    with replacing(out) as temporary:
        temporary.mkdir()
        for name, table in tables.items():
            table.to_parquet(temporary / f"{name}.parquet", index=False, compression="zstd")
    stamp(out, settings={"cascade": params.cascade.model_dump()}, parents=parents, seed=params.cascade.seed)


def _train(params: Params, corpus: str, known: Sample) -> tuple[dict[str, Line], dict[str, Shares]]:
    """A line for each target of which there are enough examples, and its scores by cross-validation."""
    features = features_of(known.texts)
    lines, scores = {}, {}
    for target in TARGETS:
        present = known.has(target)
        if min(present.sum(), (~present).sum()) >= FEWEST:
            model = SGDClassifier(loss="log_loss", alpha=1e-5, max_iter=30, tol=None, random_state=0)
            unseen = cross_val_predict(model, features, present, cv=FOLDS, method="predict_proba")[:, 1]
            model.fit(features, present)
            # Nobody is asked whether it is a problem or a solution: the likelier answer does.
            between = (0.5, 0.5) if target in KINDS else thresholds(params, unseen, present)
            lines[target] = Line(target, *between, float(model.intercept_[0]), model.coef_[0].tolist())
            scores[target] = unseen
        elif target in BEHAVIORS:
            print(
                f"[cascade {corpus}] {present.sum()} of {len(present)} documents show {target}: too few to "
                "learn from; all are left to the language model. A larger cascade.sample would help",
                file=sys.stderr,
                flush=True,
            )
    return lines, scores


def thresholds(params: Params, scores: Shares, present: Marks) -> tuple[float, float]:
    """The cheapest ``lower`` and ``upper`` that keep the targets of recall and precision on a sample."""
    found = np.sort(scores[present])
    lower = found[int((1 - params.cascade.target_recall) * len(found))]
    false = np.sort(scores[~present])[::-1]
    allowed = int((1 - params.cascade.target_precision) * len(found))
    upper = np.nextafter(false[min(allowed, len(false) - 1)], 2.0)
    # Where the classes are apart, any threshold between them does, and nobody is asked.
    middle = min(max(0.5, upper), lower) if upper <= lower else None
    return float(middle or lower), float(middle or upper)


def _planned(corpus: str, line: Line, scores: Shares, present: Marks) -> dict[str, Any]:
    taken = scores >= line.upper
    asked = (scores >= line.lower) & ~taken
    recall = (present & (scores >= line.lower)).sum() / present.sum()
    precision = (present & taken).sum() / max(taken.sum(), 1)
    values = (corpus, line.target, line.lower, line.upper, recall, precision, asked.mean(), len(scores))
    return dict(zip(PLAN, values, strict=True))


def _curve(
    params: Params, corpus: str, line: Line, scores: Shares, present: Marks
) -> Iterator[dict[str, Any]]:
    """Recall against the share of documents asked about, as ``lower`` falls from ``upper`` to 0."""
    open_D = np.sort(scores[scores < line.upper])[::-1]
    # As many points for the first per cent as for the last ninety.
    counts: list[int] = []
    if len(open_D):
        counts = np.geomspace(1, len(open_D), CURVE).round().astype(int).tolist()
    for asked in dict.fromkeys([0, *counts]):
        lower = open_D[asked - 1] if asked else line.upper
        hits, total = int((present & (scores >= lower)).sum()), int(present.sum())
        low, high = wilson(hits, total, params.statistics.confidence)
        values = (corpus, line.target, hits / total, low, high, asked / len(scores), len(scores))
        yield dict(zip(RECALL, values, strict=True))
