"""How fast to ask: as many requests at once as the server bears, found by trying.

Concurrency grows while answers come, shrinks when the server says "too many" (429), and everything
waits when the server is in trouble (5xx). What the server asks to wait (Retry-After) is waited.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from dataclasses import dataclass

FIRST = 8  # requests at once before anything is known of the server
SHRINK = 0.8


@dataclass(frozen=True)
class Waits:
    """How long to wait, in seconds.

    Attributes:
        first: after a first failure; doubled with each further one.
        longest: after many failures.
        cooldown: after concurrency has shrunk, until it shrinks or grows again.
        patience: without a single answer, until the run gives up.
        stubborn: the same when nothing is left but requests that failed; those are given up.
        poll: between two looks at a batch.
        lost_batch: until a batch that was sent, and whose name never came back, counts as never arrived.
    """

    first: float = 1.0
    longest: float = 60.0
    cooldown: float = 5.0
    patience: float = 3600.0
    stubborn: float = 180.0
    poll: float = 15.0
    lost_batch: float = 120.0

    def after(self, failures: int) -> float:
        """Seconds to wait after so many failures in a row; random, so that processes do not march in step."""
        return float(min(self.longest, self.first * 2 ** min(failures - 1, 30)) * random.uniform(0.5, 1.0))


class Limiter:
    """Lets as many requests through at once as the server bears.

    Attributes:
        in_flight: requests that wait for an answer now.
        answered: answers so far.
    """

    def __init__(self, most: int, waits: Waits) -> None:
        self.most, self.waits = most, waits
        self.limit = float(min(FIRST, most))
        self.in_flight = self.answered = self.failures = 0
        self._grows_fast = True
        self._resume = self._calm = 0.0
        self._answered_at = _now()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    async def enter(self) -> None:
        """Wait for one's turn."""
        if self._waiting or not self._open():
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            self._wake()
            await turn
        else:
            self.in_flight += 1

    def leave(self) -> None:
        """Make room for the next one, after one of the words below about how it went."""
        self.in_flight -= 1
        self._wake()

    def answer(self) -> None:
        """A request was answered."""
        self.answered += 1
        self.failures = 0
        self._answered_at = _now()
        if self._answered_at >= self._calm:
            self.limit = min(self.most, self.limit + (1 if self._grows_fast else 1 / self.limit))

    def too_many(self, retry_after: float | None) -> None:
        """The server said 429."""
        now = _now()
        if now >= self._calm:
            self.limit = max(1.0, self.limit * SHRINK)
            self._calm = now + self.waits.cooldown
            self.failures += 1
        self._grows_fast = False
        self._pause(self.waits.after(self.failures) if retry_after is None else retry_after)

    def trouble(self, retry_after: float | None) -> None:
        """The server, or the way to it, failed."""
        if _now() >= self._resume:
            self.failures += 1
        self._pause(self.waits.after(self.failures) if retry_after is None else retry_after)

    @property
    def quiet(self) -> float:
        """Seconds since the last answer."""
        return _now() - self._answered_at

    @property
    def pause(self) -> float:
        """Seconds until the next request may be sent; 0 while requests are sent."""
        return max(0.0, self._resume - _now())

    def _open(self) -> bool:
        return self.in_flight < int(self.limit) and _now() >= self._resume

    def _pause(self, seconds: float) -> None:
        self._resume = max(self._resume, _now() + min(seconds, self.waits.patience))

    def _wake(self) -> None:
        while self._waiting and self._open():
            turn = self._waiting.popleft()
            if not turn.done():
                self.in_flight += 1
                turn.set_result(None)
        if self._waiting and self.pause and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self.pause, self._time_is_up)

    def _time_is_up(self) -> None:
        self._timer = None
        self._wake()


def _now() -> float:
    return asyncio.get_running_loop().time()
