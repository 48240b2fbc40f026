"""Content hashes of files and folders, remembered by size, mtime and inode so that no byte is read twice.

Reads and writes ``.snakemake/habits/hashes.json`` in the working directory.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path

from habits.artifacts import NOT_CONTENT, TIMESTAMP, write_text

STORE = Path(".snakemake/habits/hashes.json")


class Hashes:
    """SHA-256 of every file asked for.

    Args:
        store: where hashes are remembered.
        afresh: believe no remembered hash, but read every file.
    """

    def __init__(self, store: Path = STORE, *, afresh: bool = False) -> None:
        self.store = store
        self.known: dict[str, tuple[list[int], str]] = {}
        if store.exists() and not afresh:
            with contextlib.suppress(ValueError):  # Broken by a crash: then all is read again.
                self.known = json.loads(store.read_text())

    def file(self, path: Path) -> str:
        """SHA-256 of one file."""
        key, signature = str(path), _signature(path)
        hit = self.known.get(key)
        if hit is None or hit[0] != signature:
            hit = signature, digest(path)
            self.known[key] = hit
        return hit[1]

    def files(self, output: Path) -> dict[str, str]:
        """SHA-256 of a file (under its own path) or of each file in a folder."""
        if not output.is_dir():
            return {str(output): self.file(output)}
        found = sorted(path for path in output.rglob("*") if not path.name.endswith(NOT_CONTENT))
        return {str(path): self.file(path) for path in found if path.is_file()}

    def content(self, output: Path) -> str:
        """One hash of a file, or of a folder's files and their names."""
        return combined(self.files(output))

    def touch(self, output: Path, mtime: int) -> None:
        """Set the modification time that Snakemake sees (nanoseconds); the content stays known."""
        if output.is_dir():
            (output / TIMESTAMP).touch()
            os.utime(output / TIMESTAMP, ns=(mtime, mtime))
            return
        known = self.file(output)
        os.utime(output, ns=(mtime, mtime))
        if output.is_symlink():
            os.utime(output, ns=(mtime, mtime), follow_symlinks=False)
        self.known[str(output)] = _signature(output), known

    def save(self) -> None:
        """Write what is known now for the next process."""
        write_text(json.dumps(self.known), self.store)


def digest(path: Path, algorithm: str = "sha256") -> str:
    """Hash of one file's content, read now."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, algorithm).hexdigest()


def combined(files: dict[str, str]) -> str:
    """One hash of many files."""
    return hashlib.sha256(json.dumps(sorted(files.items())).encode()).hexdigest()


def mtime(output: Path) -> int:
    """Modification time as Snakemake sees it, in nanoseconds: of a folder, that of its timestamp file."""
    timestamp = output / TIMESTAMP
    if output.is_dir() and timestamp.exists():
        output = timestamp
    return max(output.stat().st_mtime_ns, output.lstat().st_mtime_ns)


def _signature(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ino]
