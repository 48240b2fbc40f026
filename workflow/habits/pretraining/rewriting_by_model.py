"""The language model as a rewriter: question, thoughts and answer of a document, in its own words.

Reads the prompts in ``workflow/prompts/rewriting``; asks a provider (``habits.llm``: every reply is stored
before it is read, and none is asked for twice). A reply that lacks a closing tag, or has a tag twice, is no
row.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Template

from habits.behaviors.judgements import LONGEST_REPLY
from habits.llm.client import ask
from habits.llm.requests import Answer, Request
from habits.params import Params
from habits.pretraining.rows import Checks, Origin, Row
from habits.pretraining_params import VLLM

RULE = "rewriting"
VERSION = "v1"  # another prompt is another folder and version
PROMPTS = Path(__file__).parents[2] / "prompts" / "rewriting" / VERSION
PARTS = ("question", "thoughts", "answer")
NONE = "<none/>"
_TAG = re.compile(r"</?(?:question|thoughts|answer|think)\b")


class FailedRepliesError(RuntimeError):
    """Too many requests stayed without a reply; the message says which setting decides."""


@dataclass(frozen=True)
class Parts:
    """What a reply holds."""

    question: str
    thoughts: str
    answer: str


def rewrite_by_model(params: Params, wanted: Sequence[tuple[Checks, Origin]], gpus: int) -> list[Row]:
    """One row a document of a set, with the status that it earns.

    Args:
        gpus: over which vLLM spreads the model.

    Raises:
        MissingReplyError, BudgetError, ProviderError: see `habits.llm.client.ask`.
        FailedRepliesError: more requests failed than ``rewriting.max_failed_rate`` allows.
    """
    settings = params.rewriting
    requests = [request_for(params, checks.name, origin.text) for checks, origin in wanted]
    if settings.rewriter == VLLM:
        from habits.pretraining.vllm_labeller import ask_vllm

        answers = ask_vllm(params, requests, RULE, gpus)
    else:
        answers = ask(params.llm, settings.rewriter, requests, rule=RULE)
    failed = [answer.reason for answer in answers if answer.status == "error"]
    if len(failed) > settings.max_failed_rate * len(answers):
        raise FailedRepliesError(
            f"rewriting: {len(failed)} of {len(answers)} requests stayed without a reply, more than "
            f"rewriting.max_failed_rate {settings.max_failed_rate:g} allows; first: {failed[0]}. Run again: "
            "stored replies are not asked for again"
        )
    return [_row(checks, origin, answer) for (checks, origin), answer in zip(wanted, answers, strict=True)]


def request_for(params: Params, name: str, document: str) -> Request:
    """The request about a document of a set; sends nothing."""
    tag = f"document-{hashlib.sha256(document.encode()).hexdigest()[:12]}"
    settings = params.rewriting
    user = Template(_prompt("user")).substitute(tag=tag, document=document)
    if settings.rewriter == VLLM:
        model, limit = params.labelling.model, settings.max_tokens
        return Request(VLLM, model, user, limit, _prompt(name), settings.temperature)
    return Request.to(
        params.llm,
        settings.rewriter,
        system=_prompt(name),
        user=user,
        max_tokens=settings.max_tokens,
        temperature=settings.temperature,
    )


@cache
def _prompt(name: str) -> str:
    return (PROMPTS / f"{name}.txt").read_text()


def _row(checks: Checks, origin: Origin, answer: Answer) -> Row:
    key = answer.request.key
    if answer.status != "ok" or answer.reply is None:
        return Row(origin, answer.status, reply=key)
    if answer.reply.text.strip() == NONE:
        return Row(origin, "no_row", reply=key)
    parts = read_parts(answer.reply.text)
    if parts is None:
        return Row(origin, "tags_missing", reply=key)
    return checks.row(origin, parts.question, parts.thoughts, parts.answer, None, key)


def read_parts(text: str) -> Parts | None:
    """Question, thoughts and answer, each once and complete, and nothing else; None for any other reply."""
    if len(text) > LONGEST_REPLY or len(_TAG.findall(text)) != 2 * len(PARTS):
        return None
    position, found = 0, []
    for part in PARTS:
        start, end = text.find(f"<{part}>", position), text.find(f"</{part}>", position)
        if start < 0 or end < start or text[position:start].strip():
            return None
        found.append(" ".join(text[start + len(part) + 2 : end].split()))
        position = end + len(part) + 3
    return Parts(*found) if all(found) and not text[position:].strip() else None
