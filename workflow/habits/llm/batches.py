"""Requests through a vendor's batch API: `ask_in_batches`.

What was sent is known on disk at every moment (``intents``), so a run that is killed, however and
whenever, picks its batch up again; nothing is sent twice unless the vendor certainly does not have it.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from habits.llm.batch import Batch, give_back, reserve
from habits.llm.intents import Intent, alone, survey, write_intent
from habits.llm.prices import worst_case
from habits.llm.requests import Request
from habits.llm.session import Session

TRIES = 3
AT_LEAST = 0.5  # Share of what is missing that a batch must hold: a batch may take a day.


async def ask_in_batches(session: Session, requests: Sequence[Request], folder: Path) -> dict[str, str]:
    """Ask every request in batches and store the replies.

    Args:
        folder: where batches under way are written down.

    Returns:
        key -> reason of those that failed for good.

    Raises:
        BudgetError, ProviderError: what was sent stays written down and is picked up by the next run.
    """
    todo = {request.key: request for request in requests}
    tries: Counter[str] = Counter()
    failed: dict[str, str] = {}
    while todo:
        batches = await _claim(session, todo, folder)
        for items in await asyncio.gather(*(Batch(session, intent).run() for intent in batches)):
            for item in items:
                tries[item.name] += 1
                if not item.again or tries[item.name] == TRIES:
                    failed[item.name] = item.reason
        if not batches:
            await asyncio.sleep(session.waits.poll)  # Another process asks for the same.
        session.store.refresh()
        todo = {key: r for key, r in todo.items() if key not in session.store and key not in failed}
    return failed


async def _claim(session: Session, todo: dict[str, Request], folder: Path) -> list[Intent]:
    """Batches for this process: those that others left, and new ones for what is in none."""
    with alone(folder):
        found = survey(folder, session.entry)
        session.store.refresh()
        sent = [intent for intent in found.left if intent.posted_at is not None]
        for intent in found.left:
            if intent not in sent:
                give_back(session, intent)
                intent.remove()
        wanted = [intent for intent in sent if any(r.key in todo for r in intent.requests)]
        under_way = found.busy | {request.key for intent in wanted for request in intent.requests}
        rest = [r for key, r in todo.items() if key not in under_way and key not in session.store]
        fresh = _write_intents(session, folder, rest, bool(under_way))
    ended = []
    for intent in sent:  # Settings have changed since some were sent; they were paid for all the same.
        if intent in wanted or await Batch(session, intent).has_ended():
            ended.append(intent)
        else:
            intent.lock.close()
    return [*ended, *fresh]


def _write_intents(session: Session, folder: Path, requests: list[Request], under_way: bool) -> list[Intent]:
    """New batches for as many requests as the budget covers, on disk and reserved."""
    intents: list[Intent] = []
    while requests and (part := _affordable(session, requests, under_way or bool(intents))):
        intent = write_intent(folder, session.entry, session.rule, part)
        if not reserve(session, intent):
            intent.remove()
            break
        intents.append(intent)
        requests = requests[len(part) :]
    return intents


def _affordable(session: Session, requests: list[Request], under_way: bool) -> list[Request]:
    """As many of the first requests as the budget and the vendor's limits let into one batch."""
    provider, price = session.provider, session.entry.price
    costs = [worst_case(price, request, batch=True) for request in requests]
    room, size = session.ledger.balance().room, 0
    for number, (request, usd) in enumerate(zip(requests, costs, strict=True)):
        room -= usd
        size += len(json.dumps(provider.line_of(request))) + 2
        if room < 0 and number < AT_LEAST * len(requests):
            if under_way:
                return []  # What is under way will cost less than it has reserved.
            raise session.ledger.refusal(session.rule, len(requests), sum(costs))
        if room < 0 or number == provider.most_requests or (size > provider.most_bytes and number):
            return requests[:number]
    return requests
