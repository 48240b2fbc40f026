"""What DVC can give back: results that are gone, and those that a killed DVC left half-way.

DVC replaces a file by removing it and linking it anew from its cache; a kill in between loses the file from
the working directory. So each result gets a second name before DVC takes it in (`keep`), and whoever
starts next looks whether a file is missing (`give_back`). Results that DVC has already recorded come back
from its cache (`bring_back`).

Reads dvc.lock, ``.dvc/cache`` and ``.dvc/tmp/rwlock``; writes results and ``.snakemake/habits/kept``.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import psutil
import yaml

from habits.artifacts import ROOTS, replacing
from habits.hashing import digest

LOCK = Path("dvc.lock")
KEPT = Path(".snakemake/habits/kept")
RUNNING = Path(".dvc/tmp/rwlock")  # Who works on what, by process id; those of killed processes stay.
UNFINISHED = ".*.tmp"


def keep() -> None:
    """Give each result that is not in DVC's cache yet a second name, until DVC has it."""
    shutil.rmtree(KEPT, ignore_errors=True)
    KEPT.mkdir(parents=True)
    if LOCK.exists():
        shutil.copy(LOCK, KEPT)
    for file in results():
        if file.stat().st_nlink == 1 and not file.is_symlink():
            (KEPT / file.parent).mkdir(parents=True, exist_ok=True)
            with suppress(OSError):  # No hard links here: then DVC has to copy, and removes nothing.
                os.link(file, KEPT / file)


def give_back() -> None:
    """Put back what vanished from the results since `keep`, unless DVC has finished its work."""
    if not KEPT.exists():
        return
    if LOCK.exists() and _recorded() is None:  # DVC writes it in place.
        LOCK.unlink()
    before = (KEPT / LOCK).read_bytes() if (KEPT / LOCK).exists() else b""
    if before and not LOCK.exists():
        LOCK.write_bytes(before)
    if before == (LOCK.read_bytes() if LOCK.exists() else b""):
        for kept in KEPT.glob("*/**/*"):
            file = kept.relative_to(KEPT)
            if kept.is_file() and not file.exists():
                file.parent.mkdir(parents=True, exist_ok=True)
                kept.rename(file)
    drop()


def drop() -> None:
    """Forget the second names."""
    shutil.rmtree(KEPT, ignore_errors=True)


def tidy() -> None:
    """Remove what a killed DVC left: files that it was writing, and a list of work that it cannot read."""
    if not RUNNING.exists():
        return
    workers = _workers()
    living = {worker for worker in workers or () if _is_alive(worker)}
    # A DVC that started us, as `dvc repro` does, writes nothing before we are done.
    waiting = {process.pid for process in psutil.Process().parents()}
    if workers == set() or living - waiting:
        return
    if not living:
        RUNNING.unlink()  # DVC cannot read half of it, and may take a process of the same number for its own.
    for file in (path for root in ROOTS for path in Path(root).rglob(UNFINISHED)):
        file.unlink()


def _workers() -> set[int] | None:
    """Process ids on DVC's list of work, dead ones too; None if half of it was written."""
    try:
        work = json.loads(RUNNING.read_text())
    except ValueError:
        return None
    readers = {worker["pid"] for workers in work.get("read", {}).values() for worker in workers}
    return readers | {worker["pid"] for worker in work.get("write", {}).values()}


def _is_alive(worker: int) -> bool:
    """Whether a process is there, no zombie and no other program of that number."""
    try:
        process = psutil.Process(worker)
        return process.status() != psutil.STATUS_ZOMBIE and any("dvc" in word for word in process.cmdline())
    except psutil.Error:  # Gone, a zombie, or somebody else's.
        return False


def bring_back(wanted: Mapping[str, str | None]) -> list[str]:
    """Bring back files from DVC's cache.

    Args:
        wanted: path -> SHA-256 that the file must have; None for whatever dvc.lock records.

    Returns:
        the files that are there again.
    """
    found: list[str] = []
    if not wanted:
        return found
    for name, stored in _objects().items():
        if name in wanted and stored.exists() and wanted[name] in (None, digest(stored)):
            with replacing(Path(name)) as temporary:
                try:
                    os.link(stored, temporary)
                except OSError:  # On another disk.
                    shutil.copyfile(stored, temporary)
            found.append(name)
    return found


def fetch(names: Iterable[str]) -> None:
    """Let DVC fetch files from the remote into its cache, as far as there is one and it has them."""
    if _recorded() is not None and _dvc("remote", "list").strip():
        _dvc("fetch", *names)


def drop_broken_objects() -> dict[str, list[str]]:
    """Remove objects of DVC's cache whose content is not what their name says; DVC never looks into them.

    Returns:
        object -> results that are linked to it. They stay, each as a file of its own.
    """
    broken: dict[str, list[str]] = {}
    for stored in sorted(_cache().glob("??/*")) if Path(".dvc").is_dir() else []:
        name = (stored.parent.name + stored.name).removesuffix(".dir")
        if digest(stored, "md5") != name:
            linked = [file for file in results() if file.samefile(stored)]
            for file in linked:
                if file.is_symlink():
                    with replacing(file) as temporary:
                        shutil.copyfile(stored, temporary)
            stored.unlink()
            broken[str(stored)] = list(map(str, linked))
    return broken


@cache
def _cache() -> Path:
    return Path(_dvc("cache", "dir").strip()) / "files/md5"


def _dvc(*words: str) -> str:
    """What a command of DVC prints on its standard output; empty if it fails."""
    command = [sys.executable, "-m", "dvc", *words]
    environment = os.environ | {"DVC_NO_ANALYTICS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    return "" if done.returncode else done.stdout


def results() -> Iterator[Path]:
    """All files in the output folders."""
    return (path for root in ROOTS for path in Path(root).rglob("*") if path.is_file())


def _objects() -> dict[str, Path]:
    """Path of each file that dvc.lock records -> where DVC's cache has it, if it does."""
    objects: dict[str, Path] = {}
    for stage in (_recorded() or {}).values():
        folder = _cache()
        for out in stage.get("outs", []):
            stored = folder / out["md5"][:2] / out["md5"][2:]
            for part in json.loads(stored.read_text()) if stored.suffix == ".dir" and stored.exists() else []:
                objects[f"{out['path']}/{part['relpath']}"] = folder / part["md5"][:2] / part["md5"][2:]
    return objects


def _recorded() -> dict[str, Any] | None:
    """The stages in dvc.lock; None if there is no such file, or only a part of it."""
    try:
        stages: dict[str, Any] = yaml.safe_load(LOCK.read_text())["stages"]
        whole = all("md5" in out for stage in stages.values() for out in stage.get("outs", []))
    except (OSError, yaml.YAMLError, TypeError, KeyError, AttributeError):
        return None
    return stages if whole else None
