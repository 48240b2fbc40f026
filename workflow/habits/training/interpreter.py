"""The interpreter of the GPU environment, and how its processes are started.

Reads ``HABITS_GPU_PYTHON``; writes nothing.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

PYTHON = "HABITS_GPU_PYTHON"
REPOSITORY = Path(__file__).parents[3]
PR_SET_PDEATHSIG = 1


def gpu_python() -> str:
    """Python of the GPU environment: ``HABITS_GPU_PYTHON``, else ``.venv-gpu``, else this one."""
    installed = REPOSITORY / ".venv-gpu/bin/python"
    return os.environ.get(PYTHON) or (str(installed) if installed.exists() else sys.executable)


def package_environment() -> dict[str, str]:
    """This process's environment, with this checkout's package in reach."""
    path = [str(REPOSITORY / "workflow"), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, path)), "PYTHONUNBUFFERED": "1"}


def dies_with_parent() -> None:
    """Run in a child: the kernel kills it when its parent is gone, kill -9 included (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL("libc.so.6", use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
