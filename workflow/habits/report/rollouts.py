"""A bounded sample of rollouts for the browser page.

Reads results/rollouts and results/behaviors. The sample takes the same problems from every run and
step, so that one problem can be compared across conditions, and stops at a size in bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from habits.artifacts import ArtifactError
from habits.behaviors.sampling import in_order
from habits.params import RunId
from habits.report.inputs import Inputs, read_rows
from habits.report.labels import BEHAVIOR_NAMES, REASONS, condition
from habits.report.spans import Span, segments, spans_of

PER_RUN_AND_STEP = 40
PAGE_BYTES = 7_000_000
COLUMNS = [
    "rollout_id",
    "rl_step",
    "problem_id",
    "numbers",
    "target",
    "sample_id",
    "prompt",
    "response",
    "n_tokens",
    "reward",
    "reason",
]
BEHAVIOR_COLUMNS = ["rollout_id", "behavior", "count", "status", "spans"]

Row = dict[str, Any]


@dataclass(frozen=True)
class Sample:
    """What the rollout page shows.

    Attributes:
        data: the JSON document that the page's script reads.
        shown: rollouts on the page.
        total: evaluation rollouts there are.
    """

    data: dict[str, Any]
    shown: int
    total: int


@dataclass
class _Index:
    """Strings that many rows share, each stored once; rows hold positions."""

    values: list[str] = field(default_factory=list)
    positions: dict[str, int] = field(default_factory=dict)

    def at(self, value: str) -> int:
        if value not in self.positions:
            self.positions[value] = len(self.values)
            self.values.append(value)
        return self.positions[value]


def sample_for_page(inputs: Inputs, per_cell: int = PER_RUN_AND_STEP, budget: int = PAGE_BYTES) -> Sample:
    """At most ``per_cell`` rollouts of every run and step, in at most ``budget`` bytes of JSON.

    When the budget binds, every run and step loses its last-ranked rollouts first.

    Raises:
        ArtifactError: a rollout has no behavior rows, or its spans do not fit its text.
    """
    conditions, prompts = _Index(), _Index()
    ranked: list[tuple[int, Row]] = []
    total = 0
    for run in inputs.runs:
        frame = read_rows(inputs.rollouts(run), COLUMNS)
        total += len(frame)
        name = condition(run, inputs.params)
        head = {"c": conditions.at(name), "seed": run.seed}
        order = in_order(frame, inputs.params.statistics.seed)
        chosen = order[order["rank"] < per_cell]
        for rank, row in _rows(inputs, run, chosen, prompts):
            ranked.append((rank, {**head, **row}))
    kept = _within(ranked, budget - sum(len(prompt) for prompt in prompts.values))
    data = {
        "conditions": conditions.values,
        "behaviors": list(BEHAVIOR_NAMES),
        "reasons": list(REASONS.values()),
        "prompts": prompts.values,
        "rollouts": kept,
    }
    return Sample(data, len(kept), total)


def _rows(inputs: Inputs, run: RunId, chosen: pd.DataFrame, prompts: _Index) -> Iterator[tuple[int, Row]]:
    path = inputs.behaviors(run)
    behaviors = read_rows(path, BEHAVIOR_COLUMNS)
    behaviors = behaviors[behaviors["rollout_id"].isin(chosen["rollout_id"])]
    of_rollout: dict[str, list[dict[Any, Any]]] = {}
    for row in behaviors.to_dict("records"):
        of_rollout.setdefault(row["rollout_id"], []).append(row)
    for record in chosen.to_dict("records"):
        rated = of_rollout.get(record["rollout_id"])
        if rated is None:
            raise ArtifactError(
                f"{path}: no behaviors of rollout {record['rollout_id']}; run `snakemake {path}` again"
            )
        try:
            yield int(record["rank"]), {**_facts(record, prompts), **_rated(record["response"], rated)}
        except ValueError as error:
            raise ArtifactError(f"{path}: rollout {record['rollout_id']}: {error}") from None


def _facts(record: dict[Any, Any], prompts: _Index) -> Row:
    if record["reason"] not in REASONS:
        raise ValueError(f"reason is {record['reason']!r}; known: {', '.join(REASONS)}")
    return {
        "step": int(record["rl_step"]),
        "problem": str(record["problem_id"]),
        "numbers": [int(number) for number in record["numbers"]],
        "target": int(record["target"]),
        "sample": int(record["sample_id"]),
        "reason": list(REASONS).index(record["reason"]),
        "reward": round(float(record["reward"]), 4),
        "tokens": int(record["n_tokens"]),
        "prompt": prompts.at(record["prompt"]),
    }


def _rated(response: str, rated: list[dict[Any, Any]]) -> Row:
    """Counts in the order of BEHAVIORS (null where the rating failed) and the text cut at its spans."""
    counts: list[int | None] = [None] * len(BEHAVIOR_NAMES)
    spans: list[Span] = []
    for row in rated:
        ok = row["status"] == "ok" and not pd.isna(row["count"])
        counts[BEHAVIOR_NAMES.index(row["behavior"])] = int(row["count"]) if ok else None
        spans += spans_of(row["spans"] if ok and row["spans"] is not None else [], row["behavior"])
    return {"counts": counts, "text": [_compact(piece) for piece in segments(response, spans)]}


def _compact(piece: Any) -> str | list[Any]:
    """Plain text as a string; marked text as [text, behaviors, behaviors that end here], by position."""
    if not piece.behaviors:
        return str(piece.text)
    places = [[BEHAVIOR_NAMES.index(name) for name in names] for names in (piece.behaviors, piece.ending)]
    return [piece.text, *places]


def _within(ranked: list[tuple[int, Row]], budget: int) -> list[Row]:
    """The rows of the lowest ranks that fit ``budget`` bytes, in their given order."""
    kept: set[int] = set()
    used = 0
    for place in sorted(range(len(ranked)), key=lambda place: ranked[place][0]):
        used += len(json.dumps(ranked[place][1])) + 1
        if used > budget:
            break
        kept.add(place)
    return [row for place, (_, row) in enumerate(ranked) if place in kept]
