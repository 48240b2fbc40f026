"""What one call of `ask` works with: the vendor, the store, the ledger, and what is told of its progress."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from habits.llm.ledger import Ledger
from habits.llm.pacing import Waits
from habits.llm.prices import cost
from habits.llm.providers import Provider
from habits.llm.requests import Reply, Request
from habits.llm.store import Record, ReplyStore
from habits.params import LlmModel


@dataclass
class Session:
    """One call of `ask`.

    Attributes:
        name: rule and model, in messages.
        spent: dollars of replies stored by this call.
        stored: how many those are.
    """

    name: str
    rule: str
    entry: LlmModel
    provider: Provider
    store: ReplyStore
    ledger: Ledger
    waits: Waits
    spent: float = 0.0
    stored: int = 0
    _queue: list[tuple[Record, asyncio.Future[None]]] = field(default_factory=list)
    _writer: asyncio.Task[None] | None = None

    def record(self, request: Request, reply: Reply, payment: str, batch: bool, rule: str) -> Record:
        """A reply, paid for now, with what it cost."""
        usd = cost(self.entry.price, reply.usage, batch)
        return Record(request, reply, payment, time.time(), rule, usd, batch)

    def keep(self, records: Iterable[Record]) -> None:
        """Store replies and settle their payments."""
        records = list(records)
        if not records:
            return
        self.store.add(records)
        self._settle(records)

    async def keep_soon(self, record: Record) -> None:
        """Store a reply and settle its payment; those that arrive meanwhile share one wait for the disk."""
        done = asyncio.get_running_loop().create_future()
        self._queue.append((record, done))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())
        await done

    async def _write(self) -> None:
        while self._queue:
            batch, self._queue = self._queue, []
            records = [record for record, _ in batch]
            try:
                await asyncio.to_thread(self.store.add, records)
                self._settle(records)
            except Exception as error:
                for _, done in batch:
                    done.set_exception(error)
            else:
                for _, done in batch:
                    done.set_result(None)
        self._writer = None

    def _settle(self, records: list[Record]) -> None:
        self.ledger.settle((record.payment, record.usd) for record in records)
        self.spent += sum(record.usd for record in records)
        self.stored += len(records)
