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
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

import psutil

from habits import jobs, versions
from habits.artifacts import ArtifactError, hash_json, write_text
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
    _end_with_dvc()
    folder.mkdir(exist_ok=True)
    lock = (folder / "habits.lock").open("a+")
    if _lock_alone(lock):
        shutil.rmtree(folder / "locks", ignore_errors=True)
        alone()
    else:  # Snakemake's own locks say whether the two collide.
        print(
            f"Another run is at work in this folder: {_holder(lock)}. Wait for its end, or stop it. "
            "Its locks are in use: --unlock would let both write the same files.",
            file=sys.stderr,
        )
    fcntl.flock(lock, fcntl.LOCK_SH)
    return lock


@contextmanager
def undisturbed(folder: Path = Path(".snakemake")) -> Iterator[None]:
    """Keep workflows out of ``folder`` while the block runs.

    Raises:
        ArtifactError: one is at work.
    """
    folder.mkdir(exist_ok=True)
    with (folder / "habits.lock").open("a+") as lock:
        if not _lock_alone(lock):
            raise ArtifactError(f"a run is at work in this folder: {_holder(lock)}. Wait for its end")
        yield


def _lock_alone(lock: TextIO) -> bool:
    """Take the lock if nobody has it, and leave a note who did."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    with suppress(OSError):  # The disk may be full.
        lock.truncate(0)
        lock.write(f"process {os.getpid()} ({' '.join(map(os.path.basename, sys.argv))})")
        lock.flush()
    return True


def _holder(lock: TextIO) -> str:
    lock.seek(0)
    return lock.read()


def _end_with_dvc() -> None:
    """Let a workflow that is a stage of DVC end with DVC: nobody else would record its results."""
    if versions.is_stage():
        dvc = next((parent for parent in psutil.Process().parents() if _is_dvc(parent)), None)
        if dvc is not None:
            jobs.end_with(dvc)


def _is_dvc(process: psutil.Process) -> bool:
    return any(Path(word).name.startswith("dvc") for word in process.cmdline()[:3])


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
