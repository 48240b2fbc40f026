"""Anthropic's Messages API and its Message Batches, through the vendor's SDK."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import anthropic
import httpx2

from habits.llm.providers import (
    LOST,
    RETIRED,
    TIMEOUT,
    BatchItem,
    BatchState,
    api_key,
    failed_item,
    failure_of,
    items,
)
from habits.llm.requests import Reply, Request, Usage, printable
from habits.params import LlmModel

# Errors of a request that another try does not mend.
FINAL = (
    "invalid_request_error",
    "request_too_large",
    "billing_error",
    "not_found_error",
    "permission_error",
    "authentication_error",
)
COUNTED = ("model", "system", "messages", "output_config")  # fields that have to do with input


class AnthropicMessages:
    """A connection to Anthropic's server, or one that speaks its API."""

    names_batches = False
    most_requests = 100_000
    most_bytes = 250_000_000

    def __init__(self, entry: LlmModel) -> None:
        self.entry, self.key = entry, api_key(entry)
        self.client = anthropic.AsyncAnthropic(
            api_key=self.key, base_url=entry.base_url, max_retries=0, timeout=TIMEOUT
        )
        self.batches = self.client.messages.batches

    async def ask(self, request: Request) -> Reply:
        """See `Provider.ask`."""
        with self._told():
            # Not messages.create: its signature lacks what only older models take (temperature).
            response = await self.client.post("/v1/messages", body=body_of(request), cast_to=httpx2.Response)
            return reply_of(json.loads(response.content))

    async def count(self, request: Request) -> int:
        """See `Provider.count`."""
        body = {name: value for name, value in body_of(request).items() if name in COUNTED}
        with self._told():
            response = await self.client.post("/v1/messages/count_tokens", body=body, cast_to=httpx2.Response)
            return int(json.loads(response.content)["input_tokens"])

    async def close(self) -> None:
        """See `Provider.close`."""
        await self.client.close()

    def line_of(self, request: Request) -> dict[str, Any]:
        """See `Provider.line_of`."""
        return {"custom_id": request.key, "params": body_of(request)}

    async def submit(self, intent: str, requests: Sequence[Request]) -> str:
        """See `Provider.submit`."""
        with self._told():
            lines: Any = [self.line_of(request) for request in requests]
            return (await self.batches.create(requests=lines)).id

    async def find(self, intent: str, since: float, size: int) -> list[str]:
        """See `Provider.find`."""
        found = []
        with self._told():
            async for batch in self.batches.list(limit=100):
                if batch.created_at.timestamp() < since:
                    break
                if sum(batch.request_counts.model_dump().values()) == size:
                    found.append(batch.id)
        return found[::-1]

    async def look(self, batch: str) -> BatchState:
        """See `Provider.look`."""
        with self._told(missing=LOST):
            state = await self.batches.retrieve(batch)
            counts = state.request_counts
            return BatchState(
                done=counts.succeeded,
                ended=state.processing_status == "ended",
                failure="it was cancelled" if state.cancel_initiated_at else "",
            )

    async def results(self, batch: str) -> AsyncIterator[BatchItem]:
        """See `Provider.results`."""
        with self._told(missing=LOST):
            async with self.batches.with_streaming_response.results(batch) as response:
                async for item in items(response.iter_bytes(), item_of):
                    yield item

    @contextmanager
    def _told(self, missing: str = RETIRED) -> Iterator[None]:
        try:
            yield
        except (anthropic.AnthropicError, httpx2.HTTPError, ValueError, LookupError, TypeError) as error:
            raise failure_of(error, self.entry, self.key, missing) from None


def body_of(request: Request) -> dict[str, Any]:
    """The request as the API takes it; the system block is what its prompt cache may keep."""
    body: dict[str, Any] = {
        "model": request.model,
        "max_tokens": request.max_tokens,
        "messages": [{"role": "user", "content": request.user}],
    }
    if request.system:
        body["system"] = [{"type": "text", "text": request.system, "cache_control": {"type": "ephemeral"}}]
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.schema is not None:
        body["output_config"] = {"format": {"type": "json_schema", "schema": json.loads(request.schema)}}
    body.update(json.loads(request.options))
    return body


def reply_of(message: Any) -> Reply:
    """A message of the API as a reply; ValueError, LookupError or TypeError if it is not a whole one."""
    usage = message["usage"]
    texts = [block["text"] for block in message["content"] if block["type"] == "text"]
    if message["type"] != "message" or not isinstance(message["stop_reason"], str):
        raise ValueError("not a whole message")
    return Reply(
        text=printable("".join(texts)),
        stop_reason=message["stop_reason"],
        usage=Usage(
            input=int(usage["input_tokens"]),
            cached_input=int(usage.get("cache_read_input_tokens") or 0),
            cache_write=int(usage.get("cache_creation_input_tokens") or 0),
            output=int(usage["output_tokens"]),
        ),
        request_id=str(message["id"]),
        model=str(message["model"]),
    )


def item_of(line: Any) -> BatchItem:
    """A line of a batch's results."""
    name, result = str(line["custom_id"]), line["result"]
    if result["type"] == "succeeded":
        return BatchItem(name, reply_of(result["message"]))
    error = (result.get("error") or {}).get("error") or {}
    kind = error.get("type")
    reason = f"{result['type']} {kind or ''} {error.get('message', '')}"
    if kind == "not_found_error":
        reason += f". {RETIRED}"
    return failed_item(name, reason, again=kind not in FINAL)
