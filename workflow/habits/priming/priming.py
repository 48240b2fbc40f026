"""Rule ``priming``: writes one priming set for one seed.

Reads ``data/problems/countdown/train.parquet`` (never the evaluation splits) or, with an LLM teacher,
``data/teaching/{set}.parquet`` (``habits.priming.taught``); writes
``data/priming/{priming}/seed{seed}.parquet``, one trace a row, in the schema of ``habits.priming.traces``.

All sets of a seed of the symbolic teacher stand on the same sequence of problems: the training problems
in an order that the seed decides, leaving out the few on which some set can't be written. Trace i of
every set therefore has the same problem, and derived sets (negative ones, controls) name trace i of
their parent set.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from habits.artifacts import ArtifactError, replacing, stamp
from habits.params import Params, ParamsError
from habits.priming.controls import direct_solution, dotted_thought, empty_thought
from habits.priming.language import Trace
from habits.priming.rewritten import rewritten_traces
from habits.priming.sets import EMPTY, NEGATIVE, PARENTS, REWRITTEN, SETS, SYMBOLIC, demonstrations_for
from habits.priming.taught import taught_traces
from habits.priming.teacher import RECIPES, Ending, Limits, write_trace
from habits.priming.traces import LANGUAGES, SCHEMA, Language, prompt_template, quality, row
from habits.tasks.countdown import Problem
from habits.tasks.countdown.table import read_problems


class PrimingError(RuntimeError):
    """A priming set came out other than its name promises; the message says how."""


def write_priming(
    params: Params, priming: str, seed: int, problems: Path, teaching: Path, rewriting: Path, out: Path
) -> None:
    """Write the traces of one priming set and seed to ``out``.

    Args:
        params: the settings; ``teacher`` says who wrote the traces.
        priming: the set.
        seed: decides problems and traces of the symbolic teacher, and the choice among those of any other.
        problems: the problems folder.
        teaching: the folder with the demonstrations of an LLM teacher.
        rewriting: the folder with the rewritten documents.
        out: the parquet to write.

    Raises:
        ParamsError: ``priming`` is not a set that can be written.
        ArtifactError: the training problems or demonstrations are missing or too few.
        TeacherError, ControlError: settings under which the traces can't be written.
    """
    if priming not in (known := (*SETS, *REWRITTEN)):
        raise ParamsError(f"priming is {priming!r}; choose one of: {', '.join(known)}")
    if priming in REWRITTEN:
        source = rewriting / f"{priming}.parquet"
        frame = rewritten_traces(priming, seed, source)
    elif params.teacher == SYMBOLIC:
        source = problems / "train.parquet"
        frame = make_traces(params, priming, seed, read_problems(source))
    else:
        source = teaching / f"{demonstrations_for(priming)}.parquet"
        frame = taught_traces(params, priming, seed, source)
    _check(params.teacher, priming, frame)
    with replacing(out) as temporary:
        table = pa.Table.from_pandas(frame, SCHEMA, preserve_index=False)
        pq.write_table(table, temporary, compression="zstd")
    settings = {"priming": priming, "teacher": params.teacher, **params.priming.model_dump()}
    stamp(out, settings=settings, parents=[source], seed=seed)
    print(f"[priming {priming} seed {seed}] {quality(frame)}", file=sys.stderr, flush=True)


def make_traces(params: Params, priming: str, seed: int, problems: list[Problem]) -> pd.DataFrame:
    """The symbolic teacher's traces of a set and seed as a frame with the columns of ``SCHEMA``."""
    template = prompt_template(params)
    writer = Writer(params, seed, LANGUAGES[template.name])
    slots = writer.slots(problems)
    rows = [
        row(priming, seed, index, writer.language.write(slot[priming]), template)
        for index, slot in zip(range(params.priming.traces), slots, strict=False)
    ]
    return pd.DataFrame(rows, columns=SCHEMA.names)


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


def _check(teacher: str, name: str, frame: pd.DataFrame) -> None:
    """What a set's name promises about its verdicts: no unparsable answer is mixed into any set."""
    wrong = {"wrong_value"} if teacher == SYMBOLIC else {"wrong_value", "wrong_numbers"}
    allowed = {"correct", *wrong}
    if name in EMPTY or (name == "negative_control" and teacher == SYMBOLIC):
        allowed = {"correct"}
    elif name in NEGATIVE:
        allowed = wrong
    elif name in REWRITTEN:
        allowed = {"correct", "wrong_value", "wrong_numbers", "not_graded"}
    bad = frame[~frame["verdict"].isin(allowed)]
    if len(bad):
        first = bad.iloc[0]
        raise PrimingError(
            f"{len(bad)} traces of {name} have a verdict other than {sorted(allowed)}; "
            f"first: {first['trace_id']} is {first['verdict']}: {first['response'][-80:]!r}"
        )
