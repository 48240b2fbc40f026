"""The shapes of the two APIs, as `vendor_server` speaks them."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

Body = dict[str, Any]
ANTHROPIC_ERRORS = {
    "errored": "api_error",
    "rejected": "invalid_request_error",
    "retired": "not_found_error",
}


@dataclass(frozen=True)
class Asked:
    """What a client asked, whatever its vendor."""

    api: str
    model: str
    system: str
    user: str
    max_tokens: int
    schema: Body | None
    body: Body


@dataclass(frozen=True)
class Said:
    """What the model says."""

    text: str
    stop_reason: str = "end_turn"
    output_tokens: int | None = None


@dataclass
class ServerBatch:
    """A batch as the server keeps it."""

    id: str
    api: str
    created: float
    ready_at: float
    visible_at: float
    lines: list[Body]
    metadata: Body
    counts: Counter[str]
    failure: str = ""

    @property
    def ended(self) -> bool:
        return time.time() >= self.ready_at


def api_of(request: web.Request) -> str:
    """Whose API a request speaks."""
    return "anthropic" if request.path.startswith("/v1/messages") else "openai"


def asked_of(api: str, body: Body) -> Asked:
    """What a request asks."""
    if api == "anthropic":
        system = body.get("system", "")
        system = system if isinstance(system, str) else "".join(block["text"] for block in system)
        schema = (body.get("output_config") or {}).get("format", {}).get("schema")
        user = body["messages"][-1]["content"]
        return Asked(api, body["model"], system, user, body["max_tokens"], schema, body)
    system = "".join(m["content"] for m in body["messages"] if m["role"] == "system")
    schema = body.get("response_format", {}).get("json_schema", {}).get("schema")
    most = body.get("max_completion_tokens") or body["max_tokens"]
    return Asked(api, body["model"], system, body["messages"][-1]["content"], most, schema, body)


def message(number: int, asked: Asked, said: Said, usage: dict[str, int]) -> Body:
    """A reply of Anthropic's."""
    return {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "model": asked.model,
        "content": [{"type": "text", "text": said.text}],
        "stop_reason": said.stop_reason,
        "stop_sequence": None,
        "usage": {
            "input_tokens": usage["input"],
            "cache_read_input_tokens": usage["cached"],
            "cache_creation_input_tokens": usage["written"],
            "output_tokens": usage["output"],
        },
    }


def completion(number: int, asked: Asked, said: Said, usage: dict[str, int]) -> Body:
    """A reply of OpenAI's."""
    refused = said.stop_reason == "refusal"
    reasons = {"end_turn": "stop", "max_tokens": "length", "refusal": "stop"}
    prompt = usage["input"] + usage["cached"] + usage["written"]
    return {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": asked.model,
        "choices": [
            {
                "index": 0,
                "finish_reason": reasons.get(said.stop_reason, said.stop_reason),
                "logprobs": None,
                "message": {
                    "role": "assistant",
                    "content": None if refused else said.text,
                    "refusal": said.text if refused else None,
                },
            }
        ],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": usage["output"],
            "total_tokens": prompt + usage["output"],
            "prompt_tokens_details": {"cached_tokens": usage["cached"]},
        },
    }


def error(
    api: str, status: int, words: str, headers: dict[str, str] | None = None, code: str | None = None
) -> web.Response:
    """An error in the form of an API."""
    inner = {"type": code or f"error_{status}", "message": words}
    body = {"type": "error", "error": inner} if api == "anthropic" else {"error": {**inner, "code": code}}
    return web.json_response(body, status=status, headers=headers)


def line(api: str, name: str, kind: str, reply: Body) -> Body:
    """A line of a batch's results; ``kind`` is succeeded, expired, errored, rejected or retired."""
    if api == "anthropic":
        result: Body = {"type": "errored" if kind == "rejected" else kind}
        if kind == "succeeded":
            result["message"] = reply
        elif kind != "expired":
            inner = ANTHROPIC_ERRORS[kind]
            result["error"] = {"type": "error", "error": {"type": inner, "message": f"{kind} on demand"}}
        return {"custom_id": name, "result": result}
    record: Body = {"id": f"batch_req_{name[:8]}", "custom_id": name, "response": None, "error": None}
    if kind == "succeeded":
        return record | {"response": {"status_code": 200, "request_id": "r", "body": reply}}
    if kind == "expired":
        return record | {"error": {"code": "batch_expired", "message": "could not be executed in time"}}
    inner = {"error": {"message": f"{kind} on demand", "type": "invalid_request_error", "code": None}}
    status = 400 if kind == "rejected" else 500
    return record | {"response": {"status_code": status, "request_id": "r", "body": inner}}


def anthropic_state(batch: ServerBatch, url: str) -> Body:
    """A message batch as Anthropic describes it."""
    created = datetime.fromtimestamp(batch.created, UTC)
    total = sum(batch.counts.values())
    counts = dict(batch.counts) if batch.ended else {"processing": total}
    kinds = ("processing", "succeeded", "errored", "canceled", "expired")
    return {
        "id": batch.id,
        "type": "message_batch",
        "processing_status": "ended" if batch.ended else "in_progress",
        "request_counts": {kind: counts.get(kind, 0) for kind in kinds},
        "created_at": created.isoformat(),
        "expires_at": (created + timedelta(days=1)).isoformat(),
        "ended_at": created.isoformat() if batch.ended else None,
        "archived_at": None,
        "cancel_initiated_at": created.isoformat() if batch.failure else None,
        "results_url": f"{url}/v1/messages/batches/{batch.id}/results" if batch.ended else None,
    }


def openai_state(batch: ServerBatch) -> Body:
    """A batch as OpenAI describes it."""
    status = "in_progress"
    if batch.ended:
        status = "failed" if batch.failure else "expired" if batch.counts["expired"] else "completed"
    ready = batch.ended and not batch.failure
    total, done = sum(batch.counts.values()), batch.counts["succeeded"]
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": "/v1/chat/completions",
        "input_file_id": "file-0",
        "completion_window": "24h",
        "created_at": int(batch.created),
        "status": status,
        "metadata": batch.metadata,
        "errors": {"data": [{"code": batch.failure, "message": "failed on demand"}]}
        if batch.failure
        else None,
        "output_file_id": f"{batch.id}.output" if ready else None,
        "error_file_id": f"{batch.id}.errors" if ready and done < total else None,
        "request_counts": {"total": total, "completed": done if ready else 0, "failed": total - done},
    }
