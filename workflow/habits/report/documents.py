"""Pretraining data: behaviors in documents, how good and cheap labels are, what became of documents.

Reads results/{pretraining_statistics,cascade,leakage} and, where the matrix has a set made from documents,
data/rewriting.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from habits.artifacts import read_parquet
from habits.params import Params
from habits.pretraining_params import REWRITTEN
from habits.report.inputs import Inputs

ALL = "all"
METRICS = {"share": "share", "mean_count": "mean count", "per_1000_tokens": "per 1,000 tokens"}
MEASURES = {
    "f1": "F1",
    "instances": "instances found, to those there are",
    "asked": "documents asked about",
}
STRATEGIES = {"rules": "rules alone", "cascade": "rules, classifier, then a language model"}


@dataclass(frozen=True)
class Cell:
    """An estimate with its interval, and how it is written: a share or a number."""

    value: float
    low: float
    high: float
    is_share: bool


@dataclass(frozen=True)
class Documents:
    """What the page of documents shows.

    Attributes:
        shares: (corpus, domain, metric, documents) -> a cell a behavior.
        labels: documents by corpus and status of their labels.
        accuracy: precision, recall and F1 of the labels, where it is known what was planted.
        worth: F1, instances and share of documents asked about, by strategy.
        accounts: documents by what became of them in rewriting, curated and negative.
        sets: what both sets hold.
        leaks: pairs of data sets with what they share.
        n_leaks: problems or prompts that training shares with evaluation.
    """

    shares: list[tuple[tuple[str, str, str, int], list[Cell]]]
    labels: list[dict[Any, Any]]
    accuracy: list[dict[Any, Any]]
    worth: list[dict[Any, Any]]
    accounts: list[dict[Any, Any]]
    sets: list[dict[str, Any]]
    leaks: list[dict[Any, Any]]
    n_leaks: int


def document_artifacts(inputs: Inputs) -> list[Path]:
    """The artifacts that the page reads."""
    names = ("pretraining_statistics", "cascade", "leakage")
    return [inputs.results / name for name in names] + rewriting_artifacts(inputs)


def rewriting_artifacts(inputs: Inputs) -> list[Path]:
    """The rewritten documents and what became of all; none where the matrix has no set made from them."""
    rewritten = {run.priming for run in inputs.runs} & set(REWRITTEN)
    names = (*REWRITTEN, "accounting") if rewritten else ()
    return [inputs.data / "rewriting" / f"{name}.parquet" for name in names]


def has_documents(params: Params) -> bool:
    """Whether there is a corpus."""
    return bool(params.pretraining.corpora)


def documents(inputs: Inputs) -> Documents:
    """Everything that the page shows."""
    statistics, cascade, leakage, *rewriting = document_artifacts(inputs)
    leaks = read_parquet(leakage / "leakage.parquet")
    held_out = read_parquet(cascade / "held_out.parquet")
    worth = held_out[held_out["behavior"] == ""].assign(
        strategy=lambda rows: rows["strategy"].map(STRATEGIES),
        measure=lambda rows: rows["measure"].map(MEASURES),
    )
    return Documents(
        _shares(read_parquet(statistics / "shares.parquet")),
        read_parquet(statistics / "labels.parquet").to_dict("records"),
        read_parquet(statistics / "accuracy.parquet").to_dict("records"),
        worth.to_dict("records"),
        _accounts(read_parquet(rewriting[-1])) if rewriting else [],
        [_set(path.stem, read_parquet(path)) for path in rewriting[:-1]],
        leaks[(leaks["shared"] > 0) | leaks["one"].isin(["test", "validation"])].to_dict("records"),
        int(leaks.loc[leaks["leak"], "shared"].sum()),
    )


def _shares(frame: pd.DataFrame) -> list[tuple[tuple[str, str, str, int], list[Cell]]]:
    """All metrics over all domains, the share in each."""
    rows = []
    wanted = frame[(frame["domain"] == ALL) | (frame["metric"] == "share")]
    for key, part in wanted.groupby(["corpus", "domain", "metric"], sort=False):
        corpus, domain, metric = map(str, key)
        cells = [
            Cell(float(r["mean"]), float(r["low"]), float(r["high"]), metric == "share")
            for r in part.to_dict("records")
        ]
        rows.append(((corpus, domain, METRICS[metric], int(part["n_documents"].iloc[0])), cells))
    return rows


def _accounts(frame: pd.DataFrame) -> list[dict[Any, Any]]:
    table = frame.pivot_table(index="status", columns="set", values="documents", fill_value=0, sort=False)
    return table.reindex(columns=list(REWRITTEN), fill_value=0).reset_index().to_dict("records")


def _set(name: str, rows: pd.DataFrame) -> dict[str, Any]:
    """Size, lengths and verdicts of a set."""
    return {
        "name": name,
        "rows": len(rows),
        "tokens": int(rows["n_tokens"].sum()),
        "domains": sorted(set(rows["domain"])),
        "numbers": float(rows["numbers"].map(len).mean()),
        "correct": float((rows["verdict"] == "correct").mean()),
        "graded": bool((rows["verdict"] != "not_graded").any()),
    }
