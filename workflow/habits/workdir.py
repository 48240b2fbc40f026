"""What a workflow process sets up in its working directory: settings for its jobs, and one lock.

Snakemake keeps its locks as files, which a killed process leaves behind. This module holds a lock
that the kernel drops with the process (``flock``), so it can tell a live workflow from a dead one.

Reads and writes ``.snakemake/`` in the working directory.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from habits import jobs
from habits.artifacts import hash_json, write_text
from habits.params import Params, load

COMMANDS = Path(__file__).parents[1] / "bin"


def enter(folder: Path = Path(".snakemake"), alone: Callable[[], None] = lambda: None) -> TextIO:
    """Mark ``folder`` as used by this process; remove locks there if no other live process uses it.

    Args:
        folder: Snakemake's own folder in the working directory.
        alone: what to do, before anybody else may enter, if no other live process is here.

    Returns:
        the open lock file; the mark lasts while it stays open. Child processes do not inherit it.
    """
    folder.mkdir(exist_ok=True)
    lock = (folder / "habits.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pass  # Another workflow lives here: Snakemake's own locks say whether the two collide.
    else:
        shutil.rmtree(folder / "locks", ignore_errors=True)
        alone()
    fcntl.flock(lock, fcntl.LOCK_SH)
    return lock


def environment(params: Params) -> dict[str, str]:
    """Environment of the jobs: where settings and commands are, and whom to outlive by no more than a second.

    ``habits`` comes from this checkout, its interpreter from the environment that a job runs in.
    """
    return {
        "PATH": os.pathsep.join([str(COMMANDS), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONHASHSEED": "0",
        jobs.PARAMS_FILE: str(write_settings(params)),
        jobs.WORKFLOW_PID: jobs.workflow_mark(),
    }


def handed_down() -> Params | None:
    """Settings of the workflow that submitted this job; None if it left no word of them.

    A cluster job parses the Snakefile when it starts; by then params.yaml may have been edited.
    """
    path = os.environ.get(jobs.PARAMS_FILE)
    return load(Path(path)) if path else None


def write_settings(params: Params, folder: Path = Path(".snakemake/habits")) -> Path:
    """Write the settings in effect where jobs read them; the name holds their hash.

    A name for each content keeps a dry run with other settings from changing those of a live run.
    """
    text = params.model_dump_json(indent=1)
    path = folder.absolute() / f"params-{hash_json(text)}.yaml"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_text(text + "\n", path)
    return path
