"""Responses that judge and oracle count differently, to be read.

Reads results/{judging,behaviors,rollouts} of every run.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from habits.behaviors.judgements import locate
from habits.behaviors.sampling import key
from habits.params import RunId
from habits.report.inputs import Inputs, read_rows
from habits.report.labels import BEHAVIOR_NAMES, condition
from habits.report.spans import Segment, Span, segments, spans_of

EXAMPLES = 2  # of each behavior
LONGEST_SHOWN = 3000  # characters of a response
LONGEST_QUOTE = 200
COUNTED = ["rollout_id", "behavior", "count", "status"]
SHOWN = ["rollout_id", "rl_step", "numbers", "target", "response"]


@dataclass(frozen=True)
class Disagreement:
    """A response that judge and oracle count differently.

    Attributes:
        oracle, judge: what they counted.
        by_oracle, by_judge: the response with what each of them marked, its first 3000 characters.
        missing: quotes of the judge that the response does not hold.
        cut: characters that are not shown.
    """

    behavior: str
    condition: str
    seed: int
    rl_step: int
    numbers: list[int]
    target: int
    oracle: int
    judge: int
    by_oracle: list[Segment]
    by_judge: list[Segment]
    missing: list[str]
    cut: int


def disagreements(inputs: Inputs) -> list[Disagreement]:
    """The largest ones of each behavior, from as many conditions; ties are drawn by ``judging.seed``."""
    found = pd.concat([_differences(inputs, run) for run in inputs.runs], ignore_index=True)
    seed = inputs.params.judging.seed
    found = found.assign(tie=[key(seed, name) for name in found["rollout_id"]], size=-found["gap"].abs())
    found = found.sort_values(["size", "tie"]).drop_duplicates(["behavior", "condition"])
    chosen = found.groupby("behavior").head(EXAMPLES)
    runs = {run.path: run for run in inputs.runs}
    records = chosen[["run", "behavior", "rollout_id"]].to_dict("records")
    shown = [_disagreement(inputs, runs[r["run"]], r["behavior"], r["rollout_id"]) for r in records]
    return sorted(shown, key=lambda one: BEHAVIOR_NAMES.index(one.behavior))


def _differences(inputs: Inputs, run: RunId) -> pd.DataFrame:
    judged = read_rows(inputs.judging(run), COUNTED)
    judged = judged[judged["status"] == "ok"]
    both = judged.merge(read_rows(inputs.behaviors(run), COUNTED), on=["rollout_id", "behavior"])
    gap = (both["count_x"] - both["count_y"]).astype("float64")
    both = both.assign(gap=gap, run=run.path, condition=condition(run, inputs.params))
    return both.loc[gap.abs() > 0, ["run", "condition", "behavior", "rollout_id", "gap"]]


def _disagreement(inputs: Inputs, run: RunId, behavior: str, rollout: str) -> Disagreement:
    row = _row(inputs.rollouts(run), SHOWN, rollout)
    oracle = _row(inputs.behaviors(run), [*COUNTED, "spans"], rollout, behavior)
    judge = _row(inputs.judging(run), [*COUNTED, "spans", "evidence"], rollout, behavior)
    response = str(row["response"])
    quotes = [str(quote) for quote in judge["evidence"]]
    places = locate(quotes, response)
    return Disagreement(
        behavior=behavior,
        condition=condition(run, inputs.params),
        seed=run.seed,
        rl_step=int(row["rl_step"]),
        numbers=[int(number) for number in row["numbers"]],
        target=int(row["target"]),
        oracle=int(oracle["count"]),
        judge=int(judge["count"]),
        by_oracle=_marked(response, spans_of(oracle["spans"], behavior)),
        by_judge=_marked(response, spans_of(judge["spans"], behavior)),
        missing=[q[:LONGEST_QUOTE] for q, place in zip(quotes, places, strict=True) if place is None],
        cut=max(0, len(response) - LONGEST_SHOWN),
    )


def _row(path: Path, columns: list[str], rollout: str, behavior: str | None = None) -> dict[Any, Any]:
    table = read_rows(path, columns)
    chosen = table["rollout_id"] == rollout
    if behavior is not None:
        chosen &= table["behavior"] == behavior
    (row,) = table[chosen].to_dict("records")
    return row


def _marked(response: str, spans: list[Span]) -> list[Segment]:
    """The beginning of the response, cut at the spans' edges."""
    inside = [span for span in spans if span.start < LONGEST_SHOWN]
    ends = [Span(span.behavior, span.start, min(span.end, LONGEST_SHOWN)) for span in inside]
    return segments(response[:LONGEST_SHOWN], ends)
