"""What the client needs of a vendor, and the ways in which a request can fail.

The vendors' own SDKs talk to the servers (``anthropic_messages``, ``openai_chat``); they are imported
when the first request is sent, so a step that asks nobody does not pay for them. Their retries are off.
"""

from __future__ import annotations

import email.utils
import os
import time
from typing import Any, Protocol

from habits.llm.requests import Reply, Request
from habits.params import LlmModel


class ProviderError(RuntimeError):
    """The vendor will not serve us however often we ask; the message says why and what to do."""


class ServerError(Exception):
    """The server could not answer now; the request may be sent again.

    Attributes:
        status: HTTP status; None when there was no whole answer (reset, timeout, truncated, not JSON).
        retry_after: seconds that the server asks to wait; None when it does not say.
    """

    def __init__(self, message: str, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status, self.retry_after = status, retry_after


class RejectedError(Exception):
    """The server will never answer this request (too long, not allowed); others may do well."""


class Provider(Protocol):
    """A vendor's API."""

    async def ask(self, request: Request) -> Reply:
        """The reply to one request.

        Raises:
            ServerError, RejectedError, ProviderError: there is none.
        """
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


def failure_of(error: Exception, entry: LlmModel, key: str) -> Exception:
    """What an SDK's exception, or a body that cannot be read, means to the client.

    Args:
        key: taken out of the message, should the server have repeated it.
    """
    status = getattr(error, "status_code", None)
    message = f"{entry.model}: {status or type(error).__name__}: {_words(error)}".replace(key, "***")
    if status in (401, 403) or _is_broke(error):
        return ProviderError(
            f"{message}; is {entry.api_key_env or 'llm.models.*.api_key_env'} a key with credit?"
        )
    if status == 404:
        return ProviderError(
            f"{message}. If the model is retired: `llm.mode: replay` takes what data/replies holds, and "
            "another model in its entry of llm.models asks everything anew"
        )
    if status is None or status in (408, 409, 429) or status >= 500:
        return ServerError(message, status, _retry_after(error))
    return RejectedError(message)


def _words(error: Exception) -> str:
    body: Any = getattr(error, "body", None)
    inner = body.get("error", body) if isinstance(body, dict) else None
    words = inner.get("message") if isinstance(inner, dict) else None
    return str(words or error or "no whole answer")[:500]


def _is_broke(error: Exception) -> bool:
    """No credit left: OpenAI says so by 429, where waiting is of no use."""
    return getattr(error, "status_code", None) == 402 or getattr(error, "code", None) == "insufficient_quota"


def _retry_after(error: Exception) -> float | None:
    """Seconds that the server asks to wait, from either header that vendors use."""
    headers = getattr(getattr(error, "response", None), "headers", {})
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        value = headers.get(name, "")
        try:
            return max(float(value) / unit, 0.0)
        except ValueError:
            date = email.utils.parsedate_tz(value)
            if date is not None:
                return max(email.utils.mktime_tz(date) - time.time(), 0.0)
    return None
