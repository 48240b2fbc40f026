"""What the models learned from: priming sets with their quality, and the problem splits.

Reads data/priming and data/problems/countdown.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from habits.artifacts import ArtifactError
from habits.report.inputs import SPLITS, Inputs, PrimingFile, read_rows
from habits.report.labels import BEHAVIOR_NAMES, REASONS
from habits.report.spans import Segment, segments, spans_of

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
    "planted",
    "spans",
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
class PrimingSet:
    """A priming set over all its seeds.

    Attributes:
        name: the set's name.
        seeds: the seeds it was drawn with.
        teachers: who wrote the traces.
        n: traces, all seeds together.
        shares: verdict -> share of the traces; verdicts that do not occur are left out.
        mean_tokens: mean response length in tokens.
        planted: behavior -> mean planted count a trace.
        examples: a few traces of the first seed.
    """

    name: str
    seeds: list[int]
    teachers: list[str]
    n: int
    shares: dict[str, float]
    mean_tokens: float
    planted: dict[str, float]
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
    return [_priming_set(name, files) for name, files in by_name.items()]


def _priming_set(name: str, files: list[PrimingFile]) -> PrimingSet:
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
        planted=_planted(traces),
        examples=_examples(frames[0], files[0]),
    )


def _planted(traces: pd.DataFrame) -> dict[str, float]:
    sums = dict.fromkeys(BEHAVIOR_NAMES, 0)
    for planted in traces["planted"]:
        for item in planted:
            sums[item["behavior"]] += int(item["count"])
    return {name: sums[name] / len(traces) for name in BEHAVIOR_NAMES}


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
        pieces=segments(row["response"], spans_of(row["spans"])),
    )


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
