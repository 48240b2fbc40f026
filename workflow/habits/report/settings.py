"""How the results came about: settings in effect, code, machines, and the time each rule took.

Reads the provenance sidecars of every artifact that the report rests on.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

from habits.artifacts import ArtifactError
from habits.params import Params
from habits.report.documents import document_artifacts, has_documents
from habits.report.inputs import SPLITS, Inputs

# Rules whose jobs write several artifacts into one folder.
WRITES_SEVERAL = ("problems", "rewriting")
PACKAGES = ("torch", "transformers", "verl", "snakemake", "dvc", "numpy", "pandas", "seaborn")


@dataclass(frozen=True)
class RuleTime:
    """How long a rule took.

    Attributes:
        rule: the rule's name.
        jobs: how often it ran.
        seconds: wall time of its jobs, added up.
        longest: wall time of its longest job, seconds.
    """

    rule: str
    jobs: int
    seconds: float
    longest: float


@dataclass(frozen=True)
class Parent:
    """What an artifact was made from: path, hash at that time, anchor of its own entry (or empty)."""

    path: str
    hash: str
    anchor: str


@dataclass(frozen=True)
class Artifact:
    """One artifact and what its sidecar says.

    Attributes:
        path: below the working directory.
        settings: those that it was made with, as YAML.
        code: hash of the package's source.
        seconds: wall time of its job.
    """

    path: str
    rule: str
    hash: str
    seed: int | None
    settings: str
    settings_hash: str
    code: str
    seconds: float
    parents: list[Parent]

    @property
    def anchor(self) -> str:
        """Its place on the page."""
        return anchor(self.path)


@dataclass(frozen=True)
class Provenance:
    """What the sidecars say about the artifacts together.

    Attributes:
        rules: time of each rule, in the order of the chain.
        code_hashes: hashes of the package's source that artifacts were made with.
        versions: versions of the package that artifacts were made with.
        machines: the machines that made them, in words.
        artifacts: every artifact, in the order of the chain.
    """

    rules: list[RuleTime]
    code_hashes: list[str]
    versions: list[str]
    machines: list[str]
    artifacts: list[Artifact]

    @property
    def seconds(self) -> float:
        """Wall time of all jobs, added up; jobs that ran side by side count in full."""
        return sum(rule.seconds for rule in self.rules)


def as_yaml(params: Params) -> str:
    """The settings in effect as YAML, in the order of the model."""
    return yaml.safe_dump(params.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def package_versions() -> dict[str, str]:
    """Versions of the main packages in this environment; those not installed are left out."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def provenance(inputs: Inputs) -> Provenance:
    """The sidecars of everything that the report reads and of all their ancestors, summed up.

    Raises:
        ArtifactError: an artifact has no sidecar, or it is not of the form that `artifacts.stamp` writes.
    """
    records = _with_ancestors(_asked_for(inputs), inputs)
    known = {anchor(_shown(path, inputs)) for path in records}
    rules = list(dict.fromkeys(_rule(path, inputs) for path in records))
    jobs: dict[str, dict[Path, float]] = {rule: {} for rule in rules}
    for path, record in records.items():
        rule = _rule(path, inputs)
        job = path.parent if rule in WRITES_SEVERAL else path
        jobs[rule][job] = max(float(record["wall_seconds"]), jobs[rule].get(job, 0.0))
    found = records.values()
    return Provenance(
        [
            RuleTime(rule, len(times), sum(times.values()), max(times.values()))
            for rule, times in jobs.items()
        ],
        code_hashes=sorted({record["code"]["hash"] for record in found}),
        versions=sorted({record["code"]["habits"] for record in found}),
        machines=sorted({_machine(record["machine"]) for record in found}),
        artifacts=[
            _artifact(rule, path, record, inputs, known)
            for rule in rules
            for path, record in records.items()
            if _rule(path, inputs) == rule
        ],
    )


