"""What the client needs of a vendor, and the ways in which a request can fail.

The vendors' own SDKs talk to the servers (``anthropic_messages``, ``openai_chat``); they are imported
when the first request is sent, so a step that asks nobody does not pay for them. Their retries are off.
"""

from __future__ import annotations

import email.utils
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from habits.llm.requests import Reply, Request, printable
from habits.params import LlmModel

TIMEOUT = 600.0  # seconds
REJECTED_IN_A_ROW = 20  # When nothing at all was answered, it is not the requests that differ.
# What "not found" means.
RETIRED = (
    "If the model is retired: `llm.mode: replay` takes what data/replies holds, and another model in its "
    "entry of llm.models asks everything anew"
)
LOST = "Its server does not know this batch: is this the key that it was sent with?"


class ProviderError(RuntimeError):
    """The vendor will not serve us however often we ask; the message says why and what to do."""


class ServerError(Exception):
    """The server could not answer now; the request may be sent again.

    Attributes:
        status: HTTP status; None when there was no whole answer (reset, timeout, truncated, not JSON).
        retry_after: seconds that the server asks to wait; None when it does not say.
        maybe_billed: the server may have done the work.
    """

    def __init__(
        self, message: str, status: int | None, retry_after: float | None, maybe_billed: bool
    ) -> None:
        super().__init__(message)
        self.status, self.retry_after, self.maybe_billed = status, retry_after, maybe_billed


class RejectedError(Exception):
    """The server will never answer this request (too long, not allowed); others may do well."""


@dataclass(frozen=True)
class BatchState:
    """How far a batch is.

    Attributes:
        done: requests with a result; some vendors tell at the end only.
        ended: nothing more will come.
        failure: why the vendor or somebody ended it as a whole; empty otherwise.
    """

    done: int
    ended: bool
    failure: str


@dataclass(frozen=True)
class BatchItem:
    """One result of a batch.

    Attributes:
        name: custom_id, as the server sent it.
        reply: None when the request failed.
        reason: why it failed.
        again: asking again may help.
    """

    name: str
    reply: Reply | None
    reason: str = ""
    again: bool = False


class Provider(Protocol):
    """A vendor's API. Besides what is said below, every call may raise ServerError or ProviderError.

    Attributes:
        names_batches: a batch carries our name for it, so `find` is certain.
        most_requests: largest batch.
        most_bytes: the same, in bytes of `line_of` as JSON.
    """

    names_batches: bool
    most_requests: int
    most_bytes: int

    async def ask(self, request: Request) -> Reply:
        """The reply to one request. RejectedError: there will never be one."""
        ...

    async def count(self, request: Request) -> int:
        """Input tokens of a request by the vendor's own counter, which is free of charge."""
        ...

    async def submit(self, intent: str, requests: Sequence[Request]) -> str:
        """Start a batch and return its id. RejectedError: the server does not take it."""
        ...

    async def find(self, intent: str, since: float, size: int) -> list[str]:
        """Batches made after ``since`` that may be the one of ``intent``, oldest first."""
        ...

    async def look(self, batch: str) -> BatchState:
        """How far a batch is."""
        ...

    def results(self, batch: str) -> AsyncIterator[BatchItem]:
        """The results of an ended batch, in any order; lines that cannot be read are left out."""
        ...

    def line_of(self, request: Request) -> dict[str, Any]:
        """A request as it stands in a batch; its custom_id is its key."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


def connect(entry: LlmModel) -> Provider:
    """A connection to the server of an entry of ``llm.models``."""
    if entry.provider == "anthropic":
        from habits.llm.anthropic_messages import AnthropicMessages

        return AnthropicMessages(entry)
    from habits.llm.openai_chat import OpenAIChat

    return OpenAIChat(entry)


def api_key(entry: LlmModel) -> str:
    """The key of an entry, from the environment; a word that is no key where none is needed.

    Raises:
        ProviderError: the variable is not set.
    """
    if entry.api_key_env is None:
        return "none"
    key = os.environ.get(entry.api_key_env, "").strip()
    if not key:
        raise ProviderError(
            f"{entry.api_key_env} is not set; {entry.model} needs a key. "
            "With `llm.mode: replay` stored replies are enough"
        )
    return key


async def items(chunks: AsyncIterator[bytes], read: Callable[[Any], BatchItem]) -> AsyncIterator[BatchItem]:
    """The results in a body with one a line; lines that cannot be read are left out."""
    rest = b""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if (item := _item(line, read)) is not None:
                yield item
    if (item := _item(rest, read)) is not None:
        yield item


def _item(line: bytes, read: Callable[[Any], BatchItem]) -> BatchItem | None:
    try:
        return read(json.loads(line))
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def failed_item(name: str, reason: str, again: bool) -> BatchItem:
    """The result of a request that failed inside a batch."""
    return BatchItem(name, None, printable(reason.strip())[:500], again)


def failure_of(error: Exception, entry: LlmModel, key: str, missing: str) -> Exception:
    """What an SDK's exception, or a body that cannot be read, means to the client.

    Args:
        key: taken out of the message, should the server have repeated it.
        missing: what it means if the server says that something does not exist.
    """
    status = getattr(error, "status_code", None)
    words = _words(error).replace(key, "***") if entry.api_key_env else _words(error)
    message = f"{entry.model}: {status or type(error).__name__}: {words[:500]}"
    if status in (401, 403) or _is_broke(error):
        return ProviderError(
            f"{message}; is {entry.api_key_env or 'llm.models.*.api_key_env'} a key with credit?"
        )
    if status == 404:
        return ProviderError(f"{message}. {missing}")
    if status is None or status in (408, 409, 429) or status >= 500:
        return ServerError(message, status, _retry_after(error), _maybe_billed(error, status))
    return RejectedError(message)


def _words(error: Exception) -> str:
    body: Any = getattr(error, "body", None)
    inner = body.get("error", body) if isinstance(body, dict) else None
    words = inner.get("message") if isinstance(inner, dict) else None
    return printable(str(words or error or "no whole answer"))


def _is_broke(error: Exception) -> bool:
    """No credit left: OpenAI says so by 429, where waiting is of no use."""
    return getattr(error, "status_code", None) == 402 or getattr(error, "code", None) == "insufficient_quota"


def _maybe_billed(error: Exception, status: int | None) -> bool:
    """Whether a failed request may have been worked on: not if it never arrived or was turned away."""
    import httpx2

    if status is not None:
        return status in (408, 502, 504)
    return not isinstance(error.__cause__ or error, httpx2.ConnectError | httpx2.ConnectTimeout)


def _retry_after(error: Exception) -> float | None:
    """Seconds that the server asks to wait, from either header that vendors use."""
    headers = getattr(getattr(error, "response", None), "headers", {})
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        value = headers.get(name, "")
        try:
            return max(0.0, float(value) / unit)
        except ValueError:
            date = email.utils.parsedate_tz(value)
            if date is not None:
                return max(email.utils.mktime_tz(date) - time.time(), 0.0)
    return None
