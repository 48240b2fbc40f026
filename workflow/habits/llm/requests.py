"""What is asked of a language model and what comes back, independent of the vendor.

A request's key names its reply for ever: it covers the provider, the model and all that is asked, but
not where the server is or what it costs, so that a reply replays anywhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Literal

from habits.params import Llm, ParamsError

Status = Literal["ok", "refused", "error"]


@dataclass(frozen=True)
class Request:
    """One request: a system block, a message of the user, and how to answer.

    Attributes:
        provider: the API, ``anthropic`` or ``openai``.
        model: the vendor's name of the model.
        user: the user's message.
        max_tokens: longest answer; a longer one is cut off (stop reason ``max_tokens``).
        system: instructions; what stays the same over many requests, as vendors cache it.
        temperature: of sampling; None leaves it to the vendor (newer models take no other).
        schema: JSON schema that the answer must fit, as canonical JSON; None: free text.
        options: further fields of the request as the API names them, as canonical JSON.
        sample: number that tells repetitions of one request apart.
    """

    provider: str
    model: str
    user: str
    max_tokens: int
    system: str = ""
    temperature: float | None = None
    schema: str | None = None
    options: str = "{}"
    sample: int = 0

    @classmethod
    def to(
        cls,
        llm: Llm,
        name: str,
        *,
        user: str,
        max_tokens: int,
        system: str = "",
        temperature: float | None = None,
        schema: Mapping[str, Any] | None = None,
        sample: int = 0,
    ) -> Request:
        """A request to the model ``name`` of ``llm.models``.

        Raises:
            ParamsError: there is no such model.
        """
        if name not in llm.models:
            raise ParamsError(f"{name!r} is not in llm.models; choose {', '.join(llm.models)}")
        entry = llm.models[name]
        return cls(
            provider=entry.provider,
            model=entry.model,
            user=user,
            max_tokens=max_tokens,
            system=system,
            temperature=None if temperature is None else float(temperature),
            schema=None if schema is None else canonical(schema),
            options=canonical(entry.options),
            sample=sample,
        )

    @cached_property
    def key(self) -> str:
        """SHA-256 (64 hex digits) of the request."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        """The request as canonical JSON. What has its default is left out: a new field keeps old keys."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return canonical({f.name: values[f.name] for f in fields(self) if values[f.name] != f.default})

    @classmethod
    def from_json(cls, text: str) -> Request:
        """The request that `to_json` wrote."""
        return cls(**json.loads(text))


@dataclass(frozen=True)
class Usage:
    """Tokens that were billed; the three kinds of input do not overlap."""

    input: int = 0
    cached_input: int = 0
    cache_write: int = 0
    output: int = 0


@dataclass(frozen=True)
class Reply:
    """What a model answered.

    Attributes:
        text: the answer; of a refusal, its words.
        stop_reason: ``end_turn``, ``max_tokens``, ``refusal``, or another word of the vendor.
        usage: tokens that were billed.
        request_id: the vendor's name of this reply.
        model: the model as the server named it.
    """

    text: str
    stop_reason: str
    usage: Usage
    request_id: str
    model: str

    def to_json(self) -> str:
        """The reply as canonical JSON."""
        return canonical({**vars(self), "usage": vars(self.usage)})

    @classmethod
    def from_json(cls, text: str) -> Reply:
        """The reply that `to_json` wrote."""
        values = json.loads(text)
        return cls(**{**values, "usage": Usage(**values["usage"])})


@dataclass(frozen=True)
class Answer:
    """What became of a request.

    Attributes:
        request: what was asked.
        status: ``ok``: there is a reply (complete or cut off: see its stop reason); ``refused``: the model
            or its vendor declined; ``error``: no reply after all attempts.
        reply: None exactly when the status is ``error``.
        reason: why the request failed; empty unless the status is ``error``.
    """

    request: Request
    status: Status
    reply: Reply | None
    reason: str = ""

    @classmethod
    def of(cls, request: Request, reply: Reply) -> Answer:
        """The answer that a reply gives."""
        return cls(request, "refused" if reply.stop_reason == "refusal" else "ok", reply)


def canonical(value: Any) -> str:
    """JSON that is the same for equal values: sorted keys, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def printable(text: str) -> str:
    """Text as UTF-8 can hold it: half of a surrogate pair, which JSON lets through, becomes U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
