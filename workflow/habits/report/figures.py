"""The figures with their titles, captions and alternative texts.

Reads results/figures/{name}.svg and {name}.json. A figure goes into a page as an image with a data
URI: several figures on a page cannot mix up their ids, and nothing inside a figure can run.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from habits.artifacts import ArtifactError

DOWNLOADS = (".svg", ".pdf", ".png")


class Card(BaseModel):
    """What stands in {name}.json beside a figure."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    title: str = Field(min_length=1)
    caption: str = Field(min_length=1)
    alt: str = Field(min_length=1)


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
