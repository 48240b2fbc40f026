"""The cheap steps of the cascade: rules and a classifier label what they are sure of, a model the rest.

Reads ``results/cascade/classifier.parquet``, which rule ``cascade`` trains on labels of the language model:
per target the weights on the rules' matches and hashed words, and the two thresholds between which one asks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack
from scipy.special import expit
from sklearn.feature_extraction.text import HashingVectorizer

from habits.artifacts import read_parquet
from habits.pretraining.cues import find_behaviors
from habits.pretraining.labelled import Label, Text, label_by_rules
from habits.priming.language import BEHAVIORS

KINDS = ("is_problem", "is_solution")
TARGETS = (*BEHAVIORS, *KINDS)
WORDS = 2**14  # hashed n-grams; the rules' matches come after them
RULE_WEIGHT = 2.0  # of the rules' matches beside hashed words, whose vector has length 1

Shares = NDArray[np.float64]
Marks = NDArray[np.bool_]


@dataclass(frozen=True)
class Line:
    """What decides a target: absent below ``lower``, present from ``upper`` on; between, one asks.

    Attributes:
        target: a behavior, is_problem or is_solution.
        lower, upper: of the score, 0 to 1.
        weights: one a feature (WORDS + 4).
    """

    target: str
    lower: float
    upper: float
    intercept: float
    weights: Sequence[float]

    def scores(self, features: csr_matrix) -> Shares:
        """Probability of the target in each document (D), as the classifier sees it."""
        return np.asarray(expit(features @ np.asarray(self.weights, float) + self.intercept), np.float64)

    def row(self, corpus: str) -> dict[str, Any]:
        """The line as a row of ``classifier.parquet``."""
        return {"corpus": corpus, **asdict(self)}


@dataclass(frozen=True)
class Sorted:
    """What the cheap steps make of D documents.

    Attributes:
        present: the likelier answer for each target that has a line (D).
        asked_D: documents of which a behavior is not sure.
    """

    present: Mapping[str, Marks]
    asked_D: Marks


def read_lines(cascade: Path, corpus: str) -> dict[str, Line]:
    """The lines of a corpus, by target.

    Args:
        cascade: ``results/cascade``.

    Raises:
        ArtifactError: it is missing.
    """
    frame = read_parquet(cascade / "classifier.parquet")
    rows = frame[frame["corpus"] == corpus].drop(columns="corpus").to_dict("records")
    return {row["target"]: Line(**{str(key): value for key, value in row.items()}) for row in rows}


def features_of(texts: Sequence[str]) -> csr_matrix:
    """Hashed words up to three in a row, and whether the rules find each behavior (D, WORDS + 4)."""
    words = HashingVectorizer(
        ngram_range=(1, 3), n_features=WORDS, alternate_sign=False, token_pattern=r"[a-z']+|\?"
    )
    rules = [[bool(found) for found in find_behaviors(text).values()] for text in texts]
    return hstack([words.transform(texts), csr_matrix(RULE_WEIGHT * np.array(rules, float))]).tocsr()


def sort_out(lines: Mapping[str, Line], features: csr_matrix) -> Sorted:
    """Which documents are sure, and what they show. Without a line for a behavior none is."""
    asked_D = np.full(features.shape[0], any(behavior not in lines for behavior in BEHAVIORS))
    present: dict[str, Marks] = {}
    for target, line in lines.items():
        scores = line.scores(features)
        present[target] = scores >= line.upper
        asked_D |= (scores >= line.lower) & (scores < line.upper)
    return Sorted(present, asked_D)


def label_surely(rater: str, text: str, present: Mapping[str, bool]) -> Label:
    """The label of a document that nobody is asked about.

    Quotes and the domain are the rules'; a behavior that is there without a match counts once.
    """
    label = label_by_rules(text)
    evidence = {b: label.evidence[b] if present[b] else [] for b in BEHAVIORS}
    return replace(
        label,
        rater=rater,
        counts={b: max(len(evidence[b]), 1) if present[b] else 0 for b in BEHAVIORS},
        evidence=evidence,
        is_problem=present.get("is_problem", label.is_problem),
        is_solution=present.get("is_solution", label.is_solution),
    )


def label_in_steps(
    lines: Mapping[str, Line], rater: str, texts: Sequence[Text], ask: Callable[[Sequence[Text]], list[Label]]
) -> list[Label]:
    """Labels of documents, in their order; ``ask`` labels those that the cheap steps leave open."""
    if not texts:
        return []
    found = sort_out(lines, features_of([text.text for text in texts]))
    asked = iter(ask([text for text, open_ in zip(texts, found.asked_D, strict=True) if open_]))
    return [
        next(asked)
        if found.asked_D[place]
        else label_surely(rater, text.text, {target: bool(p[place]) for target, p in found.present.items()})
        for place, text in enumerate(texts)
    ]


def lines_table(lines: Mapping[str, Mapping[str, Line]]) -> pd.DataFrame:
    """``classifier.parquet`` from the lines of each corpus."""
    rows = [line.row(corpus) for corpus, found in lines.items() for line in found.values()]
    return pd.DataFrame(rows, columns=["corpus", "target", "lower", "upper", "intercept", "weights"])
