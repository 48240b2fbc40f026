"""One batch, from the intent to its replies: sent once, waited for, collected."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from habits.llm.intents import Intent, known_batches
from habits.llm.prices import worst_case
from habits.llm.providers import (
    REJECTED_IN_A_ROW,
    BatchItem,
    BatchState,
    ProviderError,
    RejectedError,
    ServerError,
)
from habits.llm.requests import Request
from habits.llm.session import Session
from habits.llm.store import Record
from habits.progress import clock

DOWNLOADS = 3
CLOCK_SKEW = 600.0  # seconds that the vendor's clock may differ from ours
STORE_EVERY = 200
TOLD_EVERY = 300.0  # seconds
T = TypeVar("T")


@dataclass
class Batch:
    """One batch that this process works on."""

    session: Session
    intent: Intent

    async def run(self) -> list[BatchItem]:
        """Send it unless it was sent, wait for it, store its replies.

        Returns:
            the results without a reply.

        Raises:
            BudgetError, ProviderError: the intent stays written down if the vendor may have the batch.
        """
        if self.intent.batch is None:
            await self._send()
            self._say(f"{len(self.intent.requests)} requests sent")
        else:
            self._say(f"{len(self.intent.requests)} requests, picked up again")
        state = await self._end(self.intent.batch or "")
        failed = await self._collect()
        self._say(f"{len(self.intent.requests) - len(failed)} replies, ${self.session.spent:.4f} so far")
        if state.failure:
            give_back(self.session, self.intent)
            self.intent.remove()
            raise ProviderError(
                f"{self.session.name}: batch {self.intent.batch}: {state.failure}. Its replies are stored; "
                "the next run asks for the rest, or, with llm.batch: false, one by one"
            )
        self.intent.remove()
        if len(failed) == len(self.intent.requests) >= REJECTED_IN_A_ROW and not any(i.again for i in failed):
            raise ProviderError(
                f"{self.session.name}: {failed[0].reason} (and so were all {len(failed)} requests of batch "
                f"{self.intent.batch}, nothing answered)"
            )
        return failed

    async def _send(self) -> None:
        """Get the batch to the vendor once, whatever became of earlier attempts."""
        intent, failures, started = self.intent, 0, time.monotonic()
        while intent.posted_at is None or not await self._was_found():
            if not reserve(self.session, intent):
                costs = _costs(self.session, intent)
                raise self.session.ledger.refusal(self.session.rule, len(costs), sum(costs.values()))
            intent.note(posted_at=time.time())
            try:
                batch = await self.session.provider.submit(intent.name, intent.requests)
            except RejectedError as error:
                give_back(self.session, intent)
                intent.remove()
                raise ProviderError(f"{self.session.name}: {error}") from None
            except ProviderError:
                intent.note(posted_at=None)
                raise
            except ServerError as error:
                if error.status == 429 or (error.status is None and not error.maybe_billed):
                    intent.note(posted_at=None)  # It certainly did not arrive.
                failures += 1
                await _wait(self.session, error, failures, started)
            else:
                intent.note(posted_at=intent.posted_at, batch=batch)
                return

    async def has_ended(self) -> bool:
        """Whether a batch that nobody waits for can be collected now; one that never arrived is forgotten."""
        last = not self._may_turn_up()
        if self.intent.batch is None and not await self._find(patiently=False):
            if last:
                give_back(self.session, self.intent)
                self.intent.remove()
            return False
        batch = self.intent.batch or ""
        return (await persist(self.session, lambda: self.session.provider.look(batch))).ended

    async def _was_found(self) -> bool:
        """Look for a batch that was sent and whose id never came back, until it cannot turn up any more."""
        while True:
            last = not self._may_turn_up()  # Before looking: so one look comes after that moment.
            if await self._find(patiently=True):
                return True
            if last:
                return False
            await asyncio.sleep(self.session.waits.poll)

    def _may_turn_up(self) -> bool:
        return time.time() < (self.intent.posted_at or 0.0) + self.session.waits.lost_batch

    async def _find(self, patiently: bool) -> bool:
        """Look for the batch among the vendor's; patiently: wait for results where only they can tell."""
        intent, provider = self.intent, self.session.provider
        since, size = intent.created_at - CLOCK_SKEW, len(intent.requests)
        for batch in await persist(self.session, lambda: provider.find(intent.name, since, size)):
            if batch in known_batches(intent.path.parent):
                continue
            if provider.names_batches or await self._is_ours(batch, patiently):
                intent.note(posted_at=intent.posted_at, batch=batch)
                return True
        return False

    async def _is_ours(self, batch: str, patiently: bool) -> bool:
        """Whether a batch's results answer our requests."""
        if patiently:
            self._say(f"sent by a run that ended before it knew the id; waiting to see whether it is {batch}")
            await self._end(batch)
        elif not (await persist(self.session, lambda: self.session.provider.look(batch))).ended:
            return False
        keys = {request.key for request in self.intent.requests}

        async def first_is_ours() -> bool:
            async for item in self.session.provider.results(batch):
                return item.name in keys
            return False

        return await persist(self.session, first_is_ours)

    async def _end(self, batch: str) -> BatchState:
        told = time.monotonic()
        while True:
            state = await persist(self.session, lambda: self.session.provider.look(batch))
            if state.ended:
                return state
            if time.monotonic() - told > TOLD_EVERY:
                told = time.monotonic()
                age = clock(time.time() - self.intent.created_at)
                self._say(f"{state.done}/{len(self.intent.requests)} done after {age}")
            await asyncio.sleep(self.session.waits.poll)

    async def _collect(self) -> list[BatchItem]:
        """Store all replies of the ended batch; an incomplete download begins again."""
        keys = {request.key: request for request in self.intent.requests}
        results: dict[str, BatchItem] = {}
        strange = 0
        for _ in range(DOWNLOADS):
            strange = await persist(self.session, lambda: self._download(keys, results))
            if len(results) == len(keys):
                break
        if strange:
            self._say(f"{strange} results with unknown or repeated ids left out")
        failed = [item for item in results.values() if item.reply is None]
        missing = keys.keys() - results.keys()
        self.session.ledger.release(self.intent.payment(item.name) for item in failed)
        self.session.ledger.lose(self.intent.payment(key) for key in missing)  # Perhaps they were billed.
        return failed + [BatchItem(key, None, "its batch holds no result for it", True) for key in missing]

    async def _download(self, keys: dict[str, Request], results: dict[str, BatchItem]) -> int:
        """Go through the results once and store what is new; returns how many were strange."""
        seen: set[str] = set()
        fresh: list[Record] = []
        strange = 0
        try:
            async for item in self.session.provider.results(self.intent.batch or ""):
                strange += item.name not in keys or item.name in seen
                seen.add(item.name)
                known = results.get(item.name)
                if item.name not in keys or (known is not None and (known.reply or not item.reply)):
                    continue
                results[item.name] = item
                fresh += self._records(keys[item.name], item)
                if len(fresh) >= STORE_EVERY:
                    self.session.keep(fresh)
                    fresh = []
        finally:
            self.session.keep(fresh)
        return strange

    def _records(self, request: Request, item: BatchItem) -> list[Record]:
        """The reply as it is stored; none if a run that was killed has stored it."""
        payment = self.intent.payment(request.key)
        if item.reply is None or self.session.store.payment(request.key) == payment:
            return []
        return [self.session.record(request, item.reply, payment, batch=True, rule=self.intent.rule)]

    def _say(self, words: str) -> None:
        name = self.intent.batch or "without id"
        print(f"[{self.session.name}] batch {name}: {words}", file=sys.stderr, flush=True)


