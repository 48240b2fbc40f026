"""What a killed DVC leaves is told from what a running one holds."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from habits import restore

SLEEP = "import time; time.sleep(60)"
TIDY = "from habits import restore; restore.tidy()"
STARTS_US = f"""
import pathlib, subprocess, sys, time
while not pathlib.Path("go").exists():
    time.sleep(0.01)
subprocess.run([sys.executable, "-c", "{TIDY}"], check=False)
pathlib.Path("gone").touch()
time.sleep(60)
"""


@contextmanager
def process(*words: str) -> Iterator[int]:
    running = subprocess.Popen(words)
    try:
        yield running.pid
    finally:
        running.kill()
        running.wait()


def write_running(checkout: Path, pid: int) -> Path:
    """DVC's list of running commands with one `dvc commit` in it, and a file that it has not finished."""
    running = checkout / restore.RUNNING
    running.parent.mkdir(parents=True)
    writer = {"pid": pid, "cmd": "dvc commit"}
    running.write_text(json.dumps({"write": {"results/figures": writer}, "read": {}}))
    unfinished = checkout / "results/figures/.a.tmp"
    unfinished.parent.mkdir(parents=True)
    unfinished.touch()
    return unfinished


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_running_dvc_is_left_alone(checkout: Path) -> None:
    with process(sys.executable, "-c", SLEEP, "dvc", "commit") as pid:
        unfinished = write_running(checkout, pid)
        restore.tidy()
        assert restore.RUNNING.exists() and unfinished.exists()


def test_a_dvc_that_waits_for_us_is_not_writing(checkout: Path) -> None:
    """As `dvc repro` again after a kill: it has started Snakemake, the unfinished file is the dead one's."""
    with process(sys.executable, "-c", STARTS_US, "dvc", "repro") as pid:
        unfinished = write_running(checkout, pid)
        (checkout / "go").touch()
        while not (checkout / "gone").exists():
            time.sleep(0.01)
        assert restore.RUNNING.exists() and not unfinished.exists()


def test_another_program_of_the_same_number_is_not_dvc(checkout: Path) -> None:
    with process(sys.executable, "-c", SLEEP) as pid:
        unfinished = write_running(checkout, pid)
        restore.tidy()
        assert not restore.RUNNING.exists() and not unfinished.exists()


def test_a_zombie_works_no_more(checkout: Path) -> None:
    """Where nobody waits for orphans, as in a container without an init, a killed DVC stays listed."""
    with process(sys.executable, "-c", "", "dvc") as pid:
        while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        unfinished = write_running(checkout, pid)
        restore.tidy()
        assert not restore.RUNNING.exists() and not unfinished.exists()


def test_a_list_cut_off_in_the_middle_is_dropped(checkout: Path) -> None:
    unfinished = write_running(checkout, 1)
    restore.RUNNING.write_text('{"write": {"resul')
    restore.tidy()
    assert not restore.RUNNING.exists() and not unfinished.exists()


LOCK = """schema: '2.0'
stages:
  data:
    cmd: snakemake
    outs:
    - path: data/problems
      hash: md5
      md5: b026324c6904b2a9cb4b88d6d61c81d1.dir
      size: 2
"""


@pytest.mark.parametrize("end", ["", "schema", "stages:", "data", "  cm", "    outs:", "- path", "hash: md5"])
def test_half_a_lock_becomes_the_last_whole_one(end: str, checkout: Path) -> None:
    """DVC writes dvc.lock in place; DVC itself cannot read these parts of it."""
    restore.LOCK.write_text(LOCK)
    restore.keep()
    restore.LOCK.write_text(LOCK[: LOCK.index(end) + len(end)])
    restore.give_back()
    assert restore.LOCK.read_text() == LOCK
