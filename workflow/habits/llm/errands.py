"""What a step of the workflow will ask a language model: for `habits plan`, before anything is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from habits.llm.requests import Request


@dataclass(frozen=True)
class Errand:
    """Requests that a step of the workflow will make.

    Attributes:
        rule: the rule that asks.
        subject: the set or run it asks for.
        model: name of the model in ``llm.models``.
        requests: all of them or, when ``calls`` is larger, examples of what cannot be written yet.
        calls: how many.
        reply_tokens: expected length of a reply, where none are stored.
    """

    rule: str
    subject: str
    model: str
    requests: Sequence[Request]
    calls: int
    reply_tokens: float
