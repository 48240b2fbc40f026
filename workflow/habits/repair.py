"""`habits repair`: every result compared with its manifest, byte by byte, and made as it was recorded.

What is broken or gone comes back from DVC's cache or its remote. What neither has is deleted, to be made
again. Objects of the cache whose content is not what their name says go first: DVC never
looks into them and would bring the damage back.

Reads and writes the results and DVC's cache.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from habits import manifests, restore, versions
from habits.artifacts import NOT_CONTENT, ArtifactError
from habits.hashing import Hashes


@dataclass(frozen=True)
class Repaired:
    """What was done, as paths.

    Attributes:
        objects: removed from DVC's cache.
        restored: files that are again as recorded.
        deleted: outputs that have to be made again.
        lost: files that no step can make again (replies of a model) and DVC has no sound copy of; they stay.
        strangers: files in an output folder that no step wrote; they stay.
    """

    objects: list[str]
    restored: list[str]
    deleted: list[str]
    lost: list[str]
    strangers: list[str]

    def __str__(self) -> str:
        parts = {
            "Broken or unfinished, removed from DVC's cache": self.objects,
            "Restored": self.restored,
            f"Deleted; make it again with `snakemake --cores all {' '.join(self.deleted)}`": self.deleted,
            "Broken, and DVC has no sound copy": self.lost,
            "Written by no step; move it elsewhere and repair again": self.strangers,
        }
        told = [
            f"{words}:" + "".join(f"\n  {name}" for name in names) for words, names in parts.items() if names
        ]
        return "\n".join(told) or "All results are as recorded."


def repair() -> Repaired:
    """Bring all results to the state that their manifests record."""
    restore.tidy()
    restore.give_back()
    objects = restore.drop_broken_objects()
    if objects:
        versions.RECORDED.unlink(missing_ok=True)  # DVC takes the results in anew, and completes its cache.
    suspects = {file for files in objects.values() for file in files} | set(_unreadable_manifests())
    restored = _from_dvc(dict.fromkeys(suspects))
    for manifest in _unreadable_manifests():
        Path(manifest).unlink()  # Made again from Snakemake's records.
    manifests.export()

    hashes = Hashes(afresh=True)
    wrong, strangers = _compare(hashes)
    restored += _from_dvc(wrong)
    wrong, _ = _compare(hashes)
    deleted = [output for output, entry in _own().items() if wrong.keys() & entry.files.keys()]
    for output in deleted:
        if not any(Path(name).is_relative_to(output) for name in strangers):
            shutil.rmtree(output, ignore_errors=True)
            Path(output).unlink(missing_ok=True)
    hashes.save()
    lost = [name for name in suspects - {*restored} if Path(name).exists() and not _can_be_made(name)]
    return Repaired(sorted(objects), sorted({*restored}), deleted, sorted(lost), strangers)


def _unreadable_manifests() -> list[str]:
    broken = []
    for manifest in manifests.all_manifests():
        try:
            manifests.read_manifest(manifest)
        except ArtifactError:
            broken.append(str(manifest))
    return broken


def _can_be_made(name: str) -> bool:
    """Whether a file is an output of a step, or is written beside one."""
    return name.endswith(NOT_CONTENT) or any(Path(name).is_relative_to(output) for output in _own())


def _own() -> dict[str, manifests.Entry]:
    """Outputs that the manifest of their own folder knows; others were never pulled."""
    return {output: entry for output, entry in manifests.read_manifests().items() if manifests.is_own(output)}


def _compare(hashes: Hashes) -> tuple[dict[str, str | None], list[str]]:
    """Files that are not as recorded, with the hash that they should have; and files that nobody recorded."""
    wrong: dict[str, str | None] = {}
    strangers: list[str] = []
    for output, entry in _own().items():
        files = hashes.files(Path(output)) if Path(output).exists() else {}
        wrong |= {name: known for name, known in entry.files.items() if files.get(name) != known}
        strangers += sorted(files.keys() - entry.files.keys())
    return wrong, strangers


def _from_dvc(wanted: dict[str, str | None]) -> list[str]:
    """Bring files back from the cache, or else from the remote."""
    found = restore.bring_back(wanted)
    missing = {name: known for name, known in wanted.items() if name not in found}
    if missing:
        restore.fetch(missing)
        found += restore.bring_back(missing)
    return found
