"""Writing artifacts: all at once or not at all, each with its provenance beside it.

``X.parquet`` gets a sidecar ``X.parquet.provenance.json`` (a folder gets ``provenance.json`` inside):
parameters and their hash, code version, hashes of the parents, seed, wall time, machine. Times stay
out of the artifact itself, so the same inputs give the same bytes.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import json
import os
import platform
import shutil
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import psutil

PACKAGE = Path(__file__).parent
ROOTS = ("data", "results", "reports")
STARTED = time.time()
MANIFEST = "MANIFEST.json"
TIMESTAMP = ".snakemake_timestamp"
# What says when or by whom something was made is not its content, nor is what a killed process left.
NOT_CONTENT = (MANIFEST, TIMESTAMP, "provenance.json", ".part", ".tmp")
FULL = 2**20  # Bytes: a disk with less left counts as full.


class ArtifactError(RuntimeError):
    """An input artifact is missing or not what its name says; the message names the file and the fix."""


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary sibling of ``path`` that takes its place only if the block ends without an error.

    Raises:
        ArtifactError: the disk is full.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with naming_a_full_disk(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            _remove_leftovers(path)
            yield temporary
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            os.replace(temporary, path)
    finally:
        _remove(temporary)


@contextlib.contextmanager
def naming_a_full_disk(path: Path) -> Iterator[None]:
    """Turn the many errors of libraries that write ``path`` on a full disk into one that names it.

    Raises:
        ArtifactError: the disk is full.
    """
    try:
        yield
    except Exception as error:
        expected = type(error).__module__.startswith("habits.")
        full = None if expected else full_disk(path, getattr(error, "errno", None))
        if full is None:
            raise
        raise ArtifactError(f"{path}: {error}\n{full}") from error


def full_disk(path: Path, code: int | None = None) -> str | None:
    """What to tell of the disk of ``path`` if it is full: an error's code says so, or its free space."""
    place = next(folder for folder in path.absolute().parents if folder.exists())
    free = shutil.disk_usage(place).free
    if free > FULL and code not in (errno.ENOSPC, errno.EDQUOT):
        return None
    disk = next(folder for folder in (place.resolve(), *place.resolve().parents) if os.path.ismount(folder))
    return (
        f"The disk of {disk} is full ({free / 1e6:.1f} MB free). Free some space there and run again: "
        "nothing half-written is left, and finished steps stay."
    )


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _remove_leftovers(path: Path) -> None:
    """Remove what a killed process left of its attempt to write ``path``."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        pid = left.suffixes[-2][1:]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            _remove(left)


def write_parquet(frame: pd.DataFrame, path: Path) -> None:
    """Write ``frame`` to ``path`` atomically (zstd, no index)."""
    with replacing(path) as temporary:
        frame.to_parquet(temporary, index=False, compression="zstd")


def write_text(text: str, path: Path) -> None:
    """Write ``text`` to ``path`` atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text)


def read_parquet(path: Path, columns: list[str] | None = None) -> pd.DataFrame:
    """A parquet file as a frame; ArtifactError when it is missing, unreadable or lacks ``columns``."""
    if not path.exists():
        raise ArtifactError(f"{path} does not exist; make it with `snakemake --cores all {path}`")
    try:
        return pd.read_parquet(path, columns=columns)
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path}: not a readable parquet with columns {columns}: {error}") from error


def hash_path(path: Path) -> str:
    """SHA-256 (first 16 hex digits) of a file, or of a folder's files and names; provenance is left out."""
    digest = hashlib.sha256()
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for file in files:
        if file.name.endswith(NOT_CONTENT):
            continue
        digest.update(str(file.relative_to(path)).encode())
        with file.open("rb") as handle:
            digest.update(hashlib.file_digest(handle, "sha256").digest())
    return digest.hexdigest()[:16]


def hash_json(value: Any) -> str:
    """SHA-256 (first 16 hex digits) of a JSON value; TypeError when it holds anything else."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def stamp(path: Path, *, settings: dict[str, Any], parents: list[Path], seed: int | None = None) -> None:
    """Write the provenance of the artifact at ``path``: what made it, from what, when and where."""
    record = {
        "artifact": path.name,
        "hash": hash_path(path),
        "settings": settings,
        "settings_hash": hash_json(settings),
        "seed": seed,
        "parents": {str(parent): hash_path(parent) for parent in parents},
        "code": {"habits": version("habits"), "hash": hash_code()},
        "wall_seconds": round(time.time() - STARTED, 1),
        "machine": {
            "platform": platform.platform(),
            "python": platform.python_version(),
            "cpus": os.cpu_count(),
        },
    }
    sidecar = path / "provenance.json" if path.is_dir() else path.with_name(f"{path.name}.provenance.json")
    write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", sidecar)


def hash_code() -> str:
    """Hash of the package's own source files."""
    digest = hashlib.sha256()
    for file in sorted(PACKAGE.rglob("*.py")):
        digest.update(str(file.relative_to(PACKAGE)).encode() + file.read_bytes())
    return digest.hexdigest()[:16]
