"""Starting a command, striking it at a chosen moment, and looking at what it left behind."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from checkout import assert_nothing_to_do, environment

HABITS = (sys.executable, "-m", "habits.cli")
STRIKING = Path(__file__).parent / "striking"
RESULTS = ("data", "results", "reports")
FLEETING = {".snakemake_timestamp", "provenance.json"}


def start(folder: Path, *words: str | Path, **extra: str) -> subprocess.Popen[bytes]:
    """A command in a process group of its own, as a shell starts it; its output goes to .git/output."""
    with (folder / ".git/output").open("wb") as output:
        return subprocess.Popen(
            [str(word) for word in words],
            cwd=folder,
            env=environment(folder, **extra),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def output(folder: Path) -> str:
    """What the last started command has printed so far."""
    return (folder / ".git/output").read_text()


def kill_at_change(
    folder: Path, *words: str | Path, program: str, number: int, group: bool, **extra: str
) -> str | None:
    """Run a command that is killed at its n-th change of a file; returns that change, if it came to it."""
    path = os.pathsep.join([environment(folder)["PYTHONPATH"], str(STRIKING)])
    strike = {"STRIKE_PROGRAM": program, "STRIKE_AT": str(number), "PYTHONPATH": path}
    start(folder, *words, **strike, **({"STRIKE_GROUP": "1"} if group else {}), **extra).wait()
    struck = folder / ".git/struck"
    return struck.read_text() if struck.exists() else None


def kill_after(folder: Path, *words: str | Path, seconds: float, group: bool, **extra: str) -> None:
    """Run a command that is killed after some time, alone or with its process group."""
    process = start(folder, *words, **extra)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    with contextlib.suppress(ProcessLookupError):
        (os.killpg if group else os.kill)(process.pid, signal.SIGKILL)
    process.wait()


def alive_in(folder: Path) -> list[str]:
    """Command lines of the processes that work in a checkout."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()).is_relative_to(folder):
                found.append(" ".join(process.cmdline()))
    return found


def wait_until_alone(folder: Path, seconds: float) -> None:
    """Wait for every process in a checkout to end; AssertionError names those that stay."""
    end = time.monotonic() + seconds
    while (left := alive_in(folder)) and time.monotonic() < end:
        time.sleep(0.1)
    assert not left, f"orphans: {left}"


def results(folder: Path) -> dict[str, str]:
    """SHA-256 of every file in the output folders, without those that differ from run to run."""
    files = (path for root in RESULTS for path in (folder / root).rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.name not in FLEETING
    }


def broken_objects(folder: Path) -> list[Path]:
    """Objects of DVC's cache whose content is not what their name says; unfinished ones have another name."""
    objects = (folder / ".dvc/cache/files/md5").glob("??/*")
    return [path for path in objects if path.suffix != ".tmp" and not is_sound(path)]


def is_sound(path: Path) -> bool:
    digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    return (path.parent.name + path.name).removesuffix(".dir") == digest


def assert_as_undisturbed(folder: Path, undisturbed: Path) -> None:
    """Every byte as in the other checkout, no file besides, no broken object, nothing to do in both tools."""
    found, expected = results(folder), results(undisturbed)
    different = [name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name)]
    assert not different, different
    assert not broken_objects(folder)
    assert_nothing_to_do(folder)
