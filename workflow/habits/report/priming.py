"""What the models learned from: priming sets with their quality, and the problem splits.

Reads data/priming, results/quality and data/problems/countdown.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from habits.artifacts import ArtifactError
from habits.behaviors.oracle import count_behaviors_in
from habits.priming.language import BEHAVIORS
from habits.report.inputs import SPLITS, Inputs, PrimingFile, read_rows
from habits.report.labels import BEHAVIOR_NAMES, REASONS, STATUSES
from habits.report.spans import Segment, Span, segments, spans_of

EXAMPLES = 3
TRACE_COLUMNS = [
    "trace_id",
    "numbers",
    "target",
    "response",
    "teacher",
    "verdict",
    "n_tokens",
    "stop_reason",
    "spans",
]
QUALITY_COLUMNS = [
    "set",
    "duplicates",
    "behaviors",
    "requests",
    "statuses",
    "input_tokens",
    "output_tokens",
]


@dataclass(frozen=True)
class Trace:
    """An example trace, cut at its behavior spans."""

    numbers: list[int]
    target: int
    verdict: str
    stop_reason: str
    n_tokens: int
    pieces: list[Segment]


@dataclass(frozen=True)
class Shown:
    """A behavior in a priming set, per trace.

    Attributes:
        asked: whether the set is meant to show it.
        found: mean count of the oracle.
        planted: mean count that the teacher planted; NaN when it does not say.
    """

    asked: bool
    found: float
    planted: float


@dataclass(frozen=True)
class Replies:
    """What the replies of an LLM teacher were worth: how many, by status, and their tokens."""

    requests: int
    statuses: dict[str, int]
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True)
class PrimingSet:
    """A priming set over all its seeds.

    Attributes:
        name: the set's name.
        seeds: the seeds it was drawn with.
        teachers: who wrote the traces.
        n: traces, all seeds together.
        shares: verdict -> share of the traces; verdicts that do not occur are left out.
        mean_tokens: mean response length in tokens.
        duplicates: share of traces that repeat another one of their seed.
        behaviors: behavior -> how often it is shown.
        replies: those that the traces were chosen from; None for the symbolic teacher.
        examples: a few traces of the first seed.
    """

    name: str
    seeds: list[int]
    teachers: list[str]
    n: int
    shares: dict[str, float]
    mean_tokens: float
    duplicates: float
    behaviors: dict[str, Shown]
    replies: Replies | None
    examples: list[Trace]


@dataclass(frozen=True)
class Split:
    """Problems of one split and how hard they are."""

    name: str
    n: int
    operands: dict[int, int]
    median_solutions: float
    needs_division: float
    depth: dict[int, int]
    target_min: int
    target_max: int


def priming_sets(inputs: Inputs) -> list[PrimingSet]:
    """One entry for each priming set of the matrix, in its order."""
    by_name: dict[str, list[PrimingFile]] = {}
    for file in inputs.priming:
        by_name.setdefault(file.priming, []).append(file)
    rows = read_rows(inputs.quality, QUALITY_COLUMNS).to_dict("records")
    quality = {row["set"]: row for row in rows}
    if missing := sorted(set(by_name) - set(quality)):
        raise ArtifactError(f"{inputs.quality} lacks {', '.join(missing)}; run `snakemake {inputs.quality}`")
    return [_priming_set(name, files, quality[name]) for name, files in by_name.items()]


def _priming_set(name: str, files: list[PrimingFile], quality: dict[Any, Any]) -> PrimingSet:
    frames = [read_rows(file.path, TRACE_COLUMNS) for file in files]
    traces = pd.concat(frames, ignore_index=True)
    shares = traces["verdict"].value_counts(normalize=True)
    unknown = sorted(set(shares.index) - set(REASONS))
    if unknown:
        raise ArtifactError(
            f"{files[0].path}: verdict {unknown[0]!r} is unknown; known: {', '.join(REASONS)}"
        )
    return PrimingSet(
        name=name,
        seeds=[file.seed for file in files],
        teachers=sorted(set(traces["teacher"])),
        n=len(traces),
        shares={reason: float(shares[reason]) for reason in REASONS if reason in shares},
        mean_tokens=float(traces["n_tokens"].mean()),
        duplicates=float(quality["duplicates"]),
        behaviors=_behaviors(quality["behaviors"]),
        replies=_replies(quality),
        examples=_examples(frames[0], files[0]),
    )


def _behaviors(records: Iterable[dict[str, Any]]) -> dict[str, Shown]:
    shown = {}
    for record in records:
        planted = math.nan if record["planted"] is None else float(record["planted"])
        shown[record["behavior"]] = Shown(bool(record["asked"]), float(record["found"]), planted)
    return {name: shown[name] for name in BEHAVIOR_NAMES}


def _replies(quality: dict[Any, Any]) -> Replies | None:
    if pd.isna(quality["requests"]):
        return None
    counts = {record["status"]: int(record["count"]) for record in quality["statuses"]}
    return Replies(
        requests=int(quality["requests"]),
        statuses={name: counts.get(name, 0) for name in STATUSES},
        input_tokens=int(quality["input_tokens"]),
        output_tokens=int(quality["output_tokens"]),
    )


def _examples(frame: pd.DataFrame, file: PrimingFile) -> list[Trace]:
    """Traces spread evenly over the lengths that occur (ties broken by id): none is picked by hand."""
    ordered = frame.sort_values(["n_tokens", "trace_id"], kind="stable")
    places = sorted({round((i + 0.5) * len(ordered) / EXAMPLES - 0.5) for i in range(EXAMPLES)})
    try:
        return [_trace(row) for row in ordered.iloc[places].to_dict("records")]
    except ValueError as error:
        raise ArtifactError(f"{file.path}: {error}; run `snakemake {file.path}` again") from None


def _trace(row: dict[Any, Any]) -> Trace:
    return Trace(
        numbers=[int(number) for number in row["numbers"]],
        target=int(row["target"]),
        verdict=REASONS[row["verdict"]],
        stop_reason=str(row["stop_reason"]),
        n_tokens=int(row["n_tokens"]),
        pieces=segments(row["response"], _spans(row)),
    )


def _spans(row: dict[Any, Any]) -> list[Span]:
    """The behaviors in a trace: as planted or, where the teacher does not say, as the oracle finds them."""
    if row["spans"] is not None:
        return spans_of(row["spans"])
    found = count_behaviors_in(row["response"], [int(n) for n in row["numbers"]], int(row["target"]))
    return [Span(name, span.start, span.end) for name in BEHAVIORS for span in found.spans(name)]


def splits(inputs: Inputs) -> list[Split]:
    """Counts and difficulty of train, validation and test."""
    return [_split(inputs, name) for name in SPLITS]


def _split(inputs: Inputs, name: str) -> Split:
    path = inputs.problems(name)
    frame = read_rows(path, ["reward_model", "extra_info"])
    extra = pd.DataFrame(list(frame["extra_info"]))
    needed = {"operands", "n_solutions", "needs_division", "depth"}
    if missing := sorted(needed - set(extra.columns)):
        raise ArtifactError(f"{path}: extra_info lacks {', '.join(missing)}; run `snakemake {path}` again")
    targets = [int(reward["ground_truth"]["target"]) for reward in frame["reward_model"]]
    return Split(
        name=name,
        n=len(frame),
        operands=_counts(extra["operands"]),
        median_solutions=float(extra["n_solutions"].median()),
        needs_division=float(extra["needs_division"].mean()),
        depth=_counts(extra["depth"]),
        target_min=min(targets),
        target_max=max(targets),
    )


def _counts(values: Iterable[int]) -> dict[int, int]:
    counts = pd.Series(list(values)).value_counts().sort_index()
    return {int(str(value)): int(count) for value, count in counts.items()}
