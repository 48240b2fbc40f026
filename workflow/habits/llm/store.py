"""The response store: every reply that was ever paid for, found by the key of its request.

A process appends its replies to a journal of its own, each on disk before anybody reads it. When it
ends, the journal is sealed into a parquet segment named by its content, which never changes again; the
journal of a process that was killed is sealed by the next one. So DVC may link segments read-only, and
two stores are merged by copying files together.

Reads and writes ``data/replies``: ``*.parquet`` (recorded by DVC), ``*.new.parquet`` (not yet) and, while
processes live, ``*.journal``.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import socket
import uuid
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from habits.artifacts import ArtifactError, naming_a_full_disk
from habits.llm.durable import put_in_place, sync
from habits.llm.requests import Reply, Request
from habits.llm.segments import NEW, REPLIES, segments, workspace

SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("payment", pa.string()),
        ("paid_at", pa.float64()),
        ("rule", pa.string()),
        ("provider", pa.string()),
        ("model", pa.string()),
        ("input", pa.int64()),
        ("cached_input", pa.int64()),
        ("cache_write", pa.int64()),
        ("output", pa.int64()),
        ("usd", pa.float64()),
        ("batch", pa.bool_()),
        ("request", pa.string()),
        ("reply", pa.string()),
    ]
)


class StoreError(RuntimeError):
    """The response store is damaged; the message names the file and the fix."""


@dataclass(frozen=True)
class Record:
    """A reply and what it cost.

    Attributes:
        payment: name of the payment; a reply that was paid for twice has two.
        paid_at: seconds since 1970. Of two replies to one request, the older one counts, for ever.
        rule: the rule that asked.
        usd: dollars.
        batch: paid at the price of a batch.
    """

    request: Request
    reply: Reply
    payment: str
    paid_at: float
    rule: str
    usd: float
    batch: bool

    def row(self) -> dict[str, object]:
        """The columns of the store."""
        return {
            "key": self.request.key,
            "payment": self.payment,
            "paid_at": self.paid_at,
            "rule": self.rule,
            "provider": self.request.provider,
            "model": self.request.model,
            **asdict(self.reply.usage),
            "usd": self.usd,
            "batch": self.batch,
            "request": self.request.to_json(),
            "reply": self.reply.to_json(),
        }


@dataclass(frozen=True)
class _Place:
    """Where a reply is: in a segment, or (journals) here."""

    paid_at: float
    payment: str
    segment: str | None
    reply: str | None


class ReplyStore:
    """The replies in a folder (default: of this workspace). One process may read while others write.

    Raises:
        StoreError: a file of the folder is damaged.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder = folder or workspace() / REPLIES
        self._places: dict[str, _Place] = {}
        self._segments: set[str] = set()
        self._journal: _Journal | None = None
        seal_dead(folder)
        self.refresh()

    def __enter__(self) -> ReplyStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def refresh(self) -> None:
        """Take note of what other processes have stored since."""
        # Journals first: one that is sealed meanwhile is found again as a segment.
        for path in self._journals():
            for row in _read_journal(path):
                self._note(row["key"], _Place(row["paid_at"], row["payment"], None, row["reply"]))
        for name in sorted(segments(self.folder).keys() - self._segments):
            table = self._read(name, ["key", "paid_at", "payment"])
            for row in table.to_pylist():
                self._note(row["key"], _Place(row["paid_at"], row["payment"], name, None))
            self._segments.add(name)

    def get(self, keys: Iterable[str]) -> dict[str, Reply]:
        """The replies to those of ``keys`` that are stored."""
        found: dict[str, Reply] = {}
        inside: dict[str, list[str]] = {}
        for key in set(keys):
            place = self._places.get(key)
            if place is not None and place.segment is not None:
                inside.setdefault(place.segment, []).append(key)
            elif place is not None and place.reply is not None:
                found[key] = Reply.from_json(place.reply)
        for name, wanted in inside.items():
            table = self._read(name, ["key", "payment", "reply"], wanted)
            for row in table.to_pylist():
                if row["payment"] == self._places[row["key"]].payment:
                    found[row["key"]] = Reply.from_json(row["reply"])
        return found

    def add(self, records: Iterable[Record]) -> None:
        """Store replies; they are on disk when this returns."""
        rows = [record.row() for record in records]
        if self._journal is None:
            self._journal = _Journal(self.folder)
        self._journal.append(rows)
        for row in rows:
            self._note(
                str(row["key"]),
                _Place(float(str(row["paid_at"])), str(row["payment"]), None, str(row["reply"])),
            )

    def payments(self) -> list[tuple[str, float]]:
        """All payments with their dollars, those of every process."""
        paid = {row["payment"]: row["usd"] for path in self._journals() for row in _read_journal(path)}
        for name in segments(self.folder):
            table = self._read(name, ["payment", "usd"])
            paid |= zip(table["payment"].to_pylist(), table["usd"].to_pylist(), strict=True)
        return list(paid.items())

    def payment(self, key: str) -> str | None:
        """The payment of the stored reply to a request."""
        place = self._places.get(key)
        return place.payment if place else None

    def close(self) -> None:
        """Seal what this process stored. The store can still be read and written."""
        if self._journal is not None:
            self._journal.seal()
            self._journal = None

    def _read(self, name: str, columns: list[str], keys: list[str] | None = None) -> pa.Table:
        """Columns of a segment, which another process may give another name meanwhile."""
        known = segments(self.folder)
        if name in known and known[name].exists():
            return read_segment(known[name], columns, keys)
        return read_segment(self.folder / f"{name}.parquet", columns, keys)

    def _journals(self) -> list[Path]:
        return sorted(self.folder.glob("*.journal"))

    def _note(self, key: str, place: _Place) -> None:
        known = self._places.get(key)
        if known is None or (place.paid_at, place.payment) < (known.paid_at, known.payment):
            self._places[key] = place


