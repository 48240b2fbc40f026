"""The language model as a labeller: what it is asked about a document, and the label that its answers give.

Reads the prompts in ``workflow/prompts/labels``; asks a provider (``habits.llm``: every reply is stored
before it is read) or an offline vLLM (``habits.pretraining.vllm_labeller``). The document comes first and the
question last: of several questions about a document, a server's prefix cache reads it once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from string import Template
from typing import Any

from habits.behaviors.judgements import Judgement, locate, read_count
from habits.llm.client import ask
from habits.llm.requests import Answer, Request, canonical
from habits.params import Params
from habits.pretraining.labelled import Label, Status, Text
from habits.pretraining.replies import JointLabel, Kind, joint_schema, kind_schema, read_json
from habits.pretraining_params import VLLM
from habits.priming.language import BEHAVIORS, Behavior

RULE = "labels"
PROMPTS = Path(__file__).parents[2] / "prompts" / "labels"
VERSIONS = {"joint": "joint-1", "separate": "separate-1"}  # another prompt is another folder and version
QUESTIONS = (*BEHAVIORS, "kind")


def label_by_model(params: Params, texts: Sequence[Text], gpus: int = 0) -> list[Label]:
    """Labels of documents, in their order. What is stored already is not asked again.

    Args:
        gpus: over which vLLM spreads the model.

    Raises:
        MissingReplyError, BudgetError, ProviderError: see `habits.llm.client.ask`.
    """
    requests = [request for text in texts for request in requests_for(params, text.text)]
    if params.labelling.labeller == VLLM:
        from habits.pretraining.vllm_labeller import ask_vllm

        answers = ask_vllm(params, requests, RULE, gpus)
    else:
        answers = ask(params.llm, params.labelling.labeller, requests, rule=RULE)
    each = len(answers) // len(texts) if texts else 1
    parts = [answers[start : start + each] for start in range(0, len(answers), each)]
    rater = rater_of(params)
    return [label_of(rater, text.text, part) for text, part in zip(texts, parts, strict=True)]


def rater_of(params: Params) -> str:
    """The labeller's name in tables: the vendor's name of the model and the version of the prompts."""
    settings = params.labelling
    model = settings.model if settings.labeller == VLLM else params.llm.models[settings.labeller].model
    return f"{model}/{VERSIONS[settings.calls]}"


def requests_for(params: Params, document: str) -> list[Request]:
    """The requests about a document: one (joint), or one a behavior and one about its kind; sends nothing."""
    calls = params.labelling.calls
    system, user = _prompt(calls, "system"), Template(_prompt(calls, "user"))
    tag = f"document-{hashlib.sha256(document.encode()).hexdigest()[:12]}"
    if calls == "joint":
        message = user.substitute(tag=tag, document=document)
        return [_request(params, system, message, joint_schema())]
    messages = {
        question: user.substitute(tag=tag, document=document, question=_prompt(calls, question).strip())
        for question in QUESTIONS
    }
    return [
        _request(params, system, message, kind_schema() if question == "kind" else None)
        for question, message in messages.items()
    ]


@cache
def _prompt(calls: str, name: str) -> str:
    return (PROMPTS / VERSIONS[calls] / f"{name}.txt").read_text()


def _request(params: Params, system: str, message: str, schema: Mapping[str, Any] | None) -> Request:
    settings = params.labelling
    if settings.labeller == VLLM:
        return Request(
            VLLM,
            settings.model,
            message,
            settings.max_tokens,
            system,
            settings.temperature,
            None if schema is None else canonical(schema),
        )
    return Request.to(
        params.llm,
        settings.labeller,
        system=system,
        user=message,
        max_tokens=settings.max_tokens,
        temperature=settings.temperature,
        schema=schema,
    )


def label_of(rater: str, document: str, answers: Sequence[Answer]) -> Label:
    """The label that the answers about a document give; without one readable answer to each there is none."""
    replies = tuple(answer.request.key for answer in answers)
    for answer in answers:
        if answer.status != "ok":
            return Label(rater, answer.status, reason=answer.reason or "declined", replies=replies)
    judgements, kind = _read(answers)
    if kind is None or any(judgement is None for judgement in judgements.values()):
        cut = any(answer.reply and answer.reply.stop_reason == "max_tokens" for answer in answers)
        reason = "cut off at labelling.max_tokens" if cut else "not in the form asked for"
        status: Status = "unparsable"
        return Label(rater, status, reason=reason, replies=replies)
    known = {behavior: judgement for behavior, judgement in judgements.items() if judgement is not None}
    places = {behavior: locate(found.evidence, document) for behavior, found in known.items()}
    return Label(
        rater,
        counts={behavior: found.number for behavior, found in known.items()},
        evidence={behavior: found.evidence for behavior, found in known.items()},
        missing_quotes=sum(place.count(None) for place in places.values()),
        is_problem=kind.is_problem,
        is_solution=kind.is_solution,
        domain=kind.domain,
        replies=replies,
    )


def _read(answers: Sequence[Answer]) -> tuple[dict[Behavior, Judgement | None], Kind | None]:
    texts = [answer.reply.text if answer.reply else "" for answer in answers]
    if len(texts) == 1:
        joint = read_json(texts[0], JointLabel)
        found = {behavior: getattr(joint, behavior, None) for behavior in BEHAVIORS}
        return found, joint
    counted = dict(zip(BEHAVIORS, map(read_count, texts), strict=False))
    return counted, read_json(texts[-1], Kind)
