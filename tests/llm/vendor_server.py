"""A server that speaks the APIs of Anthropic and OpenAI, on a socket: messages, chat completions, batches.

It answers what a function says, keeps a list of everything that it would bill, and misbehaves on demand:
429 and 5xx, resets, truncated, slow and garbled bodies (`Fault`), and all that can be wrong with a batch
(`BatchFaults`). Clients talk to it through the vendors' own SDKs and ``base_url``.

In a test: ``with VendorServer(answer=...) as server``. In a process of its own:
``python vendor_server.py --latency 0.05 --rate 200`` prints its address, and its bill at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import math
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from aiohttp import web
from vendor_faults import BatchFaults, Fault
from vendor_formats import (
    Asked,
    Body,
    Said,
    ServerBatch,
    anthropic_state,
    api_of,
    asked_of,
    completion,
    error,
    line,
    message,
    openai_state,
)


@dataclass(frozen=True)
class Paid:
    """One line of the bill."""

    usd: float
    body: str
    batch: str | None = None


@dataclass(frozen=True)
class Prices:
    """Dollars per million tokens, as in params.yaml."""

    input: float = 1.0
    cached_input: float = 0.1
    cache_write: float = 1.25
    output: float = 5.0
    batch_discount: float = 0.5


def echo(asked: Asked) -> Said:
    """An answer that depends on the request alone."""
    digest = hashlib.sha256((asked.system + asked.user).encode()).hexdigest()[:16]
    return Said(json.dumps({"answer": digest}) if asked.schema else f"{asked.user} -> {digest}")


class VendorServer:
    """The server, running in a thread while the ``with`` block lasts.

    Attributes:
        bill: everything that was worked on, in order.
        calls: requests by path, faults included.
        most_at_once: most requests that were being worked on at the same time.
    """

    def __init__(
        self,
        answer: Callable[[Asked], Said | Fault | str] = echo,
        *,
        fault: Callable[[int, str], Fault | None] = lambda number, path: None,
        batch_faults: BatchFaults | None = None,
        batch_seconds: float = 0.0,
        batch_visible_after: float = 0.0,
        latency: float = 0.0,
        rate: float | None = None,
        burst: float | None = None,
        key: str | None = None,
        retired: Iterable[str] = (),
        prices: Prices | None = None,
        tokens_per_byte: float = 0.25,
    ) -> None:
        self.answer, self.fault, self.latency, self.key = answer, fault, latency, key
        self.batch_faults, self.batch_seconds = batch_faults or BatchFaults(batches=0), batch_seconds
        self.batch_visible_after, self.retired = batch_visible_after, set(retired)
        self.prices, self.tokens_per_byte = prices or Prices(), tokens_per_byte
        self.rate, self.burst = rate, burst if burst is not None else (rate or 0.0)
        self.bucket, self.filled_at = self.burst, time.monotonic()
        self.bill: list[Paid] = []
        self.calls: Counter[str] = Counter()
        self.at_once = self.most_at_once = self.refused = 0
        self.batches: dict[str, ServerBatch] = {}
        self.files: dict[str, bytes] = {}
        self.cached: set[str] = set()
        self.downloads = self.creations = self.asked = 0

    # Life

    def __enter__(self) -> VendorServer:
        started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(started)), daemon=True)
        self._thread.start()
        assert started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    async def _serve(self, started: threading.Event) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application(client_max_size=2**30)
        app.add_routes(
            [
                web.post("/v1/messages", self._single),
                web.post("/v1/chat/completions", self._single),
                web.post("/v1/messages/count_tokens", self._count_tokens),
                web.post("/v1/responses/input_tokens", self._count_tokens),
                web.post("/v1/messages/batches", self._create_anthropic),
                web.get("/v1/messages/batches", self._list),
                web.get("/v1/messages/batches/{id}", self._look),
                web.get("/v1/messages/batches/{id}/results", self._results),
                web.post("/v1/files", self._upload),
                web.get("/v1/files/{id}/content", self._results),
                web.post("/v1/batches", self._create_openai),
                web.get("/v1/batches", self._list),
                web.get("/v1/batches/{id}", self._look),
            ]
        )
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        started.set()
        await self._stop.wait()
        await runner.cleanup()

    @property
    def paid(self) -> float:
        """Dollars of the whole bill."""
        return sum(line.usd for line in self.bill)

    def paid_twice(self) -> list[str]:
        """Requests that stand on the bill more than once."""
        return [body for body, times in Counter(line.body for line in self.bill).items() if times > 1]

    # One request

    async def _single(self, request: web.Request) -> web.StreamResponse:
        api, body = api_of(request), await request.json()
        self.calls[request.path] += 1
        self.asked += 1
        fault = self.fault(self.asked, request.path)
        if (refusal := self._refusal(request, api, body, fault)) is not None:
            return refusal
        said = self.answer(asked_of(api, body))
        if isinstance(said, Fault):
            return error(api, said.status, said.message, said.headers)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(self.latency)
        self.at_once -= 1
        content = json.dumps(self._work(api, body, said, batch=None)).encode()
        if fault is None:
            return web.Response(body=content, content_type="application/json")
        return await self._spoil(request, content, fault)

    def _refusal(
        self, request: web.Request, api: str, body: Body, fault: Fault | None
    ) -> web.Response | None:
        sent = request.headers.get("x-api-key") or request.headers.get("Authorization", "")[7:]
        if self.key is not None and sent != self.key:
            return error(api, 401, f"invalid key {sent}")  # As careless as a server can be.
        if body.get("model") in self.retired:
            return error(api, 404, f"model: {body['model']}")
        if fault is not None and fault.kind == "status":
            return error(api, fault.status, fault.message, fault.headers, fault.code)
        wait = self._over_the_limit()
        if wait > 0:
            self.refused += 1
            header = {"retry-after-ms": str(wait * 1000)} if api == "openai" else {}
            return error(api, 429, "slow down", header or {"retry-after": str(math.ceil(wait))})
        return None

    def _over_the_limit(self) -> float:
        """Seconds until the next request is allowed (0: now), by a token bucket."""
        if self.rate is None:
            return 0.0
        now = time.monotonic()
        self.bucket = min(self.burst, self.bucket + (now - self.filled_at) * self.rate)
        self.filled_at = now
        if self.bucket >= 1:
            self.bucket -= 1
            return 0.0
        return (1 - self.bucket) / self.rate

    async def _spoil(self, request: web.Request, content: bytes, fault: Fault) -> web.StreamResponse:
        if fault.kind == "late_status":
            return error(api_of(request), fault.status, fault.message, fault.headers)
        if fault.kind == "garbled":
            return web.Response(body=b'{"id": "x", ' + content[:20], content_type="application/json")
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.content_length = len(content)
        await response.prepare(request)
        half = len(content) // 2
        await response.write(content[:half])
        if fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
            await response.write(content[half:])
        elif request.transport is not None:
            (request.transport.abort if fault.kind == "reset" else request.transport.close)()
        return response

    def _work(self, api: str, body: Body, said: Said | str, batch: str | None) -> Body:
        """Put an answer on the bill and into the form of its API."""
        asked = asked_of(api, body)
        said = said if isinstance(said, Said) else Said(said)
        usage = self._usage(asked, said)
        p = self.prices
        usd = usage["input"] * p.input + usage["cached"] * p.cached_input
        usd += usage["written"] * p.cache_write + usage["output"] * p.output
        usd *= (1 - p.batch_discount) if batch else 1
        self.bill.append(Paid(usd / 1e6, json.dumps(body, sort_keys=True), batch))
        make = message if api == "anthropic" else completion
        return make(len(self.bill), asked, said, usage)

    def _usage(self, asked: Asked, said: Said) -> dict[str, int]:
        system, user = (self._tokens(text) for text in (asked.system, asked.user))
        usage = {"input": user, "cached": 0, "written": 0}
        if "cache_control" in json.dumps(asked.body.get("system", "")):
            usage["cached" if asked.system in self.cached else "written"] = system
            self.cached.add(asked.system)
        else:
            usage["input"] += system
        output = self._tokens(said.text) if said.output_tokens is None else said.output_tokens
        return {**usage, "output": min(output, asked.max_tokens)}

    def _tokens(self, text: str) -> int:
        return math.ceil(len(text.encode()) * self.tokens_per_byte)

    async def _count_tokens(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.calls[request.path] += 1
        system, user = body.get("instructions", ""), body.get("input", "")
        if api_of(request) == "anthropic":
            asked = asked_of("anthropic", {"max_tokens": 0, **body})
            system, user = asked.system, asked.user
        return web.json_response({"input_tokens": self._tokens(system) + self._tokens(user)})

    # Batches

    async def _create_anthropic(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        return await self._create(request, [(r["custom_id"], r["params"]) for r in body["requests"]], {})

    async def _upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        name = f"file-{len(self.files)}"
        self.files[name] = form["file"].file.read()  # type: ignore[union-attr]
        return web.json_response(
            {"id": name, "object": "file", "bytes": len(self.files[name]), "created_at": int(time.time())}
            | {"filename": "x.jsonl", "purpose": "batch", "status": "processed"}
        )

    async def _create_openai(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        lines = [json.loads(text) for text in self.files[body["input_file_id"]].split(b"\n")[:-1]]
        requests = [(one["custom_id"], one["body"]) for one in lines]
        return await self._create(request, requests, body.get("metadata") or {})

    async def _create(
        self, request: web.Request, requests: list[tuple[str, Body]], metadata: Body
    ) -> web.StreamResponse:
        api = api_of(request)
        self.calls[request.path] += 1
        self.creations += 1
        fault = self.fault(self.creations, request.path)
        if (refusal := self._refusal(request, api, {}, fault)) is not None:
            return refusal
        await asyncio.sleep(self.latency)
        now, number = time.time(), len(self.batches)
        batch = ServerBatch(
            id=f"{'msgbatch' if api == 'anthropic' else 'batch'}_{number:04d}",
            api=api,
            created=now,
            ready_at=now + self.batch_seconds,
            visible_at=now + self.batch_visible_after,
            lines=[],
            metadata=metadata,
            counts=Counter(),
            failure=self._failure(api, requests, number),
        )
        self.batches[batch.id] = batch
        if not batch.failure:
            self._process(batch, requests, number)
        else:
            batch.counts["errored"] = len(requests)
        if self.creations <= self.batch_faults.lost_creations and request.transport is not None:
            request.transport.abort()
        await asyncio.sleep(self.latency)
        return web.json_response(self._state(batch))

    def _failure(self, api: str, requests: list[tuple[str, Body]], number: int) -> str:
        """Why a batch ends as a whole, in the vendor's words; at Anthropic a retired model is no reason."""
        if api == "openai" and any(body["model"] in self.retired for _, body in requests):
            return "model_not_found"
        return "bad_line" if self.batch_faults.fails and number < self.batch_faults.batches else ""

    def _process(self, batch: ServerBatch, requests: list[tuple[str, Body]], number: int) -> None:
        faults = self.batch_faults if number < self.batch_faults.batches else BatchFaults()
        for name, body in requests:
            dice = random.Random(f"{name} {number}")
            said = self.answer(asked_of(batch.api, body))
            kinds = {"expired": faults.expired, "errored": faults.errored, "rejected": faults.rejected}
            kind, reply = _draw(dice, kinds) or "succeeded", {}
            if body["model"] in self.retired:
                kind = "retired"
            elif isinstance(said, Fault):
                kind = "errored"
            elif kind == "succeeded":
                reply = self._work(batch.api, body, said, batch.id)
            batch.counts["errored" if kind in ("rejected", "retired") else kind] += 1
            one = line(batch.api, name, kind, reply)
            wrong = {"missing": faults.missing, "duplicate": faults.duplicate, "garbled": faults.garbled}
            shown = {"missing": [], "duplicate": [one, one], "garbled": [{"garbled": 1}]}
            batch.lines += shown.get(_draw(dice, wrong), [one])
        strange = [one for one in batch.lines if "garbled" not in one][: faults.unknown]
        batch.lines += [one | {"custom_id": f"unknown-{n}"} for n, one in enumerate(strange)]
        random.Random(number).shuffle(batch.lines)

    async def _list(self, request: web.Request) -> web.Response:
        api, limit = api_of(request), int(request.query.get("limit", 20))
        known = [b for b in self.batches.values() if b.api == api and time.time() >= b.visible_at][::-1]
        after = request.query.get("after_id") or request.query.get("after")
        start = 1 + [b.id for b in known].index(after) if after else 0
        page = known[start : start + limit]
        return web.json_response(
            {
                "data": [self._state(batch) for batch in page],
                "has_more": start + limit < len(known),
                "first_id": page[0].id if page else None,
                "last_id": page[-1].id if page else None,
                "object": "list",
            }
        )

    async def _look(self, request: web.Request) -> web.Response:
        self.calls["look"] += 1
        fault = self.fault(self.calls["look"], "look")
        if fault is not None:
            return error(api_of(request), fault.status, fault.message, fault.headers)
        batch = self.batches.get(request.match_info["id"])
        if batch is None:
            return error(api_of(request), 404, "no such batch")
        return web.json_response(self._state(batch))

    async def _results(self, request: web.Request) -> web.StreamResponse:
        self.calls["results"] += 1
        name, _, part = request.match_info["id"].partition(".")
        batch = self.batches[name]
        lines = [one for one in batch.lines if not part or (part == "errors") == _is_error(one)]
        texts = ['{"custom' if "garbled" in one else json.dumps(one, ensure_ascii=False) for one in lines]
        content = "\n".join(texts).encode() + b"\n"
        self.downloads += 1
        if self.downloads <= self.batch_faults.cut_downloads:
            return await self._spoil(request, content, Fault("reset"))
        return web.Response(body=content, content_type="application/binary")

    def _state(self, batch: ServerBatch) -> Body:
        return anthropic_state(batch, self.url) if batch.api == "anthropic" else openai_state(batch)


def _draw(dice: random.Random, shares: dict[str, float]) -> str:
    """One of the names with its probability, or an empty string."""
    number = dice.random()
    for name, share in shares.items():
        if number < share:
            return name
        number -= share
    return ""


def _is_error(one: Body) -> bool:
    return bool(one.get("error")) or (one.get("response") or {"status_code": 200})["status_code"] != 200


def main() -> None:
    """Serve until the process is told to end; then print the bill as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--burst", type=float)
    options = parser.parse_args()
    with VendorServer(latency=options.latency, rate=options.rate, burst=options.burst) as server:
        print(server.url, flush=True)
        signal.sigwait({signal.SIGTERM, signal.SIGINT})
        shown = {"worked": len(server.bill), "refused": server.refused, "most_at_once": server.most_at_once}
        print(json.dumps(shown), flush=True)


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    main()
