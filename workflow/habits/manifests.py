"""Provenance that travels with the data, and content (never mtime) that decides what is stale.

Snakemake's knowledge of what made a file lies in ``.snakemake/metadata`` and in modification times. Neither
survives a ``dvc pull``. So each output folder carries a MANIFEST.json: for every output Snakemake's own
record, the hash of each of its files, and the hash of each input that it was made from; the same for all
that it descends from, so that a folder pulled alone still knows its past. No times: the same run gives
the same manifest.

``export`` (after a run) writes the manifests. ``reconcile`` (before a workflow is planned) reads them:
it restores lost records, lifts the mtime of each output that was made from the inputs as they are now
above theirs, and sets that of any other to 1970, so that Snakemake's own rules decide rightly.
"""

from __future__ import annotations

import json
import os
import sys
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from habits import restore
from habits.artifacts import MANIFEST, ROOTS, ArtifactError, write_text
from habits.hashing import Hashes, mtime

FIGURES = Path("results/figures")
METADATA = Path(".snakemake/metadata")
INCOMPLETE = Path(".snakemake/incomplete")
EXPORTED = Path(".snakemake/habits/exported.json")
# Differs between two runs that are the same in all that counts.
FLEETING = ("starttime", "endtime", "job_hash", "external_jobid", "incomplete")
NAME_MAX = 254  # Snakemake splits longer names of records into folders.
LONG_AGO = 10**9
MTIME_ROUNDING = 1e-5  # Seconds: Snakemake records mtimes as floats.

Record = dict[str, Any]


@dataclass(frozen=True)
class Entry:
    """What is known of one output.

    Attributes:
        record: Snakemake's metadata record, without times.
        files: SHA-256 of the output, or of each file of an output folder.
        inputs: content hash of each input when the output was made; None when it changed since.
    """

    record: Record
    files: dict[str, str]
    inputs: dict[str, str | None]


def reconcile() -> None:
    """Make Snakemake's records and all modification times fit the contents of the files.

    Raises:
        ArtifactError: files are not what was recorded of them.
    """
    restore.tidy()
    restore.give_back()
    hashes, entries = Hashes(), read_manifests()
    _bring_back(entries)
    exported = _exported()
    changed: list[str] = []
    stale: list[Path] = []
    for output in _in_order(entries):
        entry, path, record = entries[output], Path(output), read_record(output)
        if _record_path(INCOMPLETE, output).exists():
            continue
        if not path.exists():
            if record is None:
                _write_record(output, entry.record)
            continue
        files = hashes.files(path)
        if files != entry.files:
            if record is not None and _made_since(path, record, exported.get(output)):
                continue  # By a run that was killed before it wrote manifests: Snakemake knows it well.
            changed += _changed(entry, files)
        if record is None or _lasting(record) != entry.record:
            _write_record(output, entry.record)
        if not _keep(path, entry, hashes):
            stale.append(path)
    # Last, as files of equal content may be one file by hard links: then stale wins.
    for path in stale:
        hashes.touch(path, LONG_AGO)
    hashes.save()
    if changed:
        raise ArtifactError(
            "not what was recorded:\n  " + "\n  ".join(changed) + "\n"
            "`habits repair` restores it; `habits accept FILE` takes it as it is, and what was made from it "
            "will be made again."
        )


def export() -> None:
    """Write the manifest of every output folder, if it changes."""
    hashes, entries, exported = Hashes(), read_manifests(), _exported()
    for output, record in _records():
        path = Path(output)
        if not path.exists() or _record_path(INCOMPLETE, output).exists():
            continue
        if output not in entries or _made_since(path, record, exported.get(output)):
            entries[output] = _entry(path, record, hashes)
        exported[output] = record["endtime"]
    for folder, own in _by_folder(entries).items():
        text = json.dumps({output: asdict(entries[output]) for output in _past(own, entries)}, indent=1)
        manifest = folder / MANIFEST
        if not manifest.exists() or manifest.read_text() != text:
            write_text(text, manifest)
    write_text(json.dumps(exported), EXPORTED)
    hashes.save()


def accept(files: list[Path]) -> None:
    """Take changed outputs as they are; what was made from them becomes stale.

    Raises:
        ArtifactError: a file belongs to no recorded output.
    """
    hashes, entries = Hashes(), read_manifests()
    for file in files:
        output = next((str(path) for path in (file, *file.parents) if str(path) in entries), None)
        if output is None:
            raise ArtifactError(f"{file}: no manifest knows this file; nothing to accept")
        manifest = _folder(Path(output)) / MANIFEST
        document = json.loads(manifest.read_text())
        document[output]["files"] = hashes.files(Path(output))
        write_text(json.dumps(document, indent=1), manifest)
    hashes.save()


def read_manifests() -> dict[str, Entry]:
    """All that the manifests know. Of an output, its own folder's manifest knows best."""
    own: dict[str, Entry] = {}
    past: dict[str, Entry] = {}
    for manifest in all_manifests():
        for output, entry in read_manifest(manifest).items():
            here = Path(output).is_relative_to(manifest.parent)
            (own if here else past)[output] = entry
    return past | own


def read_manifest(manifest: Path) -> dict[str, Entry]:
    """What one manifest knows; ArtifactError when it is broken."""
    try:
        return {output: Entry(**entry) for output, entry in json.loads(manifest.read_text()).items()}
    except (ValueError, TypeError, AttributeError):
        raise ArtifactError(f"{manifest} is broken; `habits repair` restores it") from None


def read_record(output: str) -> Record | None:
    """Snakemake's metadata record of an output."""
    path = _record_path(METADATA, output)
    try:
        record: Record = json.loads(path.read_text())
    except (
        FileNotFoundError,
        ValueError,
    ):  # Snakemake writes records in place: a crash leaves a part of one.
        return None
    return record


