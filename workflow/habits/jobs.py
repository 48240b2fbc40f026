"""What surrounds every step: its log, its error messages, its environment, its end.

Reads the environment variable ``HABITS_WORKFLOW_PID`` (set by the workflow), writes the log file.
"""

from __future__ import annotations

import fcntl
import os
import socket
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stderr
from pathlib import Path
from typing import TextIO

import psutil

WORKFLOW_PID = "HABITS_WORKFLOW_PID"
PARAMS_FILE = "HABITS_PARAMS"
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "RAY_USAGE_STATS_ENABLED": "0",
    "WANDB_MODE": "disabled",
    "DVC_NO_ANALYTICS": "1",
    "MPLBACKEND": "agg",
}
NETWORK = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE")
GIVEN = frozenset(os.environ)  # what the user set stays as it is
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def prepare_environment(threads: int) -> None:
    """Set threads and offline switches; call it before torch, numpy or transformers are imported."""
    for name, value in (OFFLINE | dict.fromkeys(THREADS, str(threads))).items():
        os.environ.setdefault(name, value)


def allow_network() -> None:
    """Let a step that fetches a model reach the Hugging Face Hub, unless the user said it should not."""
    for name in set(NETWORK) - GIVEN:
        os.environ.pop(name, None)


@contextmanager
def reported(log: Path | None) -> Iterator[None]:
    """Run a step so that its messages also go to ``log`` and its errors end the process readably.

    An exception class of this package is a message for the user (exit code 2, no traceback); anything
    else is a bug (traceback, exit code 1). The step ends when the workflow that started it is gone.

    Raises:
        SystemExit: the step failed.
    """
    _end_with_the_workflow()
    with _tee(log) if log else nullcontext():
        try:
            yield
        except Exception as error:
            expected = type(error).__module__.startswith("habits.")
            print(f"error: {error}" if expected else traceback.format_exc(), file=sys.stderr, flush=True)
            raise SystemExit(2 if expected else 1) from None


class _Tee:
    """A text stream that writes to two: the console and the log."""

    def __init__(self, console: TextIO, log: TextIO) -> None:
        self.console, self.log = console, log

    def write(self, text: str) -> int:
        self.log.write(text)
        return self.console.write(text)

    def flush(self) -> None:
        self.log.flush()
        self.console.flush()

    def __getattr__(self, name: str) -> object:
        return getattr(self.console, name)


@contextmanager
def _tee(log: Path) -> Iterator[None]:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as file:
        # One process per log: after a kill -9 of the workflow its step may live for a moment more.
        fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        with redirect_stderr(_Tee(sys.stderr, file)):
            yield


def workflow_mark() -> str:
    """This process as the workflow that its steps watch: ``pid@host``."""
    return f"{os.getpid()}@{socket.gethostname()}"


def _end_with_the_workflow() -> None:
    """Start a watcher that ends this process when the workflow that started it is gone.

    Otherwise the steps of a killed workflow would train on, beside those of the next one.
    """
    pid, _, host = os.environ.get(WORKFLOW_PID, "").partition("@")
    if not pid or host != socket.gethostname():
        return  # By hand, or the workflow submits to other machines, where its number means another process.
    try:
        workflow = psutil.Process(int(pid))
    except psutil.NoSuchProcess:
        print(
            f"error: the workflow that started this step (process {pid}) is gone", file=sys.stderr, flush=True
        )
        os._exit(1)
    threading.Thread(target=_watch, args=(workflow,), daemon=True).start()


def _watch(workflow: psutil.Process) -> None:
    while _alive(workflow):
        time.sleep(0.5)
    os._exit(1)


def _alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
