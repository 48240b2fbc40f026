"""Batches under way, on disk: what was meant to be sent, and what became of it.

An intent, with its requests in full, is on disk before anything is sent; that it is being sent, before
the request goes out; the batch's id, as soon as it is known. A process holds a kernel lock on each of its
intents: one that is not locked belonged to a process that is gone, and the next one goes on with it.

Reads and writes ``scratch/llm/batches/``: ``{intent}.json`` and ``{intent}.state.json``.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

from habits.llm.durable import write_durably
from habits.llm.requests import Request
from habits.params import LlmModel


class IntentError(RuntimeError):
    """The record of a batch under way is damaged; the message names the file and the fix."""


@dataclass
class Intent:
    """A batch that this process works on, locked.

    Attributes:
        name: hash of its requests and of when it was written.
        created_at: seconds since 1970.
        posted_at: when it was last sent; None: it certainly never arrived.
        batch: the vendor's id; None: not known.
    """

    path: Path
    lock: FileIO
    rule: str
    created_at: float
    requests: list[Request]
    posted_at: float | None = None
    batch: str | None = None

    @property
    def name(self) -> str:
        """Its name, at the vendor too where batches can carry one."""
        return self.path.stem

    @property
    def state(self) -> Path:
        """The file that says what became of it."""
        return self.path.with_suffix(".state.json")

    def payment(self, key: str) -> str:
        """Name of the payment for a reply of this batch."""
        return f"{self.name}/{key}"

    def note(self, *, posted_at: float | None, batch: str | None = None) -> None:
        """Put down what became of it; on disk when this returns."""
        self.posted_at, self.batch = posted_at, batch
        write_durably(json.dumps({"posted_at": posted_at, "batch": batch}), self.state)

    def remove(self) -> None:
        """Forget it: all its replies are stored."""
        self.path.unlink()
        self.state.unlink(missing_ok=True)
        self.lock.close()


@dataclass(frozen=True)
class Survey:
    """What other processes left or are working on.

    Attributes:
        left: intents of processes that are gone, locked for this one.
        busy: keys of requests in batches that a living process works on.
    """

    left: list[Intent]
    busy: set[str]


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """While this lasts, no other process looks through the intents or writes new ones."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def write_intent(folder: Path, entry: LlmModel, rule: str, requests: Sequence[Request]) -> Intent:
    """Put down a batch that is going to be sent."""
    created_at = time.time()
    content = json.dumps([sorted(request.key for request in requests), created_at, uuid.uuid4().hex])
    path = folder / f"{hashlib.sha256(content.encode()).hexdigest()[:32]}.json"
    record = {
        "server": _server(entry),
        "rule": rule,
        "created_at": created_at,
        "requests": [request.to_json() for request in requests],
    }
    write_durably(json.dumps(record), path)
    lock = _try_lock(path)
    assert lock is not None, "nobody else writes or takes intents meanwhile"
    return Intent(path, lock, rule, created_at, list(requests))


def survey(folder: Path, entry: LlmModel) -> Survey:
    """Intents for the model and server of ``entry``; those that nobody works on are now this process's."""
    left: list[Intent] = []
    busy: set[str] = set()
    for path in sorted(p for p in folder.glob("*.json") if not p.name.endswith(".state.json")):
        lock = _try_lock(path)
        record = _read(path)
        if record is None or record["server"] != _server(entry):
            if lock is not None:
                lock.close()
            continue
        requests = [Request.from_json(text) for text in record["requests"]]
        if lock is None:
            busy |= {request.key for request in requests}
            continue
        intent = Intent(path, lock, record["rule"], record["created_at"], requests)
        state = _read(intent.state) or {"posted_at": None, "batch": None}
        intent.posted_at, intent.batch = state["posted_at"], state["batch"]
        left.append(intent)
    return Survey(left, busy)


def known_batches(folder: Path) -> set[str]:
    """Ids of all batches that are written down."""
    states = (_read(path) for path in folder.glob("*.state.json"))
    return {state["batch"] for state in states if state and state["batch"]}


def _server(entry: LlmModel) -> list[str | None]:
    return [entry.provider, entry.base_url, entry.model]


def _try_lock(path: Path) -> FileIO | None:
    """The file locked, or None: somebody works on it, or it is gone."""
    try:
        file = FileIO(path, "r")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(file.fileno()).st_ino == path.stat().st_ino:
            return file
    except FileNotFoundError:
        return None
    except BlockingIOError:
        pass
    file.close()
    return None


def _read(path: Path) -> dict[str, Any] | None:
    try:
        return dict(json.loads(path.read_text()))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise IntentError(
            f"{path}: damaged: {error}; it names a batch that may have been paid: look for it at the vendor, "
            "then delete the file"
        ) from None
