"""The figures with their titles, captions and alternative texts.

Reads results/figures/{name}.svg and {name}.json. A figure goes into a page as an image with a data
URI: several figures on a page cannot mix up their ids, and nothing inside a figure can run.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from habits.analysis.evaluations import IDENTITY
from habits.artifacts import ArtifactError
from habits.report.labels import BEHAVIOR_NAMES
from habits.report.settings import anchor

DOWNLOADS = (".svg", ".pdf", ".png")


class Record(BaseModel):
    """Base of what stands in {name}.json: frozen, and open to keys of later versions."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Origin(Record):
    """The table that a number was read from, and the columns that pick its row."""

    table: str
    where: dict[str, str | int | float]


class Point(Record):
    """A drawn point: its row, and its place as shares of the picture's width and height (`figures.marks`)."""

    panel: str
    series: str
    x: float | None
    value: float | None
    low: float | None
    high: float | None
    n_problems: int
    n_seeds: int
    left: float
    top: float
    origin: Origin

    @property
    def ours(self) -> bool:
        """Whether this run made the number; else it was published."""
        return self.origin.table.startswith("results/")

    @property
    def artifact(self) -> str:
        """Anchor of the folder of its table on the page of provenance."""
        return anchor("/".join(self.origin.table.split("/")[:2]))

    @property
    def query(self) -> str:
        """The row's columns in words."""
        return ", ".join(f"{name} {value}" for name, value in self.origin.where.items())

    @property
    def rollouts(self) -> dict[str, str | int | float]:
        """The filters that show the rollouts behind the number in the browser; none for one of documents."""
        where = self.origin.where
        path = [str(where[name]) for name in IDENTITY if name in where]
        wanted: dict[str, str | int | float] = {}
        if len(path) == len(IDENTITY):
            wanted["condition"] = "/".join(path)
        elif "condition" in where:
            wanted["condition"] = where["condition"]
        if "rl_step" in where:
            wanted["step"] = int(where["rl_step"])
        for name in ("behavior", "metric"):
            if where.get(name) in BEHAVIOR_NAMES:
                wanted["behavior"] = where[name]
        if "calibration" in self.origin.table:
            wanted["rater"] = "judge"
        return wanted if wanted.keys() & {"condition", "step"} else {}


class Card(Record):
    """What stands in {name}.json beside a figure."""

    title: str = Field(min_length=1)
    caption: str = Field(min_length=1)
    alt: str = Field(min_length=1)
    size: tuple[float, float] = (1.0, 1.0)
    points: list[Point] = []

    @property
    def panels(self) -> dict[str, list[tuple[int, Point]]]:
        """The points by panel, each with its number in the figure."""
        found: dict[str, list[tuple[int, Point]]] = {}
        for number, point in enumerate(self.points, start=1):
            found.setdefault(point.panel, []).append((number, point))
        return found


@dataclass(frozen=True)
class Figure:
    """A figure as a page shows it.

    Attributes:
        name: file name without suffix; also its anchor.
        card: title, caption, alternative text.
        uri: the SVG as a data URI.
        files: the files to copy beside the pages, for download.
    """

    name: str
    card: Card
    uri: str
    files: tuple[Path, ...]


def read_figures(paths: list[Path]) -> list[Figure]:
    """The figures of the given SVG files; ArtifactError when one lacks a usable card."""
    return [_figure(path) for path in paths]


def _figure(path: Path) -> Figure:
    content = path.read_bytes()
    if b"<svg" not in content:
        raise ArtifactError(f"{path}: not an SVG; remake it with `snakemake {path}`")
    card = path.with_suffix(".json")
    try:
        shown = Card.model_validate_json(card.read_text())
    except ValidationError as error:
        raise ArtifactError(f"{card}: needs title, caption and alt, none empty: {error}") from None
    uri = "data:image/svg+xml;base64," + base64.b64encode(content).decode()
    files = tuple(file for suffix in DOWNLOADS if (file := path.with_suffix(suffix)).exists())
    return Figure(path.stem, shown, uri, files)
