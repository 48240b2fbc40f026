"""Rule ``cascade``: how few documents a language model has to read for labels as good as if it read all.

Reads ``data/corpus`` and, of corpora that were not generated, ``data/labels`` of a language model; writes
``results/cascade/``. The reference is what was planted, or the language model's labels. A sample decides,
another one of the same size measures. Three steps label a document: the rules (``cues``), a classifier on
their matches and on hashed words that was trained on the sample, and, where that is not sure of every
behavior, a language model, whose part the reference plays here. Per behavior, ``plan.parquet`` has the two
thresholds between which it is asked, ``curve.parquet`` the cost of each recall, ``held_out.parquet`` what
came of it on the other sample.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import cross_val_predict

from habits.analysis.resampling import wilson
from habits.artifacts import read_parquet, replacing, stamp
from habits.params import Params
from habits.pretraining.cues import find_behaviors
from habits.pretraining_params import GENERATOR, RULES
from habits.priming.language import BEHAVIORS
from habits.progress import Progress

FEATURES = 2**14
FOLDS = 5
RULE_WEIGHT = 2.0  # of the rules' matches beside hashed words, whose vector has length 1
BOOTSTRAP = 1000  # resamples of documents
CURVE = 40  # points of a curve
BATCH = 2_000
FEWEST = 2 * FOLDS  # positive documents without which no classifier is trained

Shares = NDArray[np.float64]
Marks = NDArray[np.bool_]


@dataclass(frozen=True)
class Sample:
    """Documents with the reference's labels (D documents, 4 behaviors)."""

    texts: list[str]
    present_D4: Marks


@dataclass(frozen=True)
class Plan:
    """Below ``lower`` a behavior counts as absent, from ``upper`` on as present; between, one asks."""

    behavior: str
    lower: float
    upper: float


def write_cascade(params: Params, documents: Path, labels: Path, out: Path) -> None:
    """Plan the cascade for each corpus that has a reference, and measure it."""
    tables: dict[str, list[dict[str, Any]]] = {name: [] for name in COLUMNS}
    parents: list[Path] = []
    for corpus, spec in params.pretraining.corpora.items():
        generated = spec.source == GENERATOR
        if generated or params.labelling.labeller != RULES:
            files = [f"shard{shard:04d}.parquet" for shard in params.pretraining.shards(corpus)]
            shards = [documents / corpus / name for name in files]
            parents += shards
            references = None if generated else [labels / corpus / name for name in files]
            sample = read_sample(params, shards, references)
            for name, rows in measure(params, corpus, *_halves(sample)).items():
                tables[name] += rows
    with replacing(out) as temporary:
        temporary.mkdir()
        for name, rows in tables.items():
            frame = pd.DataFrame(rows, columns=COLUMNS[name])
            frame.to_parquet(temporary / f"{name}.parquet", index=False, compression="zstd")
    stamp(out, settings={"cascade": params.cascade.model_dump()}, parents=parents, seed=params.cascade.seed)


COLUMNS = {
    "plan": ["corpus", "behavior", "lower", "upper", "recall", "precision", "asked", "n_documents"],
    "curve": ["corpus", "behavior", "recall", "low", "high", "asked", "n_documents"],
    "held_out": ["corpus", "strategy", "measure", "behavior", "value", "low", "high", "n_documents"],
}


def read_sample(params: Params, shards: list[Path], references: list[Path] | None) -> Sample:
    """A random sample of twice ``cascade.sample`` documents, held one shard at a time.

    Args:
        references: labels of each shard; None: what was planted.
    """
    rng, wanted = Random(params.cascade.seed), 2 * params.cascade.sample
    chosen: list[tuple[str, list[bool]]] = []
    seen = 0
    progress = Progress("cascade: sample", len(shards))
    for number, shard in enumerate(shards):
        known = None if references is None else _labels(references[number])
        for text, present in _documents(shard, known):
            # Reservoir sampling: each document seen so far is in it with the same probability.
            place = len(chosen) if len(chosen) < wanted else rng.randrange(seen + 1)
            if place < wanted:
                chosen[place : place + 1] = [(text, present)]
            seen += 1
        progress.update(number + 1)
    rng.shuffle(chosen)
    return Sample([text for text, _ in chosen], np.array([p for _, p in chosen], bool).reshape(-1, 4))


def _documents(shard: Path, known: dict[int, list[bool]] | None) -> Iterator[tuple[str, list[bool]]]:
    for batch in pq.ParquetFile(shard).iter_batches(BATCH, columns=["document", "text", "truth"]):
        for row in batch.to_pylist():
            if known is None:
                if row["truth"]["copied_from"] < 0:
                    yield row["text"], [row["truth"][behavior] > 0 for behavior in BEHAVIORS]
            elif row["document"] in known:
                yield row["text"], known[row["document"]]


def _labels(path: Path) -> dict[int, list[bool]]:
    frame = read_parquet(path, ["document", "status", *BEHAVIORS])
    frame = frame[frame["status"] == "ok"]
    present = (frame[list(BEHAVIORS)] > 0).to_numpy().tolist()
    return dict(zip(frame["document"].tolist(), present, strict=True))


def _halves(sample: Sample) -> tuple[Sample, Sample]:
    half = len(sample.texts) // 2
    return (
        Sample(sample.texts[:half], sample.present_D4[:half]),
        Sample(sample.texts[half:], sample.present_D4[half:]),
    )


