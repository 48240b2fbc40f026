"""Rule ``teaching``: asks an LLM teacher for demonstrations and labels every reply.

Reads ``data/problems/countdown/train.parquet`` and the replies stored in ``data/replies``, and asks for those
that are missing. Writes ``data/teaching/{set}.parquet``, one row a request in the schema below: what came
back, whether it can be used, how it ended. Right and wrong demonstrations are kept alike, and what cannot
be used is kept with its reason. Which of them become traces is decided by rule ``priming``.

Request i has the same problem in all sets, and the first requests stay the same when more are asked for: a
raised setting pays for the additional ones alone.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from habits.artifacts import replacing, stamp
from habits.llm.client import ask
from habits.llm.requests import Answer, Request
from habits.params import Params, ParamsError
from habits.priming.demonstrations import Demonstration, read_answer
from habits.priming.instructions import VERSION, message, system_prompt
from habits.priming.sets import INSTRUCTED, INSTRUCTIONS, SYMBOLIC
from habits.priming.traces import prompt_template
from habits.tasks.countdown import Problem
from habits.tasks.countdown.table import read_problems

SCHEMA = pa.schema(
    [
        ("request", pa.string()),
        ("set", pa.string()),
        ("teacher", pa.string()),
        ("model", pa.string()),
        ("prompt_version", pa.string()),
        ("problem_id", pa.string()),
        ("numbers", pa.list_(pa.int64())),
        ("target", pa.int64()),
        ("sample", pa.int64()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("response", pa.string()),
        ("stop_reason", pa.string()),
        ("verdict", pa.string()),
        ("ending", pa.string()),
        ("duplicate", pa.bool_()),
        ("n_tokens", pa.int64()),
        ("input_tokens", pa.int64()),
        ("output_tokens", pa.int64()),
        ("foreign_words", pa.list_(pa.string())),
    ]
)


class TeachingError(RuntimeError):
    """Too many requests stayed without a reply; the message says how many, why and what to do."""


def write_teaching(params: Params, name: str, problems: Path, out: Path) -> None:
    """Ask the teacher for the demonstrations of set ``name`` and write them, labelled, to ``out``.

    Raises:
        ParamsError: ``name`` is no set with demonstrations, or the teacher is the symbolic one.
        ArtifactError: the training problems are missing.
        TeachingError: too many requests stayed without a reply.
    """
    source = problems / "train.parquet"
    shown = problems_of(params, name, read_problems(source))
    requests = teaching_requests(params, name, shown)
    answers = ask(params.llm, params.teacher, requests, rule="teaching")
    check_replies(name, answers, params.teaching.max_failed_rate)
    frame = labelled(params, name, shown, answers)
    with replacing(out) as temporary:
        table = pa.Table.from_pandas(frame, SCHEMA, preserve_index=False)
        pq.write_table(table, temporary, compression="zstd")
    settings = {"set": name, "teacher": params.llm.models[params.teacher].identity}
    stamp(out, settings={**settings, **params.teaching.model_dump()}, parents=[source])
    print(f"[teaching {name}] {summary(frame)}", file=sys.stderr, flush=True)


def problems_of(params: Params, name: str, problems: Sequence[Problem]) -> list[Problem]:
    """The problem of every request: the training problems in their order, from the first again at the end."""
    if name not in INSTRUCTIONS:
        raise ParamsError(f"teaching set is {name!r}; choose one of: {', '.join(INSTRUCTIONS)}")
    settings = params.teaching
    factor = settings.requests_per_trace if name in INSTRUCTED else settings.requests_per_wrong_trace
    wanted = math.ceil(round(params.priming.traces * factor, 6))
    return [problems[index % len(problems)] for index in range(wanted)]


def teaching_requests(params: Params, name: str, problems: Sequence[Problem]) -> list[Request]:
    """One request a problem. A problem that comes again is asked as another sample."""
    if params.teacher == SYMBOLIC:
        raise ParamsError(
            "teacher is symbolic, which asks nobody; choose one of llm.models: "
            f"{', '.join(params.llm.models)}"
        )
    system = system_prompt(params, name)
    times: Counter[Problem] = Counter()
    requests = []
    for problem in problems:
        requests.append(
            Request.to(
                params.llm,
                params.teacher,
                system=system,
                user=message(problem),
                max_tokens=params.teaching.max_tokens,
                temperature=params.teaching.temperature,
                sample=times[problem],
            )
        )
        times[problem] += 1
    return requests


def labelled(
    params: Params, name: str, problems: Sequence[Problem], answers: Sequence[Answer]
) -> pd.DataFrame:
    """A row an answer, with the columns of ``SCHEMA``; a demonstration that came before is a duplicate."""
    template = prompt_template(params).name
    seen: set[tuple[Problem, str]] = set()
    rows = []
    for problem, answer in zip(problems, answers, strict=True):
        found = read_answer(answer, problem, template, params.priming.max_trace_tokens)
        told = (problem, found.response or "")
        rows.append(_row(params, name, problem, answer, found, duplicate=bool(told[1]) and told in seen))
        seen.add(told)
    return pd.DataFrame(rows, columns=SCHEMA.names)


def summary(frame: pd.DataFrame) -> str:
    """What came back, in a line."""
    usable = frame[frame["status"] == "ok"]
    right = (usable["verdict"] == "correct").mean() if len(usable) else 0.0
    counts = frame["status"].value_counts()
    rest = "".join(f", {n} {str(name).replace('_', ' ')}" for name, n in counts.items() if name != "ok")
    return f"{len(frame)} replies: {len(usable)} usable ({right:.1%} right){rest}"


def _row(
    params: Params, name: str, problem: Problem, answer: Answer, found: Demonstration, *, duplicate: bool
) -> dict[str, Any]:
    reply = answer.reply
    usage = reply.usage if reply else None
    repeated = duplicate and found.status == "ok"
    return {
        "request": answer.request.key,
        "set": name,
        "teacher": params.teacher,
        "model": answer.request.model,
        "prompt_version": VERSION,
        "problem_id": problem.key,
        "numbers": list(problem.numbers),
        "target": problem.target,
        "sample": answer.request.sample,
        "status": "duplicate" if repeated else found.status,
        "reason": found.reason,
        "response": found.response,
        "stop_reason": reply.stop_reason if reply else None,
        "verdict": found.verdict,
        "ending": found.ending,
        "duplicate": duplicate,
        "n_tokens": found.n_tokens,
        "input_tokens": usage and usage.input + usage.cached_input + usage.cache_write,
        "output_tokens": usage and usage.output,
        "foreign_words": list(found.foreign_words),
    }


def check_replies(name: str, answers: Sequence[Answer], tolerated: float) -> None:
    """Stop when more requests than tolerated got no reply; those that did are stored."""
    failed = [answer for answer in answers if answer.status == "error"]
    if len(failed) > tolerated * len(answers):
        enough = math.ceil(10_000 * len(failed) / len(answers)) / 10_000
        raise TeachingError(
            f"teaching {name}: {len(failed)} of {len(answers)} requests got no reply; the first: "
            f"{failed[0].reason}. All others are stored: run again to ask for these alone, or raise "
            f"teaching.max_failed_rate to {enough:g} to go on without them"
        )
