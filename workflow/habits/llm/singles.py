"""Requests one by one, many at once: `ask_each`.

What fails for a while is asked again; what fails for good becomes a reason. A request that is in flight
when the process is killed may have been billed without its reply ever reaching us: its reservation stays.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from habits.llm.pacing import Limiter
from habits.llm.prices import worst_case
from habits.llm.providers import REJECTED_IN_A_ROW, ProviderError, RejectedError, ServerError
from habits.llm.requests import Reply, Request
from habits.llm.session import Session
from habits.progress import Progress

TRIES = 5


async def ask_each(session: Session, requests: Sequence[Request], most: int) -> dict[str, str]:
    """Ask every request and store the replies.

    Args:
        most: requests in flight at once.

    Returns:
        key -> reason of those that failed for good.

    Raises:
        BudgetError, ProviderError: no further request can be sent; those in flight were waited for.
    """
    run = _Run(session, deque(requests), Limiter(most, session.waits), {})
    progress = Progress(session.name, len(requests))
    ticker = asyncio.create_task(_tell(run, progress))
    try:
        await asyncio.gather(*(run.work() for _ in range(min(most, len(requests)))))
    finally:
        ticker.cancel()
        progress.update(run.done, **run.figures())
    if run.stopped is not None:
        raise run.stopped
    return run.failed


@dataclass
class _Run:
    """Workers that share a list of requests."""

    session: Session
    todo: deque[Request]
    limiter: Limiter
    failed: dict[str, str]
    stopped: Exception | None = None
    waiting: int = 0
    started: float = field(default_factory=time.monotonic)

    @property
    def done(self) -> int:
        return self.session.stored + len(self.failed)

    def figures(self) -> dict[str, float]:
        """What is told of the progress."""
        shown = {
            "usd": self.session.spent,
            "per_second": self.session.stored / (time.monotonic() - self.started),
            "in_flight": float(self.limiter.in_flight),
        }
        paused = {"waiting": float(self.waiting), "pause": self.limiter.pause}
        return shown | {name: figure for name, figure in paused.items() if figure}

    async def work(self) -> None:
        """Ask one request after the other, until there is none or somebody met an error that stops all."""
        while self.todo and self.stopped is None:
            request = self.todo.popleft()
            try:
                reason = await self._ask(request)
            except Exception as error:
                self.stopped = self.stopped or error
                return
            if reason is not None:
                self.failed[request.key] = reason

    async def _ask(self, request: Request) -> str | None:
        """Ask until there is a reply, and store it; or the reason why there is none."""
        failures, refusals, answered = 0, 0, -1
        while (payment := await self._turn(request)) is not None:
            try:
                reply = await self._send(request, payment)
            except RejectedError as error:
                self._check_rejections(error)
                return str(error)
            except ServerError as error:
                if error.status == 429:
                    refusals += 1
                    await self._wait(refusals, error.retry_after)
                    continue
                # A failure counts against a request only if others were answered meanwhile.
                failures += self.limiter.answered != answered
                answered = self.limiter.answered
                is_last = not self.todo and self.limiter.quiet > self.session.waits.stubborn
                if failures == TRIES or is_last:
                    return str(error)
                if error.status is None:
                    await self._wait(failures, None)
                continue
            await self.session.keep_soon(
                self.session.record(request, reply, payment, batch=False, rule=self.session.rule)
            )
            return None
        return None

    async def _wait(self, failures: int, asked: float | None) -> None:
        self.waiting += 1
        await asyncio.sleep(self.session.waits.after(failures, asked))
        self.waiting -= 1

    async def _turn(self, request: Request) -> str | None:
        """Wait until the request may be sent, and reserve the most that it can cost; None: all stop."""
        usd, payment = worst_case(self.session.entry.price, request, batch=False), uuid.uuid4().hex
        while True:
            await self.limiter.enter()
            hopeless = self.limiter.quiet > self.session.waits.patience
            may_send = self.stopped is None and not hopeless
            if may_send and self.session.ledger.reserve([(payment, usd)]):
                return payment
            self.limiter.leave()
            if self.stopped is not None:
                return None
            if hopeless:
                raise ProviderError(
                    f"{self.session.name}: no answer for {self.session.waits.patience:.0f} s; "
                    "replies so far are stored, run it again later"
                )
            if not self.limiter.in_flight:
                raise self.session.ledger.refusal(self.session.rule, 1, usd)
            await asyncio.sleep(0.05)  # What is in flight will cost less than it has reserved.

    async def _send(self, request: Request, payment: str) -> Reply:
        ledger = self.session.ledger
        try:
            reply = await self.session.provider.ask(request)
            self.limiter.answer()
            return reply
        except ServerError as error:
            (ledger.lose if error.maybe_billed else ledger.release)([payment])
            if error.status == 429:
                self.limiter.too_many(error.retry_after)
            elif error.status is not None:
                self.limiter.trouble(error.retry_after)
            raise
        except (RejectedError, ProviderError):
            ledger.release([payment])
            raise
        finally:
            self.limiter.leave()

    def _check_rejections(self, error: RejectedError) -> None:
        if not self.limiter.answered and len(self.failed) + 1 >= REJECTED_IN_A_ROW:
            raise ProviderError(f"{error} (and so were {len(self.failed)} other requests, nothing answered)")


async def _tell(run: _Run, progress: Progress) -> None:
    while True:
        await asyncio.sleep(1)
        progress.update(run.done, **run.figures())
