"""Rows of a published set: from the Hugging Face Hub, or from local files with the same fields.

Reads through ``datasets`` (its cache; no code of a data set runs), or JSON lines and parquet files.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd


class PublishedError(ValueError):
    """A published set cannot be read; the message names the place and what is wrong with it."""


@dataclass(frozen=True)
class Row:
    """A row as published, and where it stands."""

    fields: Mapping[str, Any]
    place: str


def file_rows(path: Path) -> Iterator[Row]:
    """The rows of a parquet file, or of JSON lines.

    Raises:
        PublishedError: there is no such file, or a line is not a JSON object.
    """
    if not path.exists():
        raise PublishedError(f"{path}: no such file; params.yaml names it")
    if path.suffix == ".parquet":
        for number, row in enumerate(pd.read_parquet(path).to_dict("records"), start=1):
            yield Row({str(name): value for name, value in row.items()}, f"{path} row {number}")
        return
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        if not line.strip():
            continue
        place = f"{path} line {number}"
        try:
            fields = json.loads(line)
        except json.JSONDecodeError as error:
            raise PublishedError(f"{place}: not JSON: {error}") from None
        if not isinstance(fields, dict):
            raise PublishedError(f"{place}: a JSON object must stand there, not {line[:40]!r}")
        yield Row(fields, place)


def hub_rows(
    hub: str, split: str, revision: str | None, configuration: str | None = None, *, otherwise: str
) -> Iterator[Row]:
    """The rows of a set on the Hub, downloaded once, then read from the cache of ``datasets``.

    Args:
        otherwise: what to do without a network, for the message.

    Raises:
        PublishedError: the set cannot be loaded.
    """
    import datasets  # here, because it reads its settings from the environment when it is imported

    try:
        found = datasets.load_dataset(hub, configuration, split=split, revision=revision)
    except (OSError, ValueError) as error:
        which = ", ".join(filter(None, (configuration, split, f"revision {revision}")))
        raise PublishedError(
            f"{hub} ({which}) cannot be loaded: {str(error).splitlines()[0]}. Without a network, {otherwise}"
        ) from None
    place = " ".join(filter(None, (hub, configuration or split)))
    return (Row(row, f"{place} row {number}") for number, row in enumerate(found, start=1))