def measure(params: Params, corpus: str, known: Sample, held_out: Sample) -> dict[str, list[dict[str, Any]]]:
    """Rows of all tables for a corpus: the plan from ``known``, its worth on ``held_out``."""
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in COLUMNS}
    features, unseen = _features(known.texts), _features(held_out.texts)
    certain_D4 = np.zeros_like(held_out.present_D4)
    asked_D4 = np.zeros_like(held_out.present_D4)
    for place, behavior in enumerate(BEHAVIORS):
        present = known.present_D4[:, place]
        if min(present.sum(), (~present).sum()) < FEWEST:
            asked_D4[:, place] = True
            continue
        model = SGDClassifier(loss="log_loss", alpha=1e-5, max_iter=30, tol=None, random_state=0)
        inner = cross_val_predict(model, features, present, cv=FOLDS, method="predict_proba")[:, 1]
        plan = plan_for(params, behavior, inner, present)
        rows["plan"].append(_planned(corpus, plan, inner, present))
        rows["curve"] += _curve(params, corpus, plan, inner, present)
        scores = model.fit(features, present).predict_proba(unseen)[:, 1]
        asked_D4[:, place] = (scores >= plan.lower) & (scores < plan.upper)
        certain_D4[:, place] = scores >= plan.upper
    asked_D: Marks = np.asarray(asked_D4.any(axis=1), np.bool_)
    cascade_D4 = np.where(asked_D[:, None], held_out.present_D4, certain_D4)
    rules_D4 = np.array([[bool(f) for f in find_behaviors(text).values()] for text in held_out.texts])
    strategies = {"rules": (rules_D4, np.zeros_like(asked_D)), "cascade": (cascade_D4, asked_D)}
    for name, (labels_D4, asks_D) in strategies.items():
        rows["held_out"] += _worth(params, corpus, name, labels_D4, asks_D, held_out.present_D4)
    told = {
        r["measure"]: r["value"] for r in rows["held_out"] if r["strategy"] == "cascade" and not r["behavior"]
    }
    print(
        f"[cascade {corpus}] asks about {told['asked']:.1%} of documents, F1 {told['f1']:.3f} of 1",
        file=sys.stderr,
        flush=True,
    )
    return rows


def _features(texts: list[str]) -> csr_matrix:
    words = HashingVectorizer(
        ngram_range=(1, 3), n_features=FEATURES, alternate_sign=False, token_pattern=r"[a-z']+|\?"
    )
    rules = [[bool(found) for found in find_behaviors(text).values()] for text in texts]
    return hstack([words.transform(texts), csr_matrix(RULE_WEIGHT * np.array(rules, float))]).tocsr()


def plan_for(params: Params, behavior: str, scores: Shares, present: Marks) -> Plan:
    """The cheapest thresholds that keep the targets of recall and precision on scored documents."""
    found = np.sort(scores[present])
    lower = found[int((1 - params.cascade.target_recall) * len(found))]
    false = np.sort(scores[~present])[::-1]
    allowed = int((1 - params.cascade.target_precision) * len(found))
    upper = np.nextafter(false[min(allowed, len(false) - 1)], 2.0)
    # Where the classes are apart, any threshold between them does, and nobody is asked.
    middle = min(max(0.5, upper), lower) if upper <= lower else None
    return Plan(behavior, float(middle or lower), float(middle or upper))


def _planned(corpus: str, plan: Plan, scores: Shares, present: Marks) -> dict[str, Any]:
    taken = scores >= plan.upper
    asked = (scores >= plan.lower) & ~taken
    recall = (present & (scores >= plan.lower)).sum() / present.sum()
    precision = (present & taken).sum() / max(taken.sum(), 1)
    values = (corpus, plan.behavior, plan.lower, plan.upper, recall, precision, asked.mean(), len(scores))
    return dict(zip(COLUMNS["plan"], values, strict=True))


def _curve(
    params: Params, corpus: str, plan: Plan, scores: Shares, present: Marks
) -> Iterator[dict[str, Any]]:
    """Recall against the share of documents asked about, as ``lower`` falls from ``upper`` to 0."""
    for quantile in np.linspace(0, 1, CURVE):
        lower = np.quantile(scores, quantile)
        if lower <= plan.upper:
            hits, total = int((present & (scores >= lower)).sum()), int(present.sum())
            low, high = wilson(hits, total, params.statistics.confidence)
            asked = float(((scores >= lower) & (scores < plan.upper)).mean())
            values = (corpus, plan.behavior, hits / total, low, high, asked, len(scores))
            yield dict(zip(COLUMNS["curve"], values, strict=True))


def _worth(
    params: Params, corpus: str, strategy: str, labels_D4: Marks, asked_D: Marks, present_D4: Marks
) -> Iterator[dict[str, Any]]:
    """F1 of each behavior and of all together, and the share asked about, with bootstrap intervals."""
    rng = np.random.default_rng(params.cascade.seed)
    draws_BD = rng.integers(0, len(asked_D), (BOOTSTRAP, len(asked_D)))
    parts: list[tuple[str, str, Any]] = [("f1", "", lambda rows: _f1(labels_D4[rows], present_D4[rows]))]
    for place, behavior in enumerate(BEHAVIORS):
        one, other = labels_D4[:, place], present_D4[:, place]
        parts.append(("f1", behavior, lambda rows, one=one, other=other: _f1(one[rows], other[rows])))
    parts.append(("asked", "", lambda rows: float(asked_D[rows].mean())))
    tail = (1 - params.statistics.confidence) / 2
    for measured, name, value in parts:
        low, high = np.quantile([value(rows) for rows in draws_BD], [tail, 1 - tail])
        values = (corpus, strategy, measured, name, value(slice(None)), low, high, len(asked_D))
        yield dict(zip(COLUMNS["held_out"], values, strict=True))


def _f1(labels: Marks, present: Marks) -> float:
    both = 2 * int((labels & present).sum())
    return both / max(int(labels.sum()) + int(present.sum()), 1)
