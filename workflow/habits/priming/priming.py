"""Rule ``priming``: writes one priming set for one seed.

Reads ``data/problems/countdown/train.parquet`` (never the evaluation splits); writes
``data/priming/{priming}/seed{seed}.parquet``, one trace a row, in the schema below.

All sets of a seed stand on the same sequence of problems: the training problems in an order that the
seed decides, leaving out the few on which some set can't be written. Trace i of every set therefore
has the same problem, and derived sets (negative ones, controls) name trace i of their parent set.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from habits.artifacts import ArtifactError, replacing, stamp
from habits.params import Params, ParamsError
from habits.priming.controls import count_tokens, direct_solution, dotted_thought, empty_thought
from habits.priming.language import BEHAVIORS, Trace
from habits.priming.prose import count_words, in_prose
from habits.priming.teacher import RECIPES, Ending, Limits, write_trace
from habits.tasks.countdown import TEMPLATES, Problem, PromptTemplate, grade
from habits.tasks.countdown.table import read_problems

PARENTS: dict[str, str] = {
    "negative_only": "backtracking_verification",
    "negative_only_give_up": "backtracking_verification",
    "empty_cot": "all_strategies",
    "length_matched_empty_cot": "all_strategies",
}
RIGHT_BY_CONSTRUCTION = ("negative_control", "empty_cot", "length_matched_empty_cot")
NEGATIVE = ("negative_only", "negative_only_give_up")
SETS = (*RECIPES, *RIGHT_BY_CONSTRUCTION, *NEGATIVE)


@dataclass(frozen=True)
class Language:
    """How a trace is written for the models of a prompt template.

    Args:
        write: the trace in these models' language.
        count: tokens of a text; exact for the tiny models, else about (see `prose.count_words`).
    """

    write: Callable[[Trace], Trace]
    count: Callable[[str], int]


LANGUAGES = {
    "short": Language(lambda trace: trace, count_tokens),
    "paper_base": Language(in_prose, count_words),
}
SPAN = pa.struct([("behavior", pa.string()), ("start", pa.int64()), ("end", pa.int64())])
SCHEMA = pa.schema(
    [
        ("trace_id", pa.string()),
        ("problem_id", pa.string()),
        ("numbers", pa.list_(pa.int64())),
        ("target", pa.int64()),
        ("prompt", pa.string()),
        ("response", pa.string()),
        ("teacher", pa.string()),
        ("set", pa.string()),
        ("seed", pa.int64()),
        ("verdict", pa.string()),
        ("n_tokens", pa.int64()),
        ("stop_reason", pa.string()),
        ("parents", pa.list_(pa.string())),
        ("planted", pa.list_(pa.struct([("behavior", pa.string()), ("count", pa.int64())]))),
        ("spans", pa.list_(SPAN)),
        ("messages", pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))),
    ]
)


class PrimingError(RuntimeError):
    """A priming set came out other than its name promises; the message says how."""


@dataclass(frozen=True)
class Quality:
    """What a priming set holds.

    Args:
        n: traces.
        verdicts: share of each verdict that occurs.
        mean_tokens: response tokens, without end-of-text token.
        planted: mean planted instances per trace, by behavior.
    """

    n: int
    verdicts: dict[str, float]
    mean_tokens: float
    planted: dict[str, float]

    @property
    def correct(self) -> float:
        """Share of traces whose answer is right."""
        return self.verdicts.get("correct", 0.0)

    def __str__(self) -> str:
        verdicts = ", ".join(f"{share:.1%} {verdict}" for verdict, share in self.verdicts.items())
        planted = ", ".join(f"{behavior} {mean:.2f}" for behavior, mean in self.planted.items())
        return f"{self.n} traces, {self.mean_tokens:.1f} tokens, {verdicts}; planted per trace: {planted}"


def write_priming(params: Params, priming: str, seed: int, problems: Path, out: Path) -> None:
    """Write the traces of one priming set and seed to ``out``; ``problems`` is the problems folder.

    Raises:
        ParamsError: ``priming`` is not a set that can be written.
        ArtifactError: the training problems are missing or too few to write on.
        TeacherError, ControlError: settings under which the traces can't be written.
    """
    source = problems / "train.parquet"
    frame = make_traces(params, priming, seed, read_problems(source))
    with replacing(out) as temporary:
        pq.write_table(
            pa.Table.from_pandas(frame, SCHEMA, preserve_index=False), temporary, compression="zstd"
        )
    settings = {"priming": priming, **params.priming.model_dump()}
    stamp(out, settings=settings, parents=[source], seed=seed)
    print(f"[priming {priming} seed {seed}] {quality(frame)}", file=sys.stderr, flush=True)


def make_traces(params: Params, priming: str, seed: int, problems: list[Problem]) -> pd.DataFrame:
    """The traces of a set and seed as a frame with the columns of ``SCHEMA``."""
    if priming not in SETS:
        raise ParamsError(f"priming is {priming!r}; choose one of: {', '.join(SETS)}")
    template = prompt_template(params)
    writer = Writer(params, seed, LANGUAGES[template.name])
    slots = writer.slots(problems)
    rows = [
        _row(priming, seed, index, writer.language.write(slot[priming]), template)
        for index, slot in zip(range(params.priming.traces), slots, strict=False)
    ]
    frame = pd.DataFrame(rows, columns=SCHEMA.names)
    _check(priming, frame)
    return frame


class Writer:
    """Writes the traces of all sets of one seed, problem by problem."""

    def __init__(self, params: Params, seed: int, language: Language) -> None:
        self.seed, self.language = seed, language
        self.slip_share = params.priming.arithmetic_slip_share
        self.limits = Limits(
            params.priming.max_trace_tokens,
            params.priming.min_search_tokens,
            params.countdown.max_intermediate,
        )

    def slots(self, problems: list[Problem]) -> Iterator[dict[str, Trace]]:
        """For i = 0, 1, ...: trace i of every set. Goes round the problems again when they run out."""
        index, written_this_round = 0, 0
        while True:
            order = list(problems)
            self._rng("order", index).shuffle(order)
            for problem in order:
                slot = self._slot(problem, index)
                if slot is not None:
                    yield slot
                    index, written_this_round = index + 1, written_this_round + 1
            if not written_this_round:
                raise ArtifactError(
                    f"none of the {len(problems)} training problems lets every priming set be written: with "
                    "these numbers every attempt reaches the target, or priming.max_trace_tokens is too small"
                )
            written_this_round = 0

    def _slot(self, problem: Problem, index: int) -> dict[str, Trace] | None:
        """Trace ``index`` of every set on a problem; None when one of them can't be written on it."""
        numbers = list(problem.numbers)
        self._rng("numbers", index).shuffle(numbers)
        shown = Problem(tuple(numbers), problem.target)
        slot: dict[str, Trace] = {}
        for name in (*RECIPES, *NEGATIVE):
            recipe = RECIPES[PARENTS.get(name, name)]
            ending = self._ending(name, index)
            trace = write_trace(self._rng(name, index), shown, recipe, self.limits, ending)
            if trace is None:
                return None
            slot[name] = trace
        largest = self.limits.max_result
        slot["negative_control"] = direct_solution(self._rng("negative_control", index), shown, largest)
        # One generator name for both: the twins have the same answer and differ in the dots alone.
        slot["empty_cot"] = empty_thought(self._rng("empty_cot", index), shown, largest)
        parent = slot["all_strategies"]
        length = self.language.count(self.language.write(parent).thought)
        dotted = dotted_thought(self._rng("empty_cot", index), parent, length, largest)
        return slot | {"length_matched_empty_cot": dotted}

    def _ending(self, name: str, index: int) -> Ending:
        if name not in NEGATIVE:
            return "any"
        slips = math.floor((index + 1) * self.slip_share) - math.floor(index * self.slip_share)
        return "slip" if name == "negative_only" and slips else "gave_up"

    def _rng(self, purpose: str, index: int) -> Random:
        return Random(f"{self.seed}/{purpose}/{index}")


