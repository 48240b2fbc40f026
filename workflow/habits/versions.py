"""DVC's record of a finished run: dvc.lock and the cache, brought up to date in one step.

Reads dvc.yaml, params.yaml, all results and the replies of language models; writes dvc.lock and
``.dvc/cache``, and gives new replies their lasting names. Without git or DVC's
folder there is nothing to record in, and nothing happens.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from habits import restore
from habits.artifacts import MANIFEST, ROOTS, ArtifactError, full_disk, write_text
from habits.hashing import Hashes, combined
from habits.llm import segments

RECORDED = Path(".snakemake/habits/recorded")
SOURCES = ("Snakefile", "dvc.yaml", "dvc.lock", "params.yaml")


def record() -> None:
    """Let DVC take in all results as those of params.yaml and the code as they stand.

    Inside a stage of DVC it is only prepared, new replies by their lasting names: DVC records its outputs
    itself.

    Raises:
        ArtifactError: DVC failed; the message holds its own.
    """
    if is_stage():
        segments.admit(segments.REPLIES)
    if not _tracked():
        return
    if is_stage():
        restore.keep()
        return
    admitted = segments.admit(segments.REPLIES)
    hashes = Hashes()
    if RECORDED.exists() and RECORDED.read_text() == _state(hashes):
        return
    restore.keep()
    # A commit of all phases as they are: the workflow has just said that they are up to date.
    run = subprocess.run(
        [sys.executable, "-m", "dvc", "commit", "--force"],
        env=os.environ | {"DVC_NO_ANALYTICS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if run.returncode:
        restore.give_back()
        segments.withdraw(admitted)
        advice = full_disk(restore.LOCK) or "Try `habits record` again."
        raise ArtifactError(f"DVC has not recorded the results:\n{run.stdout.strip()}\n{advice}")
    restore.drop()
    write_text(_state(hashes), RECORDED)
    hashes.save()


def is_stage() -> bool:
    """Whether DVC has started this process as a stage."""
    return "DVC_STAGE" in os.environ


def _tracked() -> bool:
    inside = Path("dvc.yaml").exists() and Path(".dvc").is_dir() and Path(".git").exists()
    return inside and shutil.which("git") is not None


def _state(hashes: Hashes) -> str:
    """A hash of all that dvc.lock is made from; manifests stand for the results."""
    code = (path for path in Path("workflow").rglob("*") if "__pycache__" not in path.parts)
    manifests = (path for root in ROOTS for path in Path(root).glob(f"**/{MANIFEST}"))
    files = [*map(Path, SOURCES), *code, *manifests, *segments.segments(segments.REPLIES).values()]
    return combined({str(path): hashes.file(path) for path in files if path.is_file()})
