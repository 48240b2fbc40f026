"""What surrounds every step: its log, its error messages, its environment, its end.

Reads the environment variable ``HABITS_WORKFLOW_PID`` (set by the workflow), writes the log file.
"""

from __future__ import annotations

import errno
import fcntl
import gc
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stderr, suppress
from pathlib import Path
from typing import NoReturn, TextIO

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
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)
NETWORK = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE")
GIVEN = frozenset(os.environ)  # what the user set stays as it is
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def prepare_environment(threads: int) -> None:
    """Set threads, offline switches and garbage collection; call it before any library is imported."""
    # PyTorch and transformers make a million lasting objects at their import: at Python's threshold of 700
    # new ones, the garbage collector would take a fifth of a step's start.
    gc.set_threshold(10_000)
    for name, value in (OFFLINE | dict.fromkeys(THREADS, str(threads))).items():
        os.environ.setdefault(name, value)


def allow_network() -> None:
    """Let a step that fetches a model reach the Hugging Face Hub, unless the user said it should not."""
    for name in set(NETWORK) - GIVEN:
        os.environ.pop(name, None)


@contextmanager
def reported(log: Path | None) -> Iterator[None]:
    """Run a step so that its messages also go to ``log`` and its errors end the process readably.

    An exception class of this package is a message for the user (exit code 2, no traceback), and so is a
    disk that is full or may not be written; anything else is a bug (traceback, exit code 1). The step ends
    when the workflow that started it is gone.

    Raises:
        SystemExit: the step failed, or Ctrl-C ended it (exit code 130).
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_DFL:  # See workflow/bin/habits.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    _end_with_the_workflow()
    try:
        with _tee(log) if log else nullcontext():
            try:
                yield
            except (Exception, KeyboardInterrupt) as error:
                _tell(error)
    except OSError as error:  # The log itself cannot be opened.
        _tell(error)


def _tell(error: BaseException) -> NoReturn:
    if isinstance(error, KeyboardInterrupt):
        message, code = "interrupted", 130
    elif type(error).__module__.startswith("habits."):
        message, code = f"error: {error}", 2
    elif isinstance(error, OSError) and error.errno in UNWRITABLE:
        message, code = f"error: {error.filename or 'writing'}: {error.strerror}", 2
    else:
        message, code = traceback.format_exc(), 1
    print(message, file=sys.stderr, flush=True)
    raise SystemExit(code) from None


class _Tee:
    """A text stream that writes to two: the console, and the log unless its disk is full."""

    def __init__(self, console: TextIO, log: TextIO) -> None:
        self.console, self.log = console, log

    def write(self, text: str) -> int:
        with suppress(OSError):
            self.log.write(text)
        return self.console.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            self.log.flush()
        self.console.flush()

    def __getattr__(self, name: str) -> object:
        return getattr(self.console, name)


@contextmanager
def _tee(log: Path) -> Iterator[None]:
    log.parent.mkdir(parents=True, exist_ok=True)
    file = log.open("a")
    try:
        # One process per log: after a kill -9 of the workflow its step may live for a moment more.
        fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        with redirect_stderr(_Tee(sys.stderr, file)):
            yield
    finally:
        with suppress(OSError):
            file.close()


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
    end_with(workflow)


def end_with(process: psutil.Process) -> None:
    """Start a watcher that ends this process within a second of another one."""
    threading.Thread(target=_watch, args=(process,), daemon=True).start()


def _watch(process: psutil.Process) -> None:
    while _alive(process):
        time.sleep(0.5)
    os._exit(1)


def _alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
