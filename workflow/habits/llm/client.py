"""The one function that steps call to ask a language model: `ask`.

Reads and writes the response store (``data/replies``); keeps the ledger and batches under way in
``scratch/llm``.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from habits.llm.batches import ask_in_batches
from habits.llm.ledger import Ledger
from habits.llm.pacing import Waits
from habits.llm.providers import connect
from habits.llm.requests import Answer, Request
from habits.llm.segments import workspace
from habits.llm.session import Session
from habits.llm.singles import ask_each
from habits.llm.store import ReplyStore
from habits.params import Llm

SCRATCH = Path("scratch/llm")


class MissingReplyError(RuntimeError):
    """Replay needs a reply that is not stored; the message names it."""


def ask(
    llm: Llm,
    model: str,
    requests: Sequence[Request],
    *,
    rule: str,
    replies: Path | None = None,
    scratch: Path | None = None,
    waits: Waits | None = None,
) -> list[Answer]:
    """The answers to ``requests``, in their order. What is stored already is not asked again.

    Args:
        llm: the settings.
        model: name in ``llm.models`` of the model that all requests are for.
        requests: made by `Request.to` with the same model; equal ones are asked once.
        rule: who asks, in messages and in the table of costs.
        replies: the response store; default: ``data/replies`` of this workspace.
        scratch: what is under way; default: ``scratch/llm`` of this workspace.
        waits: other waiting times than usual, for tests.

    Raises:
        MissingReplyError: ``llm.mode`` is replay and a reply is not stored.
        BudgetError: the budget does not cover what is missing; replies so far are stored.
        ProviderError: the server refuses to serve (no key, retired model, ...); replies so far are stored.
        StoreError, LedgerError, IntentError: a file is damaged.
    """
    with ReplyStore(replies) as store:
        missing = list({r.key: r for r in requests if r.key not in store}.values())
        failed: dict[str, str] = {}
        if missing and llm.mode == "replay":
            raise _missing_replies(llm, model, requests, missing, rule, store.folder)
        if missing:
            scratch = scratch or workspace() / SCRATCH
            failed = asyncio.run(_fetch(llm, model, missing, rule, store, scratch, waits or Waits()))
        stored = store.get(request.key for request in requests)
    return [
        Answer.of(request, stored[request.key])
        if request.key in stored
        else Answer(request, "error", None, failed[request.key])
        for request in requests
    ]


async def _fetch(
    llm: Llm, model: str, missing: list[Request], rule: str, store: ReplyStore, scratch: Path, waits: Waits
) -> dict[str, str]:
    """Ask for what is missing and store it; key -> reason of what failed."""
    entry = llm.models[model]
    provider = connect(entry)
    ledger = Ledger(scratch / "ledger.sqlite", llm.budget_usd, store.payments())
    session = Session(f"{rule} {model}", rule, entry, provider, store, ledger, waits)
    try:
        if llm.batch and entry.batches:
            return await ask_in_batches(session, missing, scratch / "batches")
        return await ask_each(session, missing, llm.max_in_flight)
    finally:
        if lost := ledger.balance().lost:
            print(
                f"[{session.name}] requests that were cut off may have cost ${lost:.4f} more", file=sys.stderr
            )
        ledger.close()
        await provider.close()


def _missing_replies(
    llm: Llm, model: str, requests: Sequence[Request], missing: list[Request], rule: str, replies: Path
) -> MissingReplyError:
    return MissingReplyError(
        f"{rule}: llm.mode is replay, and {len(missing)} of {len(requests)} replies of {model} "
        f"({llm.models[model].model}) are not in {replies}; the first one missing is {missing[0].key}. "
        f"`dvc pull {replies}` brings recorded ones; llm.mode: live asks for new ones"
    )