class _Journal:
    """This process's own journal, locked for as long as it lives."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.file = _locked(folder)
        self.path = Path(self.file.name)

    def append(self, rows: list[dict[str, object]]) -> None:
        """Write rows and wait for the disk; after a failure (disk full) nothing of them is left."""
        size = os.fstat(self.file.fileno()).st_size
        rest = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
        try:
            with naming_a_full_disk(self.path):
                while rest:
                    rest = rest[self.file.write(rest) :]
                os.fsync(self.file.fileno())
        except (OSError, ArtifactError):
            os.ftruncate(self.file.fileno(), size)
            raise

    def seal(self) -> None:
        """Turn the journal into a segment."""
        _seal(self.path)
        self.file.close()


def _locked(folder: Path) -> FileIO:
    while True:
        path = folder / f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}.journal"
        file = path.open("ab", buffering=0)
        fcntl.flock(file, fcntl.LOCK_EX)
        # Between open and lock, another process may have taken the empty file for a dead one's.
        if path.exists():
            sync(folder)
            return file
        file.close()


def seal_dead(folder: Path) -> None:
    """Seal the journals of processes that are gone."""
    for path in sorted(folder.glob("*.journal")):
        try:
            with path.open("r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if path.exists():
                    _seal(path)
        except (BlockingIOError, FileNotFoundError, PermissionError):
            continue  # It lives, was sealed by another process meanwhile, or is not ours: it can be read.


def _seal(journal: Path) -> None:
    """Write a journal's rows as a segment and remove it; killed in between, the next one does the same."""
    rows = sorted(_read_journal(journal), key=lambda row: (row["key"], row["payment"]))
    if rows:
        temporary = journal.with_suffix(".part")
        with naming_a_full_disk(temporary):
            pq.write_table(pa.Table.from_pylist(rows, SCHEMA), temporary, compression="zstd")
        with temporary.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        put_in_place(temporary, journal.with_name(f"{digest[:32]}{NEW}"))
    journal.unlink()


def _read_journal(path: Path) -> list[dict[str, Any]]:
    """Rows of a journal; what a killed process was writing (a last line without its end) is left out."""
    try:
        lines = path.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return []
    try:
        return [json.loads(line) for line in lines]
    except ValueError as error:
        raise StoreError(f"{path}: damaged: {error}; remove the line, which loses that reply alone") from None


def read_segment(path: Path, columns: list[str], keys: list[str] | None = None) -> pa.Table:
    """Columns of a segment, of all rows or those of ``keys``.

    Raises:
        StoreError: it cannot be read.
    """
    chosen = None if keys is None else pc.field("key").isin(keys)
    try:
        return pq.read_table(path, columns=columns, filters=chosen)
    except (OSError, ValueError) as error:
        raise StoreError(
            f"{path}: not a segment of the response store: {error}; `dvc checkout --force {path.parent}` "
            "restores it if it was recorded"
        ) from None


def spent_by_rule(folder: Path | None = None) -> pd.DataFrame:
    """What the stored replies (default: of this workspace) cost: a row a rule and model.

    Returns:
        columns rule, model, calls, in_batches (calls), input, cached_input, cache_write, output (tokens),
        usd. A reply that was paid for twice counts twice.

    Raises:
        StoreError: a file of the folder is damaged.
    """
    sums = ["input", "cached_input", "cache_write", "output", "usd"]
    columns = ["payment", "rule", "model", "batch", *sums]
    folder = folder or workspace() / REPLIES
    tables = [pd.DataFrame(_read_journal(path), columns=columns) for path in sorted(folder.glob("*.journal"))]
    tables += [read_segment(path, columns).to_pandas() for path in segments(folder).values()]
    rows = pd.concat([table for table in tables if len(table)] or [pd.DataFrame(columns=columns)])
    rows = rows.drop_duplicates("payment").assign(calls=1)
    rows["in_batches"] = rows["batch"].astype(int)
    table = rows.groupby(["rule", "model"], as_index=False)[["calls", "in_batches", *sums]].sum()
    return table.sort_values(["rule", "model"], ignore_index=True)
