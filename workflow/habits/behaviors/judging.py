"""Rule ``judging``: an LLM judge counts the behaviors in a sample of a run's rollouts.

Reads ``results/rollouts/{run}.parquet`` and the prompts in ``workflow/prompts/judging``; asks the model that
``judge`` names (``habits.llm``: every reply is stored before it is read, and never asked for twice). Writes
``results/judging/{run}.parquet``: the schema of ``behaviors`` with evidence, one row a rollout and behavior.
What the judge did not answer, or not as asked, has a status of its own and no count.
"""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from habits.artifacts import read_parquet, replacing, stamp
from habits.behaviors.behaviors import CARRIED, SCHEMA, check_run
from habits.behaviors.counts import Span
from habits.behaviors.judgements import Judgement, joint_schema, locate, read_count, read_joint
from habits.behaviors.sampling import in_order
from habits.llm.client import ask
from habits.llm.requests import Answer, Request
from habits.params import Params, ParamsError
from habits.priming.language import BEHAVIORS, Behavior

RULE = "judging"
PROMPTS = Path(__file__).parents[2] / "prompts" / "judging"
VERSIONS = {"joint": "joint-1", "separate": "separate-1"}  # another prompt is another folder and version
LONGEST_RESPONSE = 50_000  # characters that a judge is shown; the oracle reads as many
JUDGED_SCHEMA = pa.schema(
    [
        *SCHEMA,
        ("evidence", pa.list_(pa.string())),
        ("missing_quotes", pa.int64()),
        ("reply", pa.string()),
        ("reason", pa.string()),
    ]
)
COLUMNS = [*CARRIED, "problem_id", "sample_id", "numbers", "target", "response"]


class JudgingError(RuntimeError):
    """Too many judgements failed; the message says how and which settings decide."""


@dataclass(frozen=True)
class Call:
    """A request about some behaviors of one rollout (its position in the sample)."""

    rollout: int
    behaviors: tuple[Behavior, ...]
    request: Request


@dataclass(frozen=True)
class Rating:
    """What became of judging one behavior in one rollout: a row's columns besides what is carried.

    Attributes:
        count: None unless the status is ``ok``.
        status: ``ok``, ``unparsable``, ``refused``, ``error``.
        spans: where quotes stand in the response.
        missing_quotes: quotes that do not occur in it.
        reply: key of the reply in the response store.
        reason: why there is no count.
    """

    behavior: str
    count: int | None
    status: str
    spans: tuple[Span, ...]
    evidence: tuple[str, ...]
    missing_quotes: int
    reply: str
    reason: str


def judge_rollouts(params: Params, run: str, rollouts: Path, out: Path) -> None:
    """Judge a sample of the rollouts of ``run`` (``model/priming/algorithm/seedN``).

    Raises:
        ParamsError: ``judge`` is none, or the run is not in the matrix.
        ArtifactError: the rollouts are missing, lack columns, or belong to another run.
        JudgingError: more judgements failed than ``judging.max_failed_rate`` allows.
    """
    run_id, _ = params.run(run)
    frame = read_parquet(rollouts, COLUMNS)
    check_run(frame, run_id, rollouts)
    sample = sample_of(params, frame)
    calls = calls_for(params, sample)
    answers = ask(params.llm, params.judge, [call.request for call in calls], rule=RULE)
    ratings = [
        rating
        for call, answer in zip(calls, answers, strict=True)
        for rating in ratings_of(call, answer, sample["response"].iloc[call.rollout])
    ]
    _check_failures(params, run, ratings, answers)
    with replacing(out) as temporary:
        pq.write_table(_table(sample, ratings, rater_of(params)), temporary, compression="zstd")
    settings = {"run": run, "rater": rater_of(params), "judging": params.judging.model_dump()}
    stamp(out, settings=settings, parents=[rollouts], seed=params.judging.seed)


def rater_of(params: Params) -> str:
    """The judge's name in tables: the vendor's name of the model and the version of the prompts."""
    return f"{params.llm.models[params.judge].model}/{VERSIONS[params.judging.calls]}"


def sample_of(params: Params, rollouts: pd.DataFrame) -> pd.DataFrame:
    """The rollouts that are judged, ordered by RL step and rank."""
    ordered = in_order(rollouts, params.judging.seed)
    return ordered[ordered["rank"] < params.judging.samples].reset_index(drop=True)


