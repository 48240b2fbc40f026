"""How well the limiter finds out what a server allows, on a clock that jumps to the next moment."""

import asyncio
import math
from collections import deque
from dataclasses import dataclass, field

import pytest

from habits.llm.pacing import Limiter, Waits


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes as soon as there is nothing else to do."""

    now = 0.0

    def time(self) -> float:
        return self.now

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]
            self.now = max(self.now, self._scheduled[0].when())  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]


@dataclass
class Bucket:
    """A server with a token bucket; it says in whole seconds how long to wait."""

    rate: float
    burst: float
    latency: float
    refused: int = 0
    level: float = field(init=False)
    filled_at: float = 0.0

    def __post_init__(self) -> None:
        self.level = self.burst

    def turned_away(self, now: float) -> float | None:
        """Seconds to wait, or None: it is let in."""
        self.level = min(self.burst, self.level + (now - self.filled_at) * self.rate)
        self.filled_at = now
        if self.level >= 1:
            self.level -= 1
            return None
        self.refused += 1
        return float(math.ceil((1 - self.level) / self.rate))

    def allowed(self, seconds: float) -> float:
        """Requests that it would have let in."""
        return self.burst + self.rate * seconds


@dataclass
class Minute(Bucket):
    """One that counts by the minute, and has all of it at once."""

    def turned_away(self, now: float) -> float | None:
        if now // 60 > self.filled_at // 60:
            self.level, self.filled_at = self.burst, now
        if self.level >= 1:
            self.level -= 1
            return None
        self.refused += 1
        return float(math.ceil(60 - now % 60))

    def allowed(self, seconds: float) -> float:
        return self.burst * (1 + seconds // 60)


@dataclass
class Outage(Bucket):
    """One that takes nothing in the first five minutes."""

    def turned_away(self, now: float) -> float | None:
        if now >= 300:
            return super().turned_away(now)
        self.refused += 1
        return 1.0


async def ask(server: Bucket, requests: int, most: int) -> float:
    """Seconds until all requests are answered, asked as `ask_each` does."""
    loop, limiter, todo = asyncio.get_running_loop(), Limiter(most, Waits()), deque(range(requests))

    async def work() -> None:
        while todo:
            todo.popleft()
            while (asked := await send()) is not None:
                await asyncio.sleep(asked)

    async def send() -> float | None:
        await limiter.enter()
        await asyncio.sleep(server.latency / 2)
        asked = server.turned_away(loop.time())
        await asyncio.sleep(server.latency / 2)
        limiter.answer() if asked is None else limiter.too_many(asked)
        limiter.leave()
        return asked

    await asyncio.gather(*(work() for _ in range(most)))
    return loop.time()


SERVERS = {
    "that of benchmarks/llm_throughput.py": (Bucket(100, 50, 0.05), 1500, 64),
    "hardly a burst": (Bucket(100, 5, 0.05), 1500, 64),
    "a large burst": (Bucket(100, 1000, 0.05), 5000, 64),
    "fast": (Bucket(1000, 100, 0.02), 15000, 64),
    "50 requests a minute": (Bucket(50 / 60, 50, 3.0), 400, 32),
    "4000 requests a minute": (Bucket(4000 / 60, 400, 1.0), 10000, 512),
    "600 in each minute of the clock": (Minute(10, 600, 1.0), 3000, 32),
}


@pytest.mark.parametrize("name", SERVERS)
def test_nine_tenths_of_what_the_server_allows_are_used(name: str) -> None:
    server, requests, most = SERVERS[name]
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        seconds = runner.run(ask(server, requests, most))
    assert requests / server.allowed(seconds) >= 0.9
    assert server.refused < 0.3 * requests


def test_it_soon_finds_its_speed_again_after_a_server_that_took_nothing() -> None:
    server = Outage(200, 200, 0.1)
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        seconds = runner.run(ask(server, 10000, 64))
    assert 300 < seconds < 300 + 10000 / 200 + 90
    assert server.refused < 500