def _asked_for(inputs: Inputs) -> Iterator[Path]:
    """What the pages read, in the order of the chain."""
    yield from (inputs.problems(split) for split in SPLITS)
    yield from (inputs.base_model(model) for model in inputs.models)
    yield from inputs.demonstrations
    yield from (item.path for item in inputs.priming)
    yield inputs.quality
    if has_documents(inputs.params):
        yield from document_artifacts(inputs)
    for item in inputs.priming:
        yield from inputs.sft(item.priming, item.seed)
    runs = list(dict.fromkeys([*inputs.runs, *inputs.whole.runs]))
    yield from (inputs.metrics(run).parent for run in runs)
    yield from map(inputs.rollouts, runs)
    yield from map(inputs.behaviors, inputs.runs)
    yield from inputs.of_judge
    yield from inputs.tables
    yield inputs.claims
    yield from (figure.with_suffix(".json") for figure in inputs.figures)


def _with_ancestors(paths: Iterable[Path], inputs: Inputs) -> dict[Path, dict[str, Any]]:
    """The sidecars of artifacts and of all that they were made from, parents first."""
    found: dict[Path, dict[str, Any]] = {}

    def add(artifact: Path) -> None:
        if artifact in found:
            return
        record = _sidecar(artifact)
        for name in record.get("parents", {}):
            if (parent := _stamped(name, inputs)) is not None:
                add(parent)
        found[artifact] = record

    for path in paths:
        add(path)
    return found


def _stamped(name: str, inputs: Inputs) -> Path | None:
    """The artifact that a sidecar calls ``name``, or that holds it; None if no step has written it."""
    path = _shown(Path(name), inputs)
    for root, top in ((inputs.results, "results"), (inputs.data, "data")):
        if path.startswith(f"{top}/"):
            place = root / path.removeprefix(f"{top}/")
            return next((p for p in (place, *place.parents) if _sidecar_of(p).exists()), None)
    return None


def _rule(path: Path, inputs: Inputs) -> str:
    """The rule that wrote an artifact: the name of its output folder."""
    return Path(_shown(path, inputs)).parts[1]


def _sidecar_of(artifact: Path) -> Path:
    if artifact.is_dir():
        return artifact / "provenance.json"
    return artifact.with_name(f"{artifact.name}.provenance.json")


def _sidecar(artifact: Path) -> dict[str, Any]:
    path = _sidecar_of(artifact)
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path}: no provenance: {error}; run `snakemake {artifact}` again") from None
    for key in ("wall_seconds", "code", "machine"):
        if key not in content:
            raise ArtifactError(f"{path}: lacks {key}; run `snakemake {artifact}` again")
    return dict(content)


def anchor(path: str) -> str:
    """The anchor of an artifact's entry: its path without slashes and ending."""
    return path.removesuffix(".parquet").replace("/", "-")


def _artifact(rule: str, path: Path, record: dict[str, Any], inputs: Inputs, known: set[str]) -> Artifact:
    parents = [
        Parent(shown, str(hash_), _enclosing(shown, known))
        for name, hash_ in record.get("parents", {}).items()
        for shown in (_shown(Path(name), inputs),)
    ]
    return Artifact(
        path=_shown(path, inputs),
        rule=rule,
        hash=str(record.get("hash", "")),
        seed=record.get("seed"),
        settings=yaml.safe_dump(record.get("settings", {}), sort_keys=False, allow_unicode=True),
        settings_hash=str(record.get("settings_hash", "")),
        code=record["code"]["hash"],
        seconds=float(record["wall_seconds"]),
        parents=parents,
    )


def _shown(path: Path, inputs: Inputs) -> str:
    """A path as it stands below the working directory, whatever it was called by."""
    for root, name in ((inputs.results, "results"), (inputs.data, "data")):
        if path.is_relative_to(root):
            return f"{name}/{path.relative_to(root)}"
    return str(path)


def _enclosing(path: str, known: set[str]) -> str:
    """The anchor of the artifact that is ``path`` or holds it; empty when there is none."""
    places = [path, *(str(folder) for folder in Path(path).parents)]
    return next((found for place in places if (found := anchor(place)) in known), "")


def _machine(machine: dict[str, Any]) -> str:
    return f"{machine['platform']}, {machine['cpus']} CPUs, Python {machine['python']}"
