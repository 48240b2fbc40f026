"""``habits analyze``: the analyses of response length, scripts and words on a file that a user brings.

Reads a rollouts parquet (docs/architecture.md) or a training log (`habits.analysis.training_log`). Writes
into one folder: index.html, the tables as parquet, figures/, and for a log rollouts.parquet and import.json,
which says what could not be read and where.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from habits.analysis.analyses import TABLES, Tables, analyse, prepared
from habits.analysis.cot_length import ALL, ALL_PROBLEMS, SAME_PROBLEM
from habits.analysis.responses import PHASES, CountTokens, unit_of
from habits.analysis.training_log import ImportReport, read_log
from habits.artifacts import ArtifactError, read_parquet, replacing, write_parquet, write_text
from habits.figures import lengths, thought_words
from habits.figures.drawing import Drawing, save
from habits.figures.style import BLACK, Look, themed
from habits.report.figures import read_figures
from habits.report.site import environment

PHASE_LOOKS = {
    "before RL": Look("before RL", "#7F7F7F", "o"),
    "early": Look("early third", "#56B4E9", "s"),
    "middle": Look("middle third", "#0173B2", "D"),
    "late": Look("late third", "#AA1F5D", "^"),
    "unknown": Look("step unknown", "#CA9161", "v"),
}
SOURCE_LOOKS = {
    "evaluation": Look("evaluation", "#0173B2", "o"),
    "training": Look("training", "#DE8F05", "s"),
    "unknown": Look("unknown split", BLACK, "D"),
}
BATCH = 1000
Records = list[dict[Hashable, Any]]  # rows of a table as the template reads them


@dataclass(frozen=True)
class Brought:
    """Rollouts that a user brought; ``imported`` is set when they come from a log."""

    name: str
    rollouts: pd.DataFrame
    imported: ImportReport | None


def write_analysis(file: Path, out: Path, tokenizer: str | None = None, confidence: float = 0.95) -> None:
    """Analyse ``file`` and write the folder ``out``; it appears at once or not at all.

    Args:
        file: a rollouts ``.parquet``; anything else is read as a training log.
        tokenizer: folder or hub name of the tokenizer that counts response tokens; without one, the
            file's own ``n_tokens`` are used, or words are counted where it has none.

    Raises:
        ArtifactError: the file is missing, or neither rollouts nor a log.
    """
    brought = read_file(file)
    if brought.rollouts.empty:
        raise ArtifactError(
            f"{file}: no sample could be read: {brought.imported and brought.imported.reasons}"
        )
    unit = unit_of(brought.rollouts, tokenizer)
    rows = prepared(brought.rollouts, str(file), token_counter(tokenizer) if tokenizer else None)
    tables = analyse(rows, confidence)
    with replacing(out) as folder:
        folder.mkdir()
        for name in TABLES:
            write_parquet(tables[name], folder / f"{name}.parquet")
        if brought.imported:
            write_parquet(brought.rollouts, folder / "rollouts.parquet")
            write_text(json.dumps(brought.imported.as_json(), indent=1) + "\n", folder / "import.json")
        drawn = _draw(tables, unit, confidence, folder / "figures")
        page = (
            environment()
            .get_template("analysis.html")
            .render(
                name=brought.name,
                imported=brought.imported,
                unit=unit,
                confidence=confidence,
                count=len(rows),
                problems=rows["problem"].nunique(),
                sources=rows["source"].value_counts().to_dict(),
                figures=read_figures(drawn),
                slopes=_slopes(tables),
                mixing=tables["mixing_overall"].to_dict("records"),
                aha=_last(tables["aha_by_step"]),
                original=tables["original_words"].to_dict("records"),
                examples=tables["mixed_examples"].to_dict("records"),
            )
        )
        write_text(page, folder / "index.html")
    _tell(brought, out)


def _tell(brought: Brought, out: Path) -> None:
    if found := brought.imported:
        left_out = "".join(f"; {count} left out: {reason}" for reason, count in found.reasons.items())
        said = f"{found.read:,} of {found.samples:,} samples read, {found.lines:,} lines{left_out}"
        print(f"[analyze] {said}", file=sys.stderr)
    print(f"[analyze] open {out / 'index.html'}", file=sys.stderr)


def read_file(file: Path) -> Brought:
    """A rollouts parquet or a training log, by its ending."""
    if file.suffix == ".parquet":
        return Brought(file.name, read_parquet(file), None)
    log = read_log(file)
    return Brought(file.name, log.rollouts, log.report)


def token_counter(name: str) -> CountTokens:
    """Counts tokens with a tokenizer from a folder, or from the hub by name.

    Raises:
        ArtifactError: there is no such tokenizer here.
    """
    from habits.models.tokenizer import load_tokenizer  # takes seconds, and most calls need none

    try:
        tokenizer = load_tokenizer(Path(name))
    except (OSError, ValueError) as error:
        raise ArtifactError(
            f"tokenizer {name!r} cannot be loaded; name a folder that holds one, or set HF_HUB_OFFLINE=0 to "
            f"download it: {str(error).splitlines()[0]}"
        ) from None

    def count(texts: list[str]) -> list[int]:
        parts = [texts[first : first + BATCH] for first in range(0, len(texts), BATCH)]
        encoded = [tokenizer(part, add_special_tokens=False)["input_ids"] for part in parts]
        return [len(ids) for batch in encoded for ids in batch]

    return count


def _draw(tables: Tables, unit: str, confidence: float, folder: Path) -> list[Path]:
    """A figure of length for each source, one of words over steps where the steps are known."""
    with themed():
        drawings = {
            f"cot_length_{source}": Drawing(
                lengths.draw_lengths(_phase_groups(tables, source), unit),
                f"Length against accuracy, {source} rollouts",
                lengths.caption(confidence),
                "Accuracy in bins of response length, across and within problems, by part of training.",
            )
            for source in tables["length_bins"]["source"].unique()
        }
        if lines := _source_lines(tables):
            drawings["thought_words"] = Drawing(
                thought_words.draw_words(lines, unit),
                "Mixed scripts and words of reconsideration over training",
                thought_words.caption(confidence),
                "Two line charts over RL steps: responses that mix scripts; words of reconsideration.",
            )
        for name, drawing in drawings.items():
            save(drawing, name, folder)
    return [folder / f"{name}.svg" for name in drawings]


def _phase_groups(tables: Tables, source: str) -> list[lengths.Group]:
    bins, slopes = (
        table[(table["source"] == source) & (table["metric"] == lengths.METRIC)]
        for table in (tables["length_bins"], tables["length_slopes"])
    )
    phases = [phase for phase in PHASES if (bins["phase"] == phase).any()]
    looks = {phase: PHASE_LOOKS[phase] for phase in phases} or {ALL: Look("all steps", BLACK, "o")}
    return [
        lengths.Group(look, bins[bins["phase"] == phase], slopes[slopes["phase"] == phase])
        for phase, look in looks.items()
    ]


def _source_lines(tables: Tables) -> list[thought_words.Line]:
    mixing, aha = (tables[name].dropna(subset="rl_step") for name in ("mixing_by_step", "aha_by_step"))
    return [
        thought_words.Line(look, mixing[mixing["source"] == source], aha[aha["source"] == source])
        for source, look in SOURCE_LOOKS.items()
        if (mixing["source"] == source).any()
    ]


def _slopes(tables: Tables) -> Records:
    """One row a (source, phase, metric) with the slopes of both comparisons, complete responses only."""
    table = tables["length_slopes"]
    table = table[table["responses"] == "complete"]
    keys = ["source", "phase", "metric"]
    halves = [
        table[table["comparison"] == name].set_index(keys)[["slope", "low", "high", "n", "status"]]
        for name in (ALL_PROBLEMS, SAME_PROBLEM)
    ]
    return [
        dict(zip(keys, key, strict=True))
        | {"all": halves[0].loc[key].to_dict(), "same": halves[1].loc[key].to_dict()}
        for key in halves[0].index
    ]


def _last(table: pd.DataFrame) -> Records:
    """The rows of the first and of the last step of each source."""
    step = table.groupby("source")["rl_step"]
    ends = (table["rl_step"] == step.transform("min")) | (table["rl_step"] == step.transform("max"))
    return table[ends | table["rl_step"].isna()].to_dict("records")