def _bring_back(entries: dict[str, Entry]) -> None:
    """Let DVC give back what is gone, if it was made here or pulled and something descends from it.

    Figures aside: to delete one is how users ask for it to be drawn again, and Snakemake sees that itself.
    """
    own = {output for output in entries if is_own(output) and _folder(Path(output)) != FIGURES}
    past = own.intersection(_past({output for output in own if Path(output).exists()}, entries))
    files = {name: digest for output in past for name, digest in entries[output].files.items()}
    gone = {name: digest for name, digest in files.items() if not Path(name).exists()}
    if gone and (found := restore.bring_back(gone)):
        print(f"Brought back from DVC's cache: {', '.join(found)}", file=sys.stderr)


def is_own(output: str) -> bool:
    """Whether an output's folder has a manifest, i.e. was made or pulled here."""
    return (_folder(Path(output)) / MANIFEST).exists()


def all_manifests() -> list[Path]:
    """The manifests of all output folders."""
    return sorted(
        path
        for root in ROOTS
        for path in (Path(root) / MANIFEST, *Path(root).glob(f"*/{MANIFEST}"))
        if path.exists()
    )


def _folder(output: Path) -> Path:
    """The folder whose manifest an output belongs to: results/rl, data/problems, reports."""
    folder = Path(*output.parts[:2])
    return folder if len(output.parts) > 2 or folder.is_dir() else folder.parent


def _by_folder(entries: dict[str, Entry]) -> dict[Path, set[str]]:
    folders: dict[Path, set[str]] = {}
    for output in entries:
        if Path(output).exists():
            folders.setdefault(_folder(Path(output)), set()).add(output)
    return folders


def _past(outputs: set[str], entries: dict[str, Entry]) -> list[str]:
    """The outputs and all that they descend from, sorted; with an output, all others of its job."""
    jobs: dict[tuple[str, str], list[str]] = {}
    for output, entry in entries.items():
        jobs.setdefault(_job(entry), []).append(output)
    found: set[str] = set()
    todo = list(outputs)
    while todo:
        output = todo.pop()
        if output in entries and output not in found:
            found.add(output)
            todo += [*entries[output].inputs, *jobs[_job(entries[output])]]
    return sorted(found)


def _job(entry: Entry) -> tuple[str, str]:
    return entry.record["rule"], entry.record["shellcmd"]


def _in_order(entries: dict[str, Entry]) -> list[str]:
    """All outputs, inputs first."""
    graph = {output: set(entry.inputs) & set(entries) for output, entry in entries.items()}
    return list(TopologicalSorter(graph).static_order())


def _entry(path: Path, record: Record, hashes: Hashes) -> Entry:
    made = mtime(path)
    inputs = {name: Path(name) for name in record["input"] or []}
    return Entry(
        record=_lasting(record),
        files=hashes.files(path),
        inputs={
            name: hashes.content(file) if file.exists() and mtime(file) <= made else None
            for name, file in inputs.items()
        },
    )


def _changed(entry: Entry, files: dict[str, str]) -> list[str]:
    names = sorted(set(entry.files) | set(files))
    return [name for name in names if entry.files.get(name) != files.get(name)]


def _keep(path: Path, entry: Entry, hashes: Hashes) -> bool:
    """Whether an output was made from its inputs as they are now; then it becomes no older than they are."""
    there = [Path(name) for name in entry.inputs if Path(name).exists()]
    if any(hashes.content(file) != entry.inputs[str(file)] for file in there):
        return False
    newest = max(map(mtime, there), default=0)
    if mtime(path) < newest:
        hashes.touch(path, newest)
    for log in map(Path, entry.record["log"]):
        _lift_benchmark(log.with_suffix(".tsv"), newest)
    return True


def _lift_benchmark(benchmark: Path, newest: int) -> None:
    """Snakemake holds a benchmark for an output: it must be there, and no older than the inputs.

    Benchmarks don't travel; that of a step that ran elsewhere is empty.
    """
    if not benchmark.exists():
        benchmark.parent.mkdir(parents=True, exist_ok=True)
        benchmark.touch()
    if benchmark.stat().st_mtime_ns < newest:
        os.utime(benchmark, ns=(newest, newest))


def _made_since(path: Path, record: Record, exported: float | None) -> bool:
    """Whether Snakemake made an output after its last export; it records the output's mtime."""
    made = record.get("endtime") or 0.0
    return made != exported and abs(mtime(path) / 1e9 - made) < MTIME_ROUNDING


def _exported() -> dict[str, float]:
    """Output -> mtime in the record that the last export saw here."""
    try:
        exported: dict[str, float] = json.loads(EXPORTED.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return exported


def _lasting(record: Record) -> Record:
    return {key: value for key, value in sorted(record.items()) if key not in FLEETING}


def _records() -> Iterator[tuple[str, Record]]:
    for path in sorted(METADATA.rglob("*")):
        if path.is_file():
            name = "".join(part.removeprefix("@") for part in path.relative_to(METADATA).parts)
            output = urlsafe_b64decode(name).decode()
            if Path(output).parts[0] in ROOTS and (record := read_record(output)) is not None:
                yield output, record


def _write_record(output: str, record: Record) -> None:
    write_text(
        json.dumps(record | {"starttime": 0.0, "endtime": 0.0, "incomplete": False}),
        _record_path(METADATA, output),
    )


def _record_path(root: Path, output: str) -> Path:
    name = urlsafe_b64encode(output.encode()).decode()
    parts = [name[start : start + NAME_MAX] for start in range(0, len(name), NAME_MAX)]
    return root.joinpath(*(f"@{part}" for part in parts[:-1]), parts[-1])
