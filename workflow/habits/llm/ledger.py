"""The ledger: what may still be spent, for all processes of the workflow together.

Before a request is sent, the most that it can cost is reserved in one transaction; its true cost takes
that place once the reply is stored. So what was spent and what may yet have to be paid never exceed the
budget. The reservation of a request whose fate nobody knows (its process was killed, its connection
broke) stays: it may have been billed.

Reads and writes ``scratch/llm/ledger.sqlite``; what was spent is known from the response store alone.
"""

from __future__ import annotations

import math
import os
import socket
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

NANO = 10**9  # Dollars are kept as whole billionths: sums are exact.
TABLES = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS total (nano INTEGER);
INSERT INTO total SELECT 0 WHERE NOT EXISTS (SELECT * FROM total);
CREATE TABLE IF NOT EXISTS payments (
  id TEXT PRIMARY KEY, nano INTEGER, state TEXT CHECK (state IN ('open', 'lost', 'paid')), owner TEXT);
CREATE INDEX IF NOT EXISTS unsettled ON payments (state) WHERE state != 'paid';
CREATE TRIGGER IF NOT EXISTS more AFTER INSERT ON payments
  BEGIN UPDATE total SET nano = nano + NEW.nano; END;
CREATE TRIGGER IF NOT EXISTS changed AFTER UPDATE OF nano ON payments
  BEGIN UPDATE total SET nano = nano + NEW.nano - OLD.nano; END;
CREATE TRIGGER IF NOT EXISTS less AFTER DELETE ON payments
  BEGIN UPDATE total SET nano = nano - OLD.nano; END;
COMMIT;
"""


class BudgetError(RuntimeError):
    """The budget does not cover a request; the message says what is spent and which key to raise."""


class LedgerError(RuntimeError):
    """The ledger cannot be read; the message names the file and the fix."""


@dataclass(frozen=True)
class Balance:
    """Where the budget stands, in dollars.

    Attributes:
        budget: what may be spent.
        spent: paid for replies that are stored.
        reserved: the most that requests under way can cost.
        lost: the most that requests may have cost whose replies never arrived (kills, broken connections).
    """

    budget: float
    spent: float
    reserved: float
    lost: float

    @property
    def room(self) -> float:
        """Dollars that can still be reserved."""
        return self.budget - self.spent - self.reserved - self.lost


class Ledger:
    """The ledger of a working directory.

    Args:
        file: the database; made if it is missing.
        budget: dollars that may be spent.
        stored: payments of the response store with their dollars, which the ledger takes over.

    Raises:
        LedgerError: the file is damaged.
    """

    def __init__(self, file: Path, budget: float, stored: Iterable[tuple[str, float]]) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self.file, self.budget = file, budget
        self.owner = f"{psutil.Process().create_time()} {os.getpid()} {socket.gethostname()}"
        # No WAL, which does not work on network file systems. A power cut at worst costs this file, which
        # can be made again; a kill costs nothing.
        self.database = sqlite3.connect(file, timeout=120, isolation_level=None)
        with self._told():
            self.database.execute("PRAGMA journal_mode = TRUNCATE")
            self.database.execute("PRAGMA synchronous = OFF")
            self.database.executescript(TABLES)
            known = {
                name for (name,) in self.database.execute("SELECT id FROM payments WHERE state = 'paid'")
            }
        self.settle((name, usd) for name, usd in stored if name not in known)

    def reserve(self, payments: Iterable[tuple[str, float]]) -> bool:
        """Reserve the most that requests can cost, all or nothing.

        Args:
            payments: a new name for each payment, or that of a reservation which this one replaces; dollars.

        Returns:
            whether the budget covers them.
        """
        rows = [(name, _nano(usd), self.owner) for name, usd in payments]
        with self._transaction():
            self.database.executemany(
                "INSERT INTO payments VALUES (?, ?, 'open', ?) ON CONFLICT (id) DO UPDATE SET "
                "nano = excluded.nano, state = 'open', owner = excluded.owner WHERE state != 'paid'",
                rows,
            )
            fits = self._total() <= _nano(self.budget)
            if not fits:
                self.database.execute("ROLLBACK")
        return fits

    def settle(self, payments: Iterable[tuple[str, float]]) -> None:
        """Put true costs, of replies that are stored, in the place of reservations."""
        rows = [(name, _nano(usd)) for name, usd in payments]
        if rows:
            with self._transaction():
                self.database.executemany(
                    "INSERT INTO payments VALUES (?, ?, 'paid', '') ON CONFLICT (id) DO UPDATE SET "
                    "nano = excluded.nano, state = 'paid', owner = ''",
                    rows,
                )

    def release(self, names: Iterable[str]) -> None:
        """Give back reservations of requests that were certainly not billed."""
        with self._transaction():
            self.database.executemany(
                "DELETE FROM payments WHERE id = ? AND state != 'paid'", [(name,) for name in names]
            )

    def lose(self, names: Iterable[str]) -> None:
        """Keep reservations for good: nobody knows whether these requests were billed."""
        with self._transaction():
            self.database.executemany(
                "UPDATE payments SET state = 'lost' WHERE id = ? AND state = 'open'",
                [(name,) for name in names],
            )

    def balance(self) -> Balance:
        """Where the budget stands."""
        paid = reserved = lost = 0
        with self._told():
            rows = self.database.execute(
                "SELECT state, owner, SUM(nano) FROM payments GROUP BY state, owner"
            ).fetchall()
        for state, owner, nano in rows:
            if state == "paid":
                paid += nano
            elif state == "open" and (owner == self.owner or _lives(owner)):
                reserved += nano
            else:
                lost += nano
        return Balance(self.budget, paid / NANO, reserved / NANO, lost / NANO)

    def refusal(self, rule: str, requests: int, usd: float) -> BudgetError:
        """The error that requests which cost so much at most do not fit."""
        now = self.balance()
        lost = f", {now.lost:.4f} perhaps (requests that were cut off)" if now.lost else ""
        return BudgetError(
            f"{rule}: llm.budget_usd is {now.budget:.2f}: {now.spent:.4f} spent, {now.reserved:.4f} reserved "
            f"for requests under way{lost}; {requests} more may cost up to {usd:.4f}. Replies so far are "
            "stored. Raise llm.budget_usd to go on"
        )

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    def _total(self) -> int:
        return int(self.database.execute("SELECT nano FROM total").fetchone()[0])

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._told():
            self.database.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self.database.execute("ROLLBACK")
                raise
            if self.database.in_transaction:
                self.database.execute("COMMIT")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise LedgerError(
                f"{self.file}: {error}; if this stays, delete the file: it is made again from data/replies"
            ) from None


def _nano(usd: float) -> int:
    return math.ceil(round(usd * NANO, 3))


def _lives(owner: str) -> bool:
    started, pid, host = owner.split(" ", 2)
    if host != socket.gethostname():
        return True  # On another machine: nobody here can tell.
    try:
        return bool(psutil.Process(int(pid)).create_time() == float(started))
    except psutil.NoSuchProcess:
        return False
