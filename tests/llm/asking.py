"""What the tests of API clients share: settings for the test server, requests, waiting times."""

from __future__ import annotations

import dataclasses
from typing import Any

from vendor_server import Prices, VendorServer

from habits.llm.pacing import Waits
from habits.llm.requests import Request
from habits.params import Llm

CANARY = "sk-canary-5f1e83b0a9d24c77"  # A key that must never be seen outside the server.
VENDORS = ("claude", "gpt")
QUICK = Waits(first=0.01, longest=0.1, cooldown=0.1, patience=20.0, stubborn=0.5, poll=0.02, lost_batch=0.3)
SYSTEM = "You solve puzzles. " * 20


def llm_for(server: VendorServer | str, **changes: Any) -> Llm:
    """Settings whose models claude, gpt (a vendor each) and local (no batches, no key) are at ``server``."""
    url = server if isinstance(server, str) else server.url
    prices = dataclasses.asdict(Prices() if isinstance(server, str) else server.prices)
    price = {"as_of": "2026-10-24", **prices}
    common = {"api_key_env": "CANARY_KEY", "batches": True, "price": price}
    models = {
        "claude": {"provider": "anthropic", "model": "claude-x-20260101", "base_url": url, **common},
        "gpt": {"provider": "openai", "model": "gpt-x-2026-01-01", "base_url": f"{url}/v1", **common},
    }
    models["local"] = {**models["gpt"], "api_key_env": None, "batches": False}
    settings = {"mode": "live", "budget_usd": 50.0, "batch": False, "max_in_flight": 16, "models": models}
    return Llm.model_validate(settings | changes)


def questions(llm: Llm, model: str, count: int, **fields: Any) -> list[Request]:
    """Different requests."""
    fields = {"system": SYSTEM, "max_tokens": 200} | fields
    return [Request.to(llm, model, user=f"question {n}: 3 7 25 -> {n}", **fields) for n in range(count)]