def calls_for(params: Params, sample: pd.DataFrame) -> list[Call]:
    """The requests about ``sample`` (numbers, target, response), in its order; sends nothing.

    Raises:
        ParamsError: ``judge`` is none.
    """
    if params.judge == "none":
        raise ParamsError(f"judge is 'none'; choose one of llm.models: {', '.join(params.llm.models)}")
    folder = PROMPTS / VERSIONS[params.judging.calls]
    user = Template((folder / "user.txt").read_text())
    if params.judging.calls == "joint":
        systems = {BEHAVIORS: (folder / "system.txt").read_text()}
    else:
        systems = {(behavior,): (folder / f"{behavior}.txt").read_text() for behavior in BEHAVIORS}
    rows = zip(sample["numbers"], sample["target"], sample["response"], strict=True)
    messages = [_message(user, *row) for row in rows]
    return [
        Call(rollout, behaviors, _request(params, system, message))
        for rollout, message in enumerate(messages)
        for behaviors, system in systems.items()
    ]


def _message(user: Template, numbers: Sequence[int], target: int, response: str) -> str:
    """The user's message. The tag holds a hash of the response, so the response cannot close it."""
    shown = response[:LONGEST_RESPONSE]
    tag = f"response-{hashlib.sha256(shown.encode()).hexdigest()[:12]}"
    words = ", ".join(str(number) for number in numbers)
    return user.substitute(tag=tag, response=shown, numbers=words, target=target)


def _request(params: Params, system: str, message: str) -> Request:
    settings = params.judging
    return Request.to(
        params.llm,
        params.judge,
        system=system,
        user=message,
        max_tokens=settings.max_tokens,
        temperature=settings.temperature,
        schema=joint_schema() if settings.calls == "joint" else None,
    )


def ratings_of(call: Call, answer: Answer, response: str) -> list[Rating]:
    """The ratings that an answer gives, one a behavior of the call."""
    read = _read(call, answer)
    key = answer.request.key
    if read is None:
        status = "unparsable" if answer.status == "ok" else answer.status
        reason = _reason(answer)
        return [Rating(behavior, None, status, (), (), 0, key, reason) for behavior in call.behaviors]
    found = []
    for behavior in call.behaviors:
        quotes = tuple(read[behavior].evidence)
        places = locate(quotes, response)
        spans = tuple(place for place in places if place is not None)
        found.append(
            Rating(behavior, read[behavior].number, "ok", spans, quotes, places.count(None), key, "")
        )
    return found


def _read(call: Call, answer: Answer) -> dict[Behavior, Judgement] | None:
    """What the reply says about each behavior; None if there is none or it is not in the form asked for."""
    if answer.status != "ok" or answer.reply is None:
        return None
    if call.behaviors == BEHAVIORS:
        return read_joint(answer.reply.text)
    judgement = read_count(answer.reply.text)
    return None if judgement is None else {call.behaviors[0]: judgement}


def _reason(answer: Answer) -> str:
    """Why there is no count."""
    if answer.reply is None:
        return answer.reason
    cut = answer.reply.stop_reason == "max_tokens"
    unread = "cut off at judging.max_tokens" if cut else "not in the form asked for"
    return "declined" if answer.status == "refused" else unread


def _check_failures(params: Params, run: str, ratings: list[Rating], answers: list[Answer]) -> None:
    """Say how the judgements went; JudgingError if more failed than allowed."""
    found = Counter(rating.status for rating in ratings)
    failed = len(ratings) - found["ok"]
    shown = ", ".join(f"{status} {found[status]}" for status in ("unparsable", "refused", "error"))
    told = f"{failed} of {len(ratings)} judgements failed ({shown})"
    print(f"[judging {run}] {told}", file=sys.stderr, flush=True)
    if failed > params.judging.max_failed_rate * len(ratings):
        reasons = Counter(rating.reason for rating in ratings if rating.reason).most_common(3)
        raise JudgingError(
            f"judging {run}: {told}, more than judging.max_failed_rate {params.judging.max_failed_rate:g} "
            f"allows. Most often: {'; '.join(f'{reason} ({n})' for reason, n in reasons)}. The replies stay "
            "stored: a higher judging.max_failed_rate lets the step pass at no cost; requests without reply "
            "are sent again; another judge or judging.max_tokens asks anew"
        )


def _table(sample: pd.DataFrame, ratings: list[Rating], rater: str) -> pa.Table:
    repeated = sample.loc[sample.index.repeat(len(BEHAVIORS))]
    columns = {column: repeated[column].tolist() for column in CARRIED}
    columns |= {name: [getattr(r, name) for r in ratings] for name in Rating.__annotations__}
    columns["spans"] = [[{"start": s.start, "end": s.end} for s in r.spans] for r in ratings]
    columns["rater"] = [rater] * len(ratings)
    return pa.table({field.name: columns[field.name] for field in JUDGED_SCHEMA}, schema=JUDGED_SCHEMA)
