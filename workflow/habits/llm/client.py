"""The one function that steps call to ask a language model: `ask`.

Reads and writes the response store (``data/replies``); keeps what is under way in ``scratch/llm``.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

from habits.llm.prices import cost
from habits.llm.providers import RejectedError, ServerError, connect
from habits.llm.requests import Answer, Request
from habits.llm.store import REPLIES, Record, ReplyStore
from habits.params import Llm, LlmModel


class MissingReplyError(RuntimeError):
    """Replay needs a reply that is not stored; the message names it."""


def ask(
    llm: Llm,
    model: str,
    requests: Sequence[Request],
    *,
    rule: str,
    replies: Path = REPLIES,
) -> list[Answer]:
    """The answers to ``requests``, in their order. What is stored already is not asked again.

    Args:
        llm: the settings.
        model: name in ``llm.models`` of the model that all requests are for.
        requests: made by `Request.to` with the same model; equal ones are asked once.
        rule: who asks, in messages and in the table of costs.
        replies: the response store.

    Raises:
        MissingReplyError: ``llm.mode`` is replay and a reply is not stored.
        BudgetError: the budget does not cover what is missing.
        ProviderError: the server refuses to serve (no key, retired model, ...).
        StoreError: the store is damaged.
    """
    entry = llm.models[model]
    with ReplyStore(replies) as store:
        missing = {r.key: r for r in requests if r.key not in store}
        if missing and llm.mode == "replay":
            raise MissingReplyError(
                _missing_message(list(missing), len(requests), model, entry, rule, replies)
            )
        failed = asyncio.run(_ask_in_turn(entry, list(missing.values()), store, rule)) if missing else {}
        stored = store.get(r.key for r in requests)
        return [
            Answer.of(r, stored[r.key]) if r.key in stored else Answer(r, "error", None, failed[r.key])
            for r in requests
        ]


def _missing_message(
    keys: list[str], total: int, model: str, entry: LlmModel, rule: str, replies: Path
) -> str:
    return (
        f"{rule}: llm.mode is replay, and {len(keys)} of {total} replies of {model} ({entry.model}) are not "
        f"in {replies}; the first one missing is {keys[0]}. `dvc pull {replies}` brings the recorded ones; "
        "llm.mode: live asks for new ones"
    )


async def _ask_in_turn(
    entry: LlmModel, requests: list[Request], store: ReplyStore, rule: str
) -> dict[str, str]:
    provider, failed = connect(entry), {}
    try:
        for request in requests:
            try:
                reply = await provider.ask(request)
            except (RejectedError, ServerError) as error:
                failed[request.key] = str(error)
                continue
            usd = cost(entry.price, reply.usage, batch=False)
            store.add([Record(request, reply, uuid.uuid4().hex, time.time(), rule, usd, False)])
    finally:
        await provider.close()
    return failed
