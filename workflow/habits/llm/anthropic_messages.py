"""Anthropic's Messages API, through the vendor's SDK."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import httpx2

from habits.llm.providers import api_key, failure_of
from habits.llm.requests import Reply, Request, Usage, printable
from habits.params import LlmModel

TIMEOUT = 600.0


class AnthropicMessages:
    """A connection to Anthropic's server, or one that speaks its API."""

    def __init__(self, entry: LlmModel) -> None:
        self.entry, self.key = entry, api_key(entry)
        self.client = anthropic.AsyncAnthropic(
            api_key=self.key, base_url=entry.base_url, max_retries=0, timeout=TIMEOUT
        )

    async def ask(self, request: Request) -> Reply:
        """See `Provider.ask`."""
        typed = body_of(request)
        # The SDK's signature lacks what only older models take (temperature); the API does not.
        known = {"model", "max_tokens", "messages", "system", "output_config"}
        extra = {name: typed.pop(name) for name in set(typed) - known}
        try:
            response = await self.client.messages.with_raw_response.create(**typed, extra_body=extra)
            return reply_of(json.loads(await response.read()))
        except (anthropic.APIError, httpx2.HTTPError, ValueError, LookupError, TypeError) as error:
            raise failure_of(error, self.entry, self.key) from None

    async def close(self) -> None:
        """See `Provider.close`."""
        await self.client.close()


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
