"""OpenAI's chat completions, and every server that speaks them (vLLM, llama.cpp, ...), through the SDK."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import openai

from habits.llm.providers import api_key, failure_of
from habits.llm.requests import Reply, Request, Usage, printable
from habits.params import LlmModel

TIMEOUT = 600.0
STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "content_filter": "refusal"}


class OpenAIChat:
    """A connection to OpenAI's server, or one that speaks its API."""

    def __init__(self, entry: LlmModel) -> None:
        self.entry, self.key = entry, api_key(entry)
        self.client = openai.AsyncOpenAI(
            api_key=self.key, base_url=entry.base_url, max_retries=0, timeout=TIMEOUT
        )

    async def ask(self, request: Request) -> Reply:
        """See `Provider.ask`."""
        body = body_of(request, compatible=self.entry.base_url is not None)
        known = {"model", "messages"}
        extra = {name: body.pop(name) for name in set(body) - known}
        try:
            response = await self.client.chat.completions.with_raw_response.create(**body, extra_body=extra)
            return reply_of(json.loads(response.content))
        except (openai.APIError, httpx2.HTTPError, ValueError, LookupError, TypeError) as error:
            raise failure_of(error, self.entry, self.key) from None

    async def close(self) -> None:
        """See `Provider.close`."""
        await self.client.close()


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
        schema = {"name": "answer", "strict": True, "schema": json.loads(request.schema)}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    body.update(json.loads(request.options))
    return body


def reply_of(completion: Any) -> Reply:
    """A completion of the API as a reply; ValueError, LookupError or TypeError if it is not a whole one."""
    choice, usage = completion["choices"][0], completion["usage"]
    message, reason = choice["message"], choice["finish_reason"]
    if not isinstance(reason, str):
        raise ValueError("not a whole completion")
    details = usage.get("prompt_tokens_details") or {}
    cached = int(details.get("cached_tokens") or 0)
    written = int(details.get("cache_write_tokens") or 0)
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
