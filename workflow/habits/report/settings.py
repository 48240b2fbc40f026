"""How the results came about: settings in effect, code, machines, and the time each rule took.

Reads the provenance sidecars of every artifact under results/ and data/.
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
from habits.report.sources import Sources

RULES = (
    "problems",
    "base_model",
    "priming",
    "sft",
    "rl",
    "rollouts",
    "behaviors",
    "statistics",
    "claims",
    "figures",
)
ONE_PROCESS = ("problems", "statistics")
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
class Provenance:
    """What the sidecars say about the artifacts together.

    Attributes:
        rules: time of each rule, in the order of the chain.
        code_hashes: hashes of the package's source that artifacts were made with.
        versions: versions of the package that artifacts were made with.
        machines: the machines that made them, in words.
    """

    rules: list[RuleTime]
    code_hashes: list[str]
    versions: list[str]
    machines: list[str]

    @property
    def seconds(self) -> float:
        """Wall time of all jobs, added up; jobs that ran side by side count in full."""
        return sum(rule.seconds for rule in self.rules)


@dataclass(frozen=True)
class _Record:
    """One sidecar: the rule and job it belongs to, and its content."""

    rule: str
    job: str
    content: dict[str, Any]


def as_yaml(params: Params) -> str:
    """The settings in effect as YAML, in the order of the model."""
    return yaml.safe_dump(params.model_dump(), sort_keys=False, allow_unicode=True)


def package_versions() -> dict[str, str]:
    """Versions of the main packages in this environment; those not installed are left out."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def provenance(sources: Sources) -> Provenance:
    """The sidecars under results/ and data/ summed up.

    Raises:
        ArtifactError: there is none, or one is not JSON of the form that `artifacts.stamp` writes.
    """
    records = [*_records(sources.results), *_records(sources.data)]
    if not records:
        raise ArtifactError(
            f"{sources.results}: no *provenance.json; make the artifacts with `snakemake --cores all`"
        )
    jobs: dict[str, dict[str, float]] = {}
    for record in records:
        times = jobs.setdefault(record.rule, {})
        times[record.job] = max(times.get(record.job, 0.0), float(record.content["wall_seconds"]))
    rules = [
        RuleTime(rule, len(jobs[rule]), sum(jobs[rule].values()), max(jobs[rule].values()))
        for rule in RULES
        if rule in jobs
    ]
    contents = [record.content for record in records]
    return Provenance(
        rules,
        code_hashes=sorted({content["code"]["hash"] for content in contents}),
        versions=sorted({content["code"]["habits"] for content in contents}),
        machines=sorted({_machine(content["machine"]) for content in contents}),
    )


def _machine(machine: dict[str, Any]) -> str:
    return f"{machine['platform']}, {machine['cpus']} CPUs, Python {machine['python']}"


def _records(root: Path) -> Iterator[_Record]:
    """The sidecars of whole artifacts below ``root``; those inside a stamped folder are part of it."""
    sidecars = sorted(root.rglob("*provenance.json"))
    stamped = {path.parent for path in sidecars if path.name == "provenance.json"}
    for path in sidecars:
        rule = path.relative_to(root).parts[0]
        home = path.parent.parent if path.name == "provenance.json" else path.parent
        if rule not in RULES or stamped & {home, *home.parents}:
            continue
        yield _Record(rule, _job(rule, path), _content(path))


def _job(rule: str, path: Path) -> str:
    """What tells two jobs of a rule apart: some rules write several files in one go."""
    if rule in ONE_PROCESS or path.name == "provenance.json":
        return str(path.parent)
    return str(path.parent / path.name.split(".")[0])


def _content(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except ValueError as error:
        raise ArtifactError(f"{path}: not JSON: {error}; delete it and make its artifact again") from None
    for key in ("wall_seconds", "code", "machine"):
        if key not in content:
            raise ArtifactError(f"{path}: lacks {key}; make its artifact again")
    return dict(content)
