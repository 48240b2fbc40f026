"""OpenAI's chat completions and its Batch API, and all servers that speak the former, through the SDK."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx2
import openai

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

PATH = "/chat/completions"
STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "content_filter": "refusal"}
ENDED = ("completed", "expired", "failed", "cancelled")


class OpenAIChat:
    """A connection to OpenAI's server, or one that speaks its API."""

    names_batches = True
    most_requests = 50_000
    most_bytes = 190_000_000

    def __init__(self, entry: LlmModel) -> None:
        self.entry, self.key = entry, api_key(entry)
        self.client = openai.AsyncOpenAI(
            api_key=self.key, base_url=entry.base_url, max_retries=0, timeout=TIMEOUT
        )
        self.batches = self.client.batches

    async def ask(self, request: Request) -> Reply:
        """See `Provider.ask`."""
        with self._told():
            response = await self.client.post(PATH, body=self._body(request), cast_to=httpx2.Response)
            return reply_of(json.loads(response.content))

    async def count(self, request: Request) -> int:
        """See `Provider.count`."""
        body: dict[str, Any] = {"model": request.model, "input": request.user}
        if request.system:
            body["instructions"] = request.system
        if request.schema is not None:
            body["text"] = {"format": {"type": "json_schema", **_answer(request.schema)}}
        with self._told():
            response = await self.client.post("/responses/input_tokens", body=body, cast_to=httpx2.Response)
            return int(json.loads(response.content)["input_tokens"])

    async def close(self) -> None:
        """See `Provider.close`."""
        await self.client.close()

    def line_of(self, request: Request) -> dict[str, Any]:
        """See `Provider.line_of`."""
        return {"custom_id": request.key, "method": "POST", "url": f"/v1{PATH}", "body": self._body(request)}

    async def submit(self, intent: str, requests: Sequence[Request]) -> str:
        """See `Provider.submit`."""
        lines = "".join(json.dumps(self.line_of(request)) + "\n" for request in requests)
        with self._told():
            file = await self.client.files.create(file=(f"{intent}.jsonl", lines.encode()), purpose="batch")
            batch = await self.batches.create(
                input_file_id=file.id,
                endpoint="/v1/chat/completions",
                completion_window="24h",
                metadata={"habits": intent},
            )
            return batch.id

    async def find(self, intent: str, since: float, size: int) -> list[str]:
        """See `Provider.find`."""
        with self._told():
            async for batch in self.batches.list(limit=100):
                if batch.created_at < since:
                    break
                if (batch.metadata or {}).get("habits") == intent:
                    return [batch.id]
        return []

    async def look(self, batch: str) -> BatchState:
        """See `Provider.look`."""
        with self._told(missing=LOST):
            state = await self.batches.retrieve(batch)
            errors = (state.errors and state.errors.data) or []
            failure = "; ".join(f"{error.code}: {error.message}" for error in errors[:5])
            if any(error.code == "model_not_found" for error in errors):
                failure += f". {RETIRED}"
            return BatchState(
                done=state.request_counts.completed if state.request_counts else 0,
                ended=state.status in ENDED,
                failure=f"it {state.status} {failure}" if state.status in ("failed", "cancelled") else "",
            )

    async def results(self, batch: str) -> AsyncIterator[BatchItem]:
        """See `Provider.results`."""
        with self._told(missing=LOST):
            state = await self.batches.retrieve(batch)
            for file in filter(None, (state.output_file_id, state.error_file_id)):
                async with self.client.files.with_streaming_response.content(file) as response:
                    async for item in items(response.iter_bytes(), item_of):
                        yield item

    def _body(self, request: Request) -> dict[str, Any]:
        return body_of(request, compatible=self.entry.base_url is not None)

    @contextmanager
    def _told(self, missing: str = RETIRED) -> Iterator[None]:
        try:
            yield
        except (openai.OpenAIError, httpx2.HTTPError, ValueError, LookupError, TypeError) as error:
            raise failure_of(error, self.entry, self.key, missing) from None


def body_of(request: Request, compatible: bool) -> dict[str, Any]:
    """The request as the API takes it.

    Args:
        compatible: for another server than OpenAI's; those know the limit on tokens by its old name.
    """
    messages = [{"role": "user", "content": request.user}]
    if request.system:
        messages.insert(0, {"role": "system", "content": request.system})
    limit = "max_tokens" if compatible else "max_completion_tokens"
    body: dict[str, Any] = {"model": request.model, "messages": messages, limit: request.max_tokens}
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.schema is not None:
        body["response_format"] = {"type": "json_schema", "json_schema": _answer(request.schema)}
    body.update(json.loads(request.options))
    return body


def _answer(schema: str) -> dict[str, Any]:
    return {"name": "answer", "strict": True, "schema": json.loads(schema)}


def reply_of(completion: Any) -> Reply:
    """A completion of the API as a reply; ValueError, LookupError or TypeError if it is not a whole one."""
    choice, usage = completion["choices"][0], completion["usage"]
    message, reason = choice["message"], choice["finish_reason"]
    if not isinstance(reason, str):
        raise ValueError("not a whole completion")
    details = usage.get("prompt_tokens_details") or {}
    cached, written = int(details.get("cached_tokens") or 0), int(details.get("cache_write_tokens") or 0)
    refusal = message.get("refusal")
    return Reply(
        text=printable(refusal or message.get("content") or ""),
        stop_reason="refusal" if refusal else STOP_REASONS.get(reason, reason),
        usage=Usage(
            input=int(usage["prompt_tokens"]) - cached - written,
            cached_input=cached,
            cache_write=written,
            output=int(usage["completion_tokens"]),
        ),
        request_id=str(completion["id"]),
        model=str(completion["model"]),
    )


def item_of(line: Any) -> BatchItem:
    """A line of a batch's output or error file."""
    name, response = str(line["custom_id"]), line.get("response") or {}
    status = int(response.get("status_code") or 0)
    if status == 200:
        return BatchItem(name, reply_of(response["body"]))
    error = line.get("error") or (response.get("body") or {}).get("error") or {}
    rejected = 400 <= status < 500 and status not in (408, 409, 429)
    return failed_item(name, f"{status or error.get('code')} {error.get('message', '')}", again=not rejected)
