"""How fast to ask: as many requests as the server bears, found by trying.

The number of requests in flight grows while answers come and shrinks when the server says "too many" (429).
From then on requests are also spread in time, a little slower than the server has answered and then slowly
faster again: most vendors limit requests a minute, which no number of requests in flight can fit exactly.

A refused request waits as long as the server asks (Retry-After). So do all others, but for the second that
whole seconds may be rounded up by: a limit of 100 requests a second bears the next one after 10 ms and says
"1". When the server is in trouble (5xx), everything waits in full.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections import deque
from dataclasses import dataclass

FIRST = 8  # requests at once before anything is known of the server
SHRINK = 0.8  # of the requests in flight, at a 429
SLOWER = 0.95  # than the server has answered, after a 429
SLOWEST = 0.5  # of what was sent, after one 429: answers may be few for another reason
LEAST = 0.1  # requests a second: after an outage, that long until it is noticed that it is over
FASTER = 0.05  # a second, as a share; doubles after each cooldown without a 429
WINDOW = 2.0  # seconds over which the server's speed is measured, if that holds
ENOUGH = 10  # answers
CATCH_UP = 0.3  # seconds of lateness that are made up for
ROUNDING = 1.0  # seconds


@dataclass(frozen=True)
class Waits:
    """How long to wait, in seconds.

    Attributes:
        first: after a first failure; doubled with each further one.
        longest: after many failures.
        cooldown: after it has slowed down for a 429, until another one counts.
        patience: without a single answer, until the run gives up.
        stubborn: the same when nothing is left but requests that failed; those are given up.
        poll: between two looks at a batch.
        lost_batch: until a batch that was sent, and whose name never came back, counts as never arrived.
    """

    first: float = 1.0
    longest: float = 60.0
    cooldown: float = 2.0
    patience: float = 3600.0
    stubborn: float = 180.0
    poll: float = 15.0
    lost_batch: float = 120.0

    def after(self, failures: int, asked: float | None = None) -> float:
        """Seconds to wait after so many failures in a row: what the server asked, or longer each time.

        At random in the second case, so that processes do not march in step.
        """
        if asked is not None:
            return min(asked, self.patience)
        return float(min(self.longest, self.first * 2 ** min(failures - 1, 30)) * random.uniform(0.5, 1.0))


class Limiter:
    """Lets as many requests through as the server bears.

    Attributes:
        in_flight: requests that wait for an answer now.
        answered: answers so far.
        limit: requests in flight at most, for now.
        rate: requests a second at most, for now.
    """

    def __init__(self, most: int, waits: Waits) -> None:
        self.most, self.waits = most, waits
        self.limit, self.rate = float(min(FIRST, most)), math.inf
        self.in_flight = self.answered = self._troubles = self._sent = 0
        self._growth = FASTER
        self._resume = self._calm = self._next = 0.0
        self._answered_at = self._since = _now()
        self._answers: deque[float] = deque()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    async def enter(self) -> None:
        """Wait for one's turn."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._wake()
        await turn

    def leave(self) -> None:
        """Make room for the next one, after one of the words below about how it went."""
        self.in_flight -= 1
        self._wake()

    def answer(self) -> None:
        """A request was answered."""
        now, last = _now(), self._answered_at
        self.answered, self._troubles, self._answered_at = self.answered + 1, 0, now
        self._answers.append(now)
        while len(self._answers) > ENOUGH and self._answers[0] < now - WINDOW:
            self._answers.popleft()
        if now < self._calm:
            return
        self.limit = min(self.most, self.limit + 1)
        self.rate *= 1 + self._growth * min(now - last, 1.0)
        if now >= self._calm + self.waits.cooldown:
            self._growth, self._calm = min(2 * self._growth, 1.0), now

    def too_many(self, retry_after: float | None) -> None:
        """The server said 429."""
        now = _now()
        if now >= max(self._calm, self._resume):  # Else it was sent before it could know.
            self.limit = max(1.0, self.limit * SHRINK)
            self._slow_down(now)
            self._growth, self._calm = FASTER, now + self.waits.cooldown
        self._pause((retry_after or 0.0) - ROUNDING)

    def _slow_down(self, now: float) -> None:
        """Ask a little slower than the server has answered lately, but not much slower than until now."""
        if not self._sent:
            return
        elapsed = now - self._since
        sent = min(self.rate, self._sent / elapsed)
        window = max(WINDOW, now - self._answers[0]) if self._answers else WINDOW
        answered = len(self._answers) / min(window, elapsed)
        self.rate = max(min(max(SLOWER * answered, SLOWEST * sent), sent), LEAST)
        self._measure_from(now)

    def _measure_from(self, when: float) -> None:
        self._since, self._sent = when, 0
        self._answers.clear()

    def trouble(self, retry_after: float | None) -> None:
        """The server failed (5xx)."""
        if not self.pause:
            self._troubles += 1
        self._pause(self.waits.after(self._troubles, retry_after))

    @property
    def quiet(self) -> float:
        """Seconds since the last answer."""
        return _now() - self._answered_at

    @property
    def pause(self) -> float:
        """Seconds until the next request may be sent, whatever the rate."""
        return max(0.0, self._resume - _now())

    def _pause(self, seconds: float) -> None:
        if seconds > self.pause:
            self._resume = _now() + min(seconds, self.waits.patience)
            self._measure_from(self._resume)

    def _wake(self) -> None:
        now = _now()
        start = max(self._resume, self._next)
        while self._waiting and self.in_flight < int(self.limit) and now >= start:
            turn = self._waiting.popleft()
            if turn.done():
                continue
            turn.set_result(None)
            self.in_flight += 1
            self._sent += 1
            self._next = start = max(self._next, now - CATCH_UP) + 1 / self.rate
        if self._waiting and now < start and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(start - now, self._time_is_up)

    def _time_is_up(self) -> None:
        self._timer = None
        self._wake()


def _now() -> float:
    return asyncio.get_running_loop().time()
