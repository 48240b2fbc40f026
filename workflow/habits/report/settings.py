"""How the results came about: settings in effect, code, machines, and the time each rule took.

Reads the provenance sidecars of every artifact that the matrix asks for.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

from habits.artifacts import ArtifactError
from habits.params import Params
from habits.report.documents import document_artifacts, has_documents, rewriting_artifacts
from habits.report.inputs import SPLITS, Inputs

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


@dataclass(frozen=True)
class _Job:
    """One run of a rule, and the stamped artifacts that it wrote."""

    rule: str
    artifacts: tuple[Path, ...]


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
    """The sidecars of everything that the matrix asks for, summed up.

    Raises:
        ArtifactError: an artifact has no sidecar, or it is not of the form that `artifacts.stamp` writes.
    """
    seconds: dict[str, list[float]] = {}
    records = []
    artifacts: list[Artifact] = []
    known = {anchor(_shown(path, inputs)) for job in _jobs(inputs) for path in job.artifacts}
    for job in _jobs(inputs):
        made = [_sidecar(artifact) for artifact in job.artifacts]
        for path, record in zip(job.artifacts, made, strict=True):
            artifacts.append(_artifact(job.rule, path, record, inputs, known))
        seconds.setdefault(job.rule, []).append(max(float(record["wall_seconds"]) for record in made))
        records += made
    return Provenance(
        [RuleTime(rule, len(times), sum(times), max(times)) for rule, times in seconds.items()],
        code_hashes=sorted({record["code"]["hash"] for record in records}),
        versions=sorted({record["code"]["habits"] for record in records}),
        machines=sorted({_machine(record["machine"]) for record in records}),
        artifacts=artifacts,
    )


def _jobs(inputs: Inputs) -> Iterator[_Job]:
    """Every job of the matrix in the order of the chain."""
    yield _Job("problems", tuple(inputs.problems(split) for split in SPLITS))
    yield from (_Job("base_model", (inputs.base_model(model),)) for model in inputs.models)
    yield from (_Job("teaching", (path,)) for path in inputs.demonstrations)
    yield from (_Job("priming", (item.path,)) for item in inputs.priming)
    yield _Job("quality", (inputs.quality,))
    if has_documents(inputs.params):
        folders = (path for path in document_artifacts(inputs) if path.suffix != ".parquet")
        yield from (_Job(path.name, (path,)) for path in folders if path not in inputs.tables)
    if rewritten := rewriting_artifacts(inputs):
        yield _Job("rewriting", tuple(rewritten))
    for item in inputs.priming:
        yield from (_Job("sft", (folder,)) for folder in inputs.sft(item.priming, item.seed))
    yield from (_Job("rl", (inputs.metrics(run).parent,)) for run in inputs.runs)
    yield from (_Job("rollouts", (inputs.rollouts(run),)) for run in inputs.runs)
    others = [run for run in inputs.whole.runs if run not in inputs.params.runs]
    yield from (_Job("rl", (inputs.metrics(run).parent,)) for run in others)
    yield from (_Job("rollouts", (inputs.rollouts(run),)) for run in others)
    yield from (_Job("behaviors", (inputs.behaviors(run),)) for run in inputs.runs)
    if inputs.of_judge:
        yield from (_Job("judging", (inputs.judging(run),)) for run in inputs.runs)
        yield _Job("calibration", (inputs.calibration,))
    yield from (_Job(folder.name, (folder,)) for folder in inputs.tables)
    yield _Job("claims", (inputs.claims,))
    yield from (_Job("figures", (figure.with_suffix(".json"),)) for figure in inputs.figures)


def _sidecar(artifact: Path) -> dict[str, Any]:
    folder = artifact.is_dir()
    path = artifact / "provenance.json" if folder else artifact.with_name(f"{artifact.name}.provenance.json")
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
