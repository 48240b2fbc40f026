"""A step that asks is killed at random moments: same result, and nothing paid twice that need not be."""

import os
import random
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import children
import pandas as pd
import pytest
from asking import CANARY, QUICK, llm_for, questions
from vendor_faults import BatchFaults
from vendor_server import VendorServer

from habits.artifacts import write_parquet
from habits.llm.client import SCRATCH, ask
from habits.llm.ledger import Ledger
from habits.llm.store import ReplyStore

COUNT = 60
IN_FLIGHT = 8
OUT = Path("results/step.parquet")
WAYS = ("claude in batches", "gpt in batches", "claude one by one", "gpt one by one")


def step(url: str, way: str) -> None:
    """What a rule does: ask, and write a projection of the answers."""
    model, batch = way.split()[0], "batches" in way
    llm = llm_for(url, batch=batch, max_in_flight=IN_FLIGHT)
    waits = replace(QUICK, lost_batch=1.0)
    answers = ask(llm, model, questions(llm, model, COUNT), rule="step", waits=waits)
    rows = [(a.request.key, a.status, a.reply.text, a.reply.stop_reason) for a in answers if a.reply]
    write_parquet(pd.DataFrame(rows, columns=["key", "status", "text", "stop_reason"]), OUT)


def server_for(way: str, faults: BatchFaults | None = None) -> VendorServer:
    """A server with which a run takes about half a second."""
    if "batches" in way:
        return VendorServer(latency=0.06, batch_seconds=0.2, batch_faults=faults, key=CANARY)
    return VendorServer(latency=0.06, key=CANARY)


def undisturbed(way: str, folder: Path) -> tuple[bytes, float]:
    """The result without kills, and the seconds that it takes."""
    folder.mkdir()
    os.chdir(folder)
    with server_for(way) as server:
        children.finish(children.start(step, server.url, way))  # Whatever starts slowly the first time.
        OUT.unlink()
        for path in Path("data/replies").iterdir():
            path.unlink()
        started = time.monotonic()
        assert children.finish(children.start(step, server.url, way)) == [0]
    return OUT.read_bytes(), time.monotonic() - started


def assert_killed_runs_end_the_same(way: str, folder: Path, kills: int, dice: random.Random) -> None:
    """Rounds, each in a folder of its own, of one or more kills and a last run that may finish."""
    expected, seconds = undisturbed(way, folder / "undisturbed")
    log, landed = folder / "log", 0
    while landed < kills:
        os.chdir(folder)
        Path(f"round{landed}").mkdir()
        os.chdir(f"round{landed}")
        faults = BatchFaults(lost_creations=dice.choice([0, 0, 1]), batches=0)
        with server_for(way, faults) as server:
            here = 0
            for _ in range(dice.randint(1, 3)):
                process = children.start(step, server.url, way, log=log)
                process.join(dice.uniform(0.0, 1.1 * seconds))
                here += process.is_alive()
                process.kill()
                children.finish(process)
            assert children.finish(children.start(step, server.url, way, log=log)) == [0], log.read_text()
            assert OUT.read_bytes() == expected
            assert_bill(server, way, here)
            assert_no_secret(folder)
        landed += here or 1


def assert_bill(server: VendorServer, way: str, kills: int) -> None:
    extra = sum(Counter(line.body for line in server.bill).values()) - COUNT
    if "batches" in way:
        assert extra == 0 and not server.paid_twice()
    else:
        assert extra <= kills * IN_FLIGHT
    now = Ledger(SCRATCH / "ledger.sqlite", 50.0, []).balance()
    stored = sum(usd for _, usd in ReplyStore().payments())
    assert now.spent == pytest.approx(stored) and now.reserved == 0.0
    assert server.paid <= now.spent + now.lost + 1e-9, "whatever was billed is accounted for"
    assert "batches" not in way or (now.lost == 0.0 and server.paid == pytest.approx(stored))


def assert_no_secret(folder: Path) -> None:
    for path in folder.rglob("*"):
        assert not path.is_file() or CANARY.encode() not in path.read_bytes(), path


@pytest.mark.parametrize("way", WAYS)
def test_a_few_kills(way: str, tmp_path: Path) -> None:
    assert_killed_runs_end_the_same(way, tmp_path, 3, random.Random(f"few {way}"))


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_thirty_kills(way: str, tmp_path: Path) -> None:
    assert_killed_runs_end_the_same(way, tmp_path, 30, random.Random(way))
