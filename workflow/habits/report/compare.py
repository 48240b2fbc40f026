"""``habits compare``: two finished runs on one page: settings, data, metrics, changed outcomes.

A run is a working directory with results/, or a git revision or DVC experiment of this repository whose
results are in DVC's cache or remote. Reads results/statistics/per_problem.parquet, results/rollouts (for
responses side by side, where they are there) and provenance sidecars. Writes one HTML file.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from habits.analysis.comparison import Change, Difference, changes, differences, shared
from habits.analysis.evaluations import ConditionKey, conditions
from habits.analysis.resampling import Resampler
from habits.artifacts import ArtifactError, read_parquet, write_text
from habits.report.site import environment

NEEDED = ("results/statistics", "results/rollouts")
SIDECARS = "provenance.json"
DATA = ("data/problems", "data/priming", "results/base_model")
MOST_PROBLEMS = 40  # listed on the page, and of them
MOST_RESPONSES = 12  # shown side by side
LONGEST = 2000  # characters of a response


@dataclass(frozen=True)
class Run:
    """A finished run: what it is called, where it lies, the settings in effect, the hashes of its data."""

    name: str
    folder: Path
    settings: dict[str, Any]
    data: dict[str, str]


@dataclass(frozen=True)
class Changed:
    """A setting, or an artifact by its hash, in both runs; None where a run lacks it."""

    name: str
    a: str | None
    b: str | None


@dataclass(frozen=True)
class Responses:
    """The first sample of both runs to a problem whose outcome changed."""

    change: Change
    a: str
    b: str


def write_comparison(a: str, b: str, out: Path) -> None:
    """Compare runs ``a`` and ``b`` on the page ``out``.

    Raises:
        ArtifactError: one of them is no run, or they share no condition.
    """
    with tempfile.TemporaryDirectory() as temporary:
        runs = [read_run(place, Path(temporary) / side) for place, side in ((a, "a"), (b, "b"))]
        tables = [run.folder / "results/statistics/per_problem.parquet" for run in runs]
        of_a, of_b = (conditions(read_parquet(table)) for table in tables)
        if not shared(of_a, of_b):
            raise ArtifactError(f"{a} and {b} share no condition; their matrices have nothing in common")
        moved = changes(of_a, of_b)
        statistics = runs[0].settings["statistics"]
        resampler = Resampler(statistics["bootstrap"], statistics["seed"], statistics["confidence"])
        page = (
            environment()
            .get_template("compare.html")
            .render(
                a=runs[0],
                b=runs[1],
                settings=changed(_flat(runs[0].settings), _flat(runs[1].settings)),
                data=changed(runs[0].data, runs[1].data),
                compared=_by_condition(differences(of_a, of_b, statistics["last_points"], resampler)),
                only_a=[key.path for key in of_a if key not in of_b],
                only_b=[key.path for key in of_b if key not in of_a],
                gained=sum(change.b > change.a for change in moved),
                lost=sum(change.b < change.a for change in moved),
                changes=moved[:MOST_PROBLEMS],
                responses=list(_responses(runs, moved[:MOST_RESPONSES])),
                confidence=statistics["confidence"],
            )
        )
    write_text(page, out)


def read_run(place: str, temporary: Path) -> Run:
    """A working directory, or the results of a git revision or DVC experiment, fetched into ``temporary``.

    Raises:
        ArtifactError: there is no finished run.
    """
    folder = Path(place)
    if not folder.is_dir():
        folder = _fetched(place, temporary)
    if not (folder / "results/statistics/per_problem.parquet").exists():
        raise ArtifactError(
            f"{place}: no folder with results/statistics, and no revision or experiment of this repository "
            "whose results DVC can fetch; run the workflow there, or `dvc pull`"
        )
    return Run(place, folder, _settings(folder), dict(_hashes(folder)))


def changed(a: dict[str, str], b: dict[str, str]) -> list[Changed]:
    """What differs between two flat tables, by name."""
    names = dict.fromkeys((*a, *b))
    return [Changed(name, a.get(name), b.get(name)) for name in names if a.get(name) != b.get(name)]


def _fetched(revision: str, temporary: Path) -> Path:
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException
    from scmrepo.exceptions import SCMError

    try:
        files = DVCFileSystem(".", rev=revision)
        for name in ("params.yaml", *NEEDED, *DATA, "reports/provenance.json"):
            target = temporary / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if files.exists(name):
                files.get(name, str(target), recursive=files.isdir(name))
    except (DvcException, SCMError, OSError) as error:
        raise ArtifactError(f"{revision}: no folder, and DVC cannot fetch its results: {error}") from None
    return temporary


def _settings(folder: Path) -> dict[str, Any]:
    """The settings that the report was written with, else those of params.yaml."""
    from habits.params import load

    sidecar = folder / "reports" / SIDECARS
    if sidecar.exists():
        return dict(json.loads(sidecar.read_text())["settings"])
    return load(folder / "params.yaml").model_dump(mode="json")


def _hashes(folder: Path) -> Iterator[tuple[str, str]]:
    """Hashes of problems, traces and base models, from their sidecars."""
    for root in DATA:
        for path in sorted((folder / root).rglob(f"*{SIDECARS}")):
            name = str(path.relative_to(folder)).removesuffix(f".{SIDECARS}").removesuffix(f"/{SIDECARS}")
            yield name, str(json.loads(path.read_text())["hash"])


def _flat(settings: Any, prefix: str = "") -> dict[str, str]:
    """Settings by dotted key; a list stands as JSON."""
    if not isinstance(settings, dict):
        return {prefix: json.dumps(settings)}
    parts = (_flat(value, f"{prefix}.{key}" if prefix else str(key)) for key, value in settings.items())
    return {name: value for part in parts for name, value in part.items()}


def _by_condition(found: list[Difference]) -> dict[str, list[Difference]]:
    grouped: dict[str, list[Difference]] = {}
    for difference in found:
        grouped.setdefault(difference.condition, []).append(difference)
    return grouped


def _responses(runs: list[Run], moved: list[Change]) -> Iterator[Responses]:
    for change in moved:
        texts = [_first_response(run, change) for run in runs]
        if texts[0] is not None and texts[1] is not None:
            yield Responses(change, texts[0][:LONGEST], texts[1][:LONGEST])


def _first_response(run: Run, change: Change) -> str | None:
    """The first sample of the first seed at the last step; None where rollouts are not there."""
    model, priming, algorithm = ConditionKey(*change.condition.split("/"))
    files = sorted((run.folder / "results/rollouts" / model / priming / algorithm).glob("seed*.parquet"))
    if not files:
        return None
    columns = ["rl_step", "problem_id", "sample_id", "response"]
    rows = pq.read_table(files[0], columns=columns, filters=[("problem_id", "=", change.problem)]).to_pylist()
    last = max(rows, key=lambda row: (row["rl_step"], -row["sample_id"]))
    return str(last["response"])