def reserve(session: Session, intent: Intent) -> bool:
    """Reserve the most that a batch can cost; a reservation of an earlier attempt is taken over."""
    return session.ledger.reserve(_costs(session, intent).items())


def give_back(session: Session, intent: Intent) -> None:
    """Give back what is reserved for a batch and was not paid."""
    session.ledger.release(_costs(session, intent))


def _costs(session: Session, intent: Intent) -> dict[str, float]:
    """Payment -> the most that it can be."""
    price = session.entry.price
    return {intent.payment(r.key): worst_case(price, r, batch=True) for r in intent.requests}


async def persist(session: Session, call: Callable[[], Awaitable[T]]) -> T:
    """The result of a call that costs nothing, tried until it works.

    Raises:
        ProviderError: it has not worked for as long as anybody should wait.
    """
    failures, started = 0, time.monotonic()
    while True:
        try:
            return await call()
        except ServerError as error:
            failures += 1
            await _wait(session, error, failures, started)
        except RejectedError as error:
            raise ProviderError(f"{session.name}: {error}; the batch stays written down") from None


async def _wait(session: Session, error: ServerError, failures: int, started: float) -> None:
    if time.monotonic() - started > session.waits.patience:
        raise ProviderError(f"{error}; the batch stays written down, run it again later") from None
    await asyncio.sleep(session.waits.after(failures, error.retry_after))
