"""Requests answered per second under a rate limit: `ask` against a plain client with a semaphore.

Run ``python benchmarks/llm_throughput.py``; writes benchmarks/results/llm_throughput.json and prints the
shares. Each measurement has a test server of its own (tests/llm/vendor_server.py, in another process): 50 ms
until an answer, a token bucket that refills at RATE a second and turns the rest away with 429. Share: answers
over what the bucket lets through until the last answer. The plain client is the vendor's SDK with its own
retries behind a semaphore; it neither stores replies nor keeps a ledger. It is measured with as many requests
at once as `ask` may have, and with about as many as the limit needs, which nobody knows beforehand.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import anthropic
import openai

from habits.llm.client import ask
from habits.llm.requests import Request
from habits.params import Llm

ROOT = Path(__file__).parents[1]
RESULT = Path(__file__).parent / "results" / "llm_throughput.json"
LATENCY, RATE, BURST = 0.05, 100.0, 50.0
REQUESTS, ROUNDS = 1500, 3
AT_ONCE = 64
ENOUGH = round(RATE * LATENCY) + 3
Sdk = anthropic.AsyncAnthropic | openai.AsyncOpenAI
SDK_RETRIES = 20  # With the two by default, most requests of the plain client fail.


@dataclass(frozen=True)
class Measurement:
    """One client and one server.

    Attributes:
        share: of what the server allowed.
        per_second: answers.
        refused: requests that the server turned away, per answer.
        failed: requests without an answer.
    """

    share: float
    per_second: float
    refused: float
    failed: int


def main() -> int:
    """Measure all in turn, so that a busy machine slows all; exit code 1 when `ask` misses 90 %."""
    record: dict[str, object] = {
        "latency_seconds": LATENCY,
        "allowed_per_second": RATE,
        "burst": BURST,
        "requests": REQUESTS,
        "rounds": ROUNDS,
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
    }
    shares = []
    for model in ("claude", "gpt"):
        clients: dict[str, Callable[[Llm, list[Request]], int]] = {
            "ask": ask_all,
            f"plain_{AT_ONCE}": lambda llm, requests: asyncio.run(plain(llm, requests, AT_ONCE)),
            f"plain_{ENOUGH}": lambda llm, requests: asyncio.run(plain(llm, requests, ENOUGH)),
        }
        rounds = [{name: measure(client, model) for name, client in clients.items()} for _ in range(ROUNDS)]
        typical = {name: middle([one[name] for one in rounds]) for name in clients}
        best = max(value.share for name, value in typical.items() if name != "ask")
        shares.append(typical["ask"].share)
        record[model] = {name: asdict(value) for name, value in typical.items()}
        record[f"{model}_ratio_to_best_plain"] = round(typical["ask"].share / best, 2)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record, indent=1))
    return 0 if min(shares) >= 0.9 else 1


def middle(values: list[Measurement]) -> Measurement:
    """The measurement with the median share."""
    return sorted(values, key=lambda value: value.share)[len(values) // 2]


def measure(client: Callable[[Llm, list[Request]], int], model: str) -> Measurement:
    """One client against a fresh server, in an empty folder."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), Server() as server:
        llm = settings(server.url)
        client(llm, requests_to(llm, model, "warm", 5))  # Imports.
        started = time.monotonic()
        answered = client(llm, requests_to(llm, model, "timed", REQUESTS))
        seconds = time.monotonic() - started
    return Measurement(
        share=round(answered / (BURST + RATE * seconds), 3),
        per_second=round(answered / seconds, 1),
        refused=round(server.bill["refused"] / answered, 3),
        failed=REQUESTS - answered,
    )


class Server:
    """A test server in a process of its own; its bill is there once it has ended."""

    def __enter__(self) -> Server:
        options = {"--latency": LATENCY, "--rate": RATE, "--burst": BURST}
        words = [str(word) for pair in options.items() for word in pair]
        command = [sys.executable, str(ROOT / "tests/llm/vendor_server.py"), *words]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.bill: dict[str, int] = json.loads(self.process.communicate()[0])


def settings(url: str) -> Llm:
    """Both vendors at the test server."""
    price = {"as_of": "2026-01-01", "input": 1, "cached_input": 1, "cache_write": 1, "output": 1}
    common = {"model": "m", "api_key_env": None, "batches": False, "price": price | {"batch_discount": 0}}
    models = {
        "claude": {"provider": "anthropic", "base_url": url, **common},
        "gpt": {"provider": "openai", "base_url": f"{url}/v1", **common},
    }
    return Llm.model_validate(
        {"mode": "live", "budget_usd": 50, "batch": False, "max_in_flight": AT_ONCE, "models": models}
    )


def requests_to(llm: Llm, model: str, word: str, count: int) -> list[Request]:
    """Different requests of a judge's size (3 kB)."""
    return [
        Request.to(llm, model, system="s" * 1000, user=f"{word} {n} " + "u" * 2000, max_tokens=50)
        for n in range(count)
    ]


def ask_all(llm: Llm, requests: list[Request]) -> int:
    """Our client: how many were answered."""
    model = "claude" if requests[0].provider == "anthropic" else "gpt"
    return sum(answer.status == "ok" for answer in ask(llm, model, requests, rule="benchmark"))


async def plain(llm: Llm, requests: list[Request], at_once: int) -> int:
    """The SDK with its own retries behind a semaphore: how many were answered."""
    gate = asyncio.Semaphore(at_once)
    async with connected(llm, requests[0].provider) as sdk:

        async def one(request: Request) -> bool:
            async with gate:
                try:
                    await send(sdk, request)
                except (anthropic.APIError, openai.APIError):
                    return False
                return True

        return sum(await asyncio.gather(*(one(request) for request in requests)))


def connected(llm: Llm, provider: str) -> Sdk:
    """A vendor's SDK, told to retry more often than by default."""
    if provider == "anthropic":
        url = llm.models["claude"].base_url
        return anthropic.AsyncAnthropic(api_key="none", base_url=url, max_retries=SDK_RETRIES)
    return openai.AsyncOpenAI(api_key="none", base_url=llm.models["gpt"].base_url, max_retries=SDK_RETRIES)


async def send(sdk: Sdk, request: Request) -> object:
    """One request as the SDK's users send it."""
    if isinstance(sdk, anthropic.AsyncAnthropic):
        return await sdk.messages.create(
            model=request.model,
            max_tokens=request.max_tokens,
            system=request.system,
            messages=[{"role": "user", "content": request.user}],
        )
    return await sdk.chat.completions.create(
        model=request.model,
        max_tokens=request.max_tokens,
        messages=[
            {"role": "system", "content": request.system},
            {"role": "user", "content": request.user},
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
