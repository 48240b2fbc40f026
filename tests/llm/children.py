"""Real processes that tests may kill, forked from one that has imported everything: they start in no time."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from asking import CANARY

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    ["habits.llm.client", "habits.llm.anthropic_messages", "habits.llm.openai_chat", "pandas"]
)


def start(target: Callable[..., None], *args: Any, log: Path | None = None) -> BaseProcess:
    """A process that calls ``target`` in this working directory; what it prints goes to ``log``."""
    process = CONTEXT.Process(target=_run, args=(target, args, log), daemon=True)
    process.start()
    return process


def finish(*processes: BaseProcess, seconds: float = 120) -> list[int | None]:
    """Exit codes, once all have ended."""
    for process in processes:
        process.join(seconds)
    return [process.exitcode for process in processes]


def _run(target: Callable[..., None], args: tuple[Any, ...], log: Path | None) -> None:
    os.environ["CANARY_KEY"] = CANARY
    descriptor = os.open(log or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    sys.stderr.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    target(*args)
