"""Evaluation rollouts with what every rater saw in them, problem by problem, for the rollout browser.

Reads results/rollouts, results/behaviors and, with a judge, results/judging and data/replies.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from habits.artifacts import ArtifactError
from habits.llm.store import ReplyStore
from habits.params import RunId
from habits.report.inputs import Inputs, read_rows
from habits.report.labels import BEHAVIOR_NAMES, OTHER_REASONS, REASONS

COLUMNS = [
    "rollout_id",
    "rl_step",
    "problem_id",
    "sample_id",
    "prompt",
    "response",
    "n_tokens",
    "reward",
    "reason",
]
RATED = ["rollout_id", "behavior", "count", "status", "spans"]
JUDGED = [*RATED, "evidence", "missing_quotes", "reply", "reason"]

Record = dict[Any, Any]
OUTCOMES = REASONS | OTHER_REASONS


@dataclass(frozen=True)
class Stored:
    """A reply in data/replies: its key and its text (empty where the store does not have it)."""

    key: str
    text: str


@dataclass(frozen=True)
class Rating:
    """What one rater saw in a response.

    Attributes:
        counts: one a behavior, in the order of BEHAVIORS; None where the rating failed.
        spans: behavior, start, end one after the other; characters of the response.
        reason: why counts are missing.
        replies: the judge's replies behind it; none of the oracle.
    """

    counts: list[int | None]
    spans: list[int]
    reason: str = ""
    replies: tuple[Stored, ...] = ()

    @property
    def shown(self) -> int:
        """A bit for each behavior that the rater saw."""
        return sum(1 << place for place, count in enumerate(self.counts) if count)

    @property
    def failed(self) -> bool:
        """Whether a count is missing."""
        return None in self.counts


UNRATED = Rating([None] * len(BEHAVIOR_NAMES), [])


@dataclass(frozen=True)
class Gathered:
    """A rollout, with the ratings of the oracle and, where it was judged, of the judge."""

    run: RunId
    step: int
    problem: str
    sample: int
    prompt: str
    response: str
    tokens: int
    reward: float
    reason: int
    oracle: Rating
    judge: Rating | None


def sizes(inputs: Inputs) -> pd.DataFrame:
    """How much there is of each problem, all runs together: index problem_id, columns rows and letters."""
    parts = []
    for run in inputs.whole.runs:
        table = pq.read_table(inputs.rollouts(run), columns=["problem_id", "response"])
        letters = pc.utf8_length(table["response"]).to_pandas()
        parts.append(pd.DataFrame({"problem": table["problem_id"].to_pandas(), "letters": letters}))
    grouped = pd.concat(parts).groupby("problem")["letters"]
    return pd.DataFrame({"rows": grouped.size(), "letters": grouped.sum()})


def gather(inputs: Inputs, run: RunId, problems: set[str]) -> list[Gathered]:
    """The rollouts of a run about ``problems``.

    Raises:
        ArtifactError: a rollout has no behavior rows, or its spans do not fit its text.
    """
    frame = read_rows(inputs.rollouts(run), COLUMNS)
    records = frame[frame["problem_id"].isin(problems)].to_dict("records")
    path = inputs.behaviors(run)
    if run not in inputs.params.runs:  # of another task, whose behaviors nobody counts
        return [_gathered(run, record, UNRATED, None) for record in records]
    oracle = _rows(path, RATED, {record["rollout_id"] for record in records})
    judged = _judgements(inputs, run, {record["rollout_id"] for record in records})
    found = []
    for record in records:
        name, response = record["rollout_id"], record["response"]
        if name not in oracle:
            raise ArtifactError(f"{path}: no behaviors of rollout {name}; run `snakemake {path}` again")
        try:
            judge = _rating(judged[name], response) if name in judged else None
            found.append(_gathered(run, record, _rating(oracle[name], response), judge))
        except ValueError as error:
            raise ArtifactError(f"{path}: rollout {name}: {error}") from None
    return found


def _rows(path: Path, columns: list[str], wanted: set[str]) -> dict[str, list[Record]]:
    """Rows by rollout, one a behavior."""
    found: dict[str, list[Record]] = {}
    table = pq.read_table(path, columns=columns)
    if not table.num_rows:
        raise ArtifactError(f"{path} holds no rows; delete it and make it again with `snakemake {path}`")
    names = table["rollout_id"]
    for row in table.filter(pc.is_in(names, pa.array(sorted(wanted), names.type))).to_pylist():
        found.setdefault(row["rollout_id"], []).append(row)
    return found


def _judgements(inputs: Inputs, run: RunId, wanted: set[str]) -> dict[str, list[Record]]:
    """The judge's rows by rollout, each with the text of the stored reply; none without a judge."""
    if inputs.params.judge == "none":
        return {}
    rows = _rows(inputs.judging(run), JUDGED, wanted)
    with ReplyStore(inputs.replies) as store:
        replies = store.get({row["reply"] for found in rows.values() for row in found})
    for row in (row for found in rows.values() for row in found):
        stored = replies.get(row["reply"])
        row["text"] = stored.text if stored else ""
    return rows


def _gathered(run: RunId, record: Record, oracle: Rating, judge: Rating | None) -> Gathered:
    if record["reason"] not in OUTCOMES:
        raise ValueError(f"reason is {record['reason']!r}; known: {', '.join(OUTCOMES)}")
    return Gathered(
        run=run,
        step=int(record["rl_step"]),
        problem=str(record["problem_id"]),
        sample=int(record["sample_id"]),
        prompt=str(record["prompt"]),
        response=str(record["response"]),
        tokens=int(record["n_tokens"]),
        reward=round(float(record["reward"]), 4),
        reason=list(OUTCOMES).index(record["reason"]),
        oracle=oracle,
        judge=judge,
    )


def _rating(rows: list[Record], response: str) -> Rating:
    counts: list[int | None] = [None] * len(BEHAVIOR_NAMES)
    spans: list[int] = []
    for row in sorted(rows, key=lambda row: BEHAVIOR_NAMES.index(row["behavior"])):
        place = BEHAVIOR_NAMES.index(row["behavior"])
        if row["status"] != "ok" or row["count"] is None:
            continue
        counts[place] = int(row["count"])
        for span in row["spans"] or []:
            start, end = int(span["start"]), int(span["end"])
            if not 0 <= start < end <= len(response):
                raise ValueError(f"span {start} to {end} does not fit a text of {len(response)} characters")
            spans += [place, start, end]
    reasons = dict.fromkeys(row["reason"] for row in rows if row.get("reason"))
    replies = dict.fromkeys(Stored(row["reply"], row["text"]) for row in rows if row.get("reply"))
    return Rating(counts, spans, "; ".join(reasons), tuple(replies))
