"""Counts made by people: a sheet to fill in, and what comes back.

Writes ``results/calibration/label_sheet.csv``; reads the CSV that ``calibration.human_labels`` names (its
format is in docs/human_labels.md). A ``label_id`` is a hash of the response with its rollout: whoever labels
does not see the condition, and labels of responses that have been sampled anew since are noticed.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from habits.analysis.evaluations import BEHAVIORS
from habits.artifacts import write_text
from habits.behaviors.sampling import key

NEEDED = ("label_id", "rater", *BEHAVIORS)
IGNORED = ("numbers", "target", "response", "note")
SHOWN_MISTAKES = 10
LONGEST_CELL = 20_000  # characters of a response on the sheet; csv reads back at most 131,072
_COUNT = re.compile(r"[0-9]{1,3}")
_RATER = re.compile(r"[\w .-]{1,40}")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class LabelError(ValueError):
    """The file of human labels cannot be used; the message names file, line and fix."""


def label_id(rollout_id: str, response: str) -> str:
    """The name of a response on the sheet: 16 hex digits."""
    return hashlib.sha256(f"{rollout_id}\0{response}".encode()).hexdigest()[:16]


def write_sheet(rollouts: pd.DataFrame, seed: int, path: Path) -> None:
    """Write the sheet: one empty row a response, so ordered that any number of first rows is a random sample.

    Args:
        rollouts: rollout_id, problem_id, numbers, target, response; the responses to label.
        seed: of the order: one problem after the other, its responses shuffled.
    """
    order = rollouts.assign(
        problem=[key(seed, problem) for problem in rollouts["problem_id"]],
        place=[key(seed, rollout) for rollout in rollouts["rollout_id"]],
    ).sort_values(["problem", "place"])
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*NEEDED, *IGNORED])
    for row in order.to_dict("records"):
        empty = [""] * (len(NEEDED) - 1)
        shown = [" ".join(map(str, row["numbers"])), row["target"], _cell(row["response"]), ""]
        writer.writerow([label_id(row["rollout_id"], row["response"]), *empty, *shown])
    write_text(text.getvalue(), path)


def read_labels(path: Path, rollouts: pd.DataFrame) -> pd.DataFrame:
    """The labels of a filled sheet: rollout_id, rater and one column a behavior (NaN: not labelled).

    Args:
        path: the CSV.
        rollouts: every evaluation rollout with rollout_id and response, to know what was labelled.

    Raises:
        LabelError: the file is missing, empty, or a line is not as docs/human_labels.md says; up to ten
            mistakes are named at once.
    """
    known = {
        label_id(rollout, response): rollout
        for rollout, response in zip(rollouts["rollout_id"], rollouts["response"], strict=True)
    }
    rows: list[dict[str, object]] = []
    mistakes: list[str] = []
    first: dict[tuple[str, str], int] = {}
    for line, cells in _lines(path):
        if not any(cells[name] for name in NEEDED[1:]):
            continue
        again = first.setdefault((cells["label_id"], cells["rater"]), line)
        found = [*_mistakes(cells, known)]
        if again != line:
            found.append(f"{cells['rater']} has labelled this response in line {again} already; keep one")
        mistakes += [f"{path}, line {line}: {mistake}" for mistake in found]
        if not found:
            counts = {name: float(cells[name]) if cells[name] else float("nan") for name in BEHAVIORS}
            rows.append({"rollout_id": known[cells["label_id"]], "rater": cells["rater"], **counts})
    if mistakes:
        more = len(mistakes) - SHOWN_MISTAKES
        raise LabelError("\n".join(mistakes[:SHOWN_MISTAKES]) + (f"\nand {more} more" if more > 0 else ""))
    if not rows:
        raise LabelError(f"{path}: no row is filled in; set calibration.human_labels to null until one is")
    return pd.DataFrame(rows)


def _lines(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Each row with its line number, cells stripped."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise LabelError(f"{path}: no such file; calibration.human_labels names it") from None
    except (OSError, UnicodeDecodeError) as error:
        raise LabelError(f"{path}: not readable as UTF-8 text: {error}") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        head = [name.strip() for name in next(reader, [])]
        _check_head(path, head)
        for cells in reader:
            if len(cells) not in (0, len(head)):
                raise LabelError(
                    f"{path}, line {reader.line_num}: {len(cells)} cells, the first line has {len(head)}; "
                    "put quotes around a cell that holds a comma"
                )
            if cells:
                yield reader.line_num, dict(zip(head, map(str.strip, cells), strict=True))
    except csv.Error as error:
        raise LabelError(f"{path}, line {reader.line_num}: not CSV: {error}") from None


def _check_head(path: Path, head: list[str]) -> None:
    missing = [name for name in NEEDED if name not in head]
    strange = [name for name in head if name not in (*NEEDED, *IGNORED)]
    doubled = sorted({name for name in head if head.count(name) > 1})
    for names, what in ((missing, "lacks"), (strange, "has the unknown"), (doubled, "has twice the")):
        if names:
            raise LabelError(
                f"{path}, line 1: {what} column {', '.join(map(repr, names))[:200]}; needed, separated by "
                f"commas: {', '.join(NEEDED)}; allowed besides: {', '.join(IGNORED)}"
            )


def _mistakes(cells: dict[str, str], known: dict[str, str]) -> Iterator[str]:
    if cells["label_id"] not in known:
        yield (
            f"label_id {cells['label_id'][:40]!r} belongs to no response of this run; responses that were "
            "sampled again need new labels, on the new label_sheet.csv"
        )
    if not _RATER.fullmatch(cells["rater"]):
        yield f"rater is {cells['rater'][:40]!r}; write who labelled: letters, digits, spaces, dots, dashes"
    for name in BEHAVIORS:
        if cells[name] and not _COUNT.fullmatch(cells[name]):
            yield f"{name} is {cells[name][:40]!r}; write a whole number from 0 to 999, or leave it empty"


def _cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula; the column is not read back."""
    return f"{chr(39) if text.startswith(_FORMULA) else ''}{text[:LONGEST_CELL]}"