def prompt_template(params: Params) -> PromptTemplate:
    """The one prompt template that all models of the params share."""
    names = sorted({spec.prompt_template for spec in params.models.values()})
    if len(names) != 1:
        raise ParamsError(
            f"params.yaml: models.*.prompt_template differ ({', '.join(names)}); priming sets are shared "
            "by all models, so give every model the same prompt_template"
        )
    if names[0] not in TEMPLATES:
        raise ParamsError(
            f"params.yaml: models.*.prompt_template is {names[0]!r}; choose one of: {', '.join(TEMPLATES)}"
        )
    return TEMPLATES[names[0]]


def quality(frame: pd.DataFrame) -> Quality:
    """Summary of a traces frame (as made or as read back from parquet)."""
    planted = dict.fromkeys(BEHAVIORS, 0)
    for counts in frame["planted"]:
        for entry in counts:
            planted[entry["behavior"]] += int(entry["count"])
    shares = frame["verdict"].value_counts(normalize=True).sort_index()
    return Quality(
        n=len(frame),
        verdicts={str(verdict): float(share) for verdict, share in shares.items()},
        mean_tokens=float(frame["n_tokens"].mean()),
        planted={behavior: count / len(frame) for behavior, count in planted.items()},
    )


def _row(name: str, seed: int, index: int, trace: Trace, template: PromptTemplate) -> dict[str, Any]:
    prompt = template.render(trace.problem)
    count = LANGUAGES[template.name].count
    count(prompt)  # a word outside the vocabulary is an error
    return {
        "trace_id": _trace_id(name, seed, index),
        "problem_id": trace.problem.key,
        "numbers": list(trace.problem.numbers),
        "target": trace.problem.target,
        "prompt": prompt,
        "response": trace.response,
        "teacher": "symbolic",
        "set": name,
        "seed": seed,
        "verdict": grade(trace.response, trace.problem).reason,
        "n_tokens": count(trace.response),
        "stop_reason": trace.stop_reason,
        "parents": [_trace_id(PARENTS[name], seed, index)] if name in PARENTS else [],
        "planted": [{"behavior": b, "count": count} for b, count in trace.planted.items()],
        "spans": [{"behavior": s.behavior, "start": s.start, "end": s.end} for s in trace.spans],
        "messages": [
            {"role": "user", "content": prompt},
            {"role": "assistant", "content": trace.response},
        ],
    }


def _trace_id(name: str, seed: int, index: int) -> str:
    return f"{name}/seed{seed}/{index:05d}"


def _check(name: str, frame: pd.DataFrame) -> None:
    """What a set's name promises about its verdicts: no unparsable answer is mixed into any set."""
    allowed = {"correct", "wrong_value"}
    if name in RIGHT_BY_CONSTRUCTION:
        allowed = {"correct"}
    elif name in NEGATIVE:
        allowed = {"wrong_value"}
    bad = frame[~frame["verdict"].isin(allowed)]
    if len(bad):
        first = bad.iloc[0]
        raise PrimingError(
            f"{len(bad)} traces of {name} have a verdict other than {sorted(allowed)}; "
            f"first: {first['trace_id']} is {first['verdict']}: {first['response'][-80:]!r}"
        )
