"""What `vendor_server` does wrong on demand."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Fault:
    """What happens to a request instead of a proper answer.

    Attributes:
        kind: status: turned away with ``status``; the rest after the work was done, thus billed: reset (the
            connection breaks inside the body), truncated (it closes before Content-Length is reached),
            garbled (no JSON), slow (the body takes ``seconds``); late_status: as status, but billed.
    """

    kind: str
    status: int = 529
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.5
    message: str = "fault on demand"
    code: str | None = None


@dataclass(frozen=True)
class BatchFaults:
    """What is wrong with the first ``batches`` batches; shares of their requests, drawn by custom_id.

    Attributes:
        lost_creations: the first so many creations are done, and then the connection breaks.
        cut_downloads: the first so many downloads of results break off half way.
        fails: the batch ends as a whole (OpenAI: failed; Anthropic: cancelled).
    """

    batches: int = 1
    expired: float = 0.0
    errored: float = 0.0
    rejected: float = 0.0
    missing: float = 0.0
    duplicate: float = 0.0
    unknown: int = 0
    garbled: float = 0.0
    lost_creations: int = 0
    cut_downloads: int = 0
    fails: bool = False


def some(share: float, fault: Fault, seed: int = 0) -> Callable[[int, str], Fault | None]:
    """A fault for a random share of requests."""
    return lambda number, path: fault if _draw(seed, number) < share and path != "look" else None


def first(count: int, fault: Fault) -> Callable[[int, str], Fault | None]:
    """A fault for the first requests."""
    return lambda number, path: fault if number <= count and path != "look" else None


def _draw(seed: int, number: int) -> float:
    return random.Random(f"{seed} {number}").random()
