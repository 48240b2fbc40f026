"""Traces from the demonstrations of an LLM teacher: which ones, and the controls derived from them.

Reads ``data/teaching/{set}.parquet``. The demonstrations of a set are asked for once; a seed decides which
of the usable ones become traces, and in which order. As requests stand on the same problems in all sets,
so do the traces of a seed, but for demonstrations that can't be used.

- Behavior sets and negative_control: demonstrations as they are, right and wrong mixed as they came.
- empty_cot, length_matched_empty_cot: right answers from the solver, on the problems of all_strategies and
  after as many dots as its thoughts have tokens: what the symbolic teacher's controls are.
- negative_only: demonstrations of backtracking_verification that end wrong, as they came.
  negative_only_give_up: those of them that do not claim to have reached the target. Nobody can make an
  LLM err on purpose and think aloud as if it did not, so how many of each kind there are is up to it.
"""

from __future__ import annotations

import math
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd

from habits.artifacts import ArtifactError, read_parquet
from habits.params import Params
from habits.priming.controls import dotted_thought, empty_thought
from habits.priming.language import Trace
from habits.priming.sets import EMPTY, NEGATIVE
from habits.priming.traces import LANGUAGES, SCHEMA, Language, prompt_template, row
from habits.tasks.countdown import Problem

COLUMNS = ["request", "numbers", "target", "status", "response", "verdict", "ending"]


def taught_traces(params: Params, priming: str, seed: int, source: Path) -> pd.DataFrame:
    """The traces of a set and seed as a frame with the columns of ``SCHEMA``.

    Args:
        params: the settings.
        priming: the priming set.
        seed: of the choice.
        source: the parquet of the demonstrations that the set is made from.

    Raises:
        ArtifactError: there are too few usable demonstrations.
        ControlError: a control can't be what its name says.
    """
    frame = read_parquet(source, COLUMNS)
    order = Random(f"{seed}/order").sample(range(len(frame)), len(frame))
    shuffled = frame.iloc[order]
    chosen = shuffled[_suited(shuffled, priming)].head(params.priming.traces)
    if len(chosen) < params.priming.traces:
        raise ArtifactError(_shortage(params, priming, frame, source))
    template, largest = prompt_template(params), params.countdown.max_intermediate
    rows = []
    for index, demonstration in enumerate(chosen.to_dict("records")):
        trace = _trace(demonstration)
        if priming in EMPTY:
            control = _control(priming, seed, index, trace, largest, LANGUAGES[template.name])
            rows.append(row(priming, seed, index, control, template, params.teacher))
        else:
            reply = str(demonstration["request"])
            rows.append(row(priming, seed, index, trace, template, params.teacher, reply))
    return pd.DataFrame(rows, columns=SCHEMA.names)


def _suited(frame: pd.DataFrame, priming: str) -> pd.Series:
    suited = frame["status"] == "ok"
    if priming in NEGATIVE:
        suited &= frame["verdict"] != "correct"
    if priming == "negative_only_give_up":
        suited &= frame["ending"] == "gave_up"
    return suited


def _trace(demonstration: dict[Any, Any]) -> Trace:
    problem = Problem(tuple(int(n) for n in demonstration["numbers"]), int(demonstration["target"]))
    return Trace(problem, demonstration["response"], demonstration["ending"], spans=None)


def _control(
    priming: str, seed: int, index: int, parent: Trace, largest: int | None, language: Language
) -> Trace:
    # One generator name for both: the twins have the same answer and differ in the dots alone.
    rng = Random(f"{seed}/empty_cot/{index}")
    if priming == "empty_cot":
        return language.write(empty_thought(rng, parent.problem, largest))
    return language.write(dotted_thought(rng, parent, language.count(parent.thought), largest))


def _shortage(params: Params, priming: str, frame: pd.DataFrame, source: Path) -> str:
    """What is there instead of enough demonstrations, and the key that brings more."""
    wanted, found = params.priming.traces, int(_suited(frame, priming).sum())
    counts = frame["status"].value_counts()
    kinds = [f"{count} {str(status).replace('_', ' ')}" for status, count in counts.items() if status != "ok"]
    key = "requests_per_trace"
    if priming in NEGATIVE:
        key = "requests_per_wrong_trace"
        endings = frame.loc[frame["status"] == "ok", "ending"].value_counts()
        kinds += [f"{count} ended as {str(ending).replace('_', ' ')}" for ending, count in endings.items()]
    advice = f"look at status and reason in {source}"
    if found:
        enough = math.ceil(105 * len(frame) / found) / 100  # the share found so far, and a little more
        advice = f"raise teaching.{key} to {enough:g} (only the additional requests are paid for)"
    return (
        f"{priming} needs {wanted} demonstrations (priming.traces), and {found} of the {len(frame)} in "
        f"{source} suit ({', '.join(kinds)}); {advice}, or lower priming.traces"
    )
