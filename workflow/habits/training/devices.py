"""GPUs of one machine for jobs that run side by side: each takes free ones and holds them while it lives.

A lock is the kernel's (``flock``) on a file under ``scratch/gpus``: a killed job holds nothing. Under
Slurm, or with ``CUDA_VISIBLE_DEVICES`` set, somebody else has chosen and nothing is done here.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TextIO

from habits.mistakes import ParamsError

LOCKS = Path("scratch/gpus")
CHOSEN = ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID")


def count_gpus() -> int:
    """GPUs of this machine; 0 without NVIDIA's driver."""
    if shutil.which("nvidia-smi") is None:
        return 0
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True)
    return sum(line.startswith("GPU ") for line in listed.stdout.splitlines())


@contextmanager
def held(count: int, total: int | None = None, wait: float = 1.0) -> Iterator[dict[str, str]]:
    """The environment variable that shows a process ``count`` GPUs that no other job here holds.

    Args:
        count: how many.
        total: GPUs of the machine; None: ask the driver.
        wait: seconds between two looks while too few are free.

    Raises:
        ParamsError: the machine has fewer.
    """
    total = count_gpus() if total is None else total
    if not count or not total or any(name in os.environ for name in CHOSEN):
        yield {}
        return
    if count > total:
        raise ParamsError(f"resources ask for {count} GPUs, this machine has {total}; lower resources.*.gpus")
    while True:
        with ExitStack() as locks:
            free: list[int] = []
            for number in range(total):
                if len(free) < count and _take(number, locks):
                    free.append(number)
            if len(free) == count:
                yield {"CUDA_VISIBLE_DEVICES": ",".join(map(str, free))}
                return
        time.sleep(wait)


def _take(number: int, locks: ExitStack) -> bool:
    LOCKS.mkdir(parents=True, exist_ok=True)
    file: TextIO = locks.enter_context((LOCKS / f"{number}.lock").open("w"))
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
