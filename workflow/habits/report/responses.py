"""What the analyses found in each condition's evaluation responses: length, scripts, words.

Reads results/analyses or results/social_statistics.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from habits.analysis.aha_words import ANY
from habits.analysis.cot_length import ALL, ALL_PROBLEMS, SAME_PROBLEM
from habits.artifacts import ArtifactError, read_parquet
from habits.params import Params
from habits.report.labels import condition

SOURCE = "evaluation"
RESPONSE_FIGURES = ("cot_length",)


@dataclass(frozen=True)
class Shown:
    """A number with its interval; ``status`` says why there is none."""

    value: float
    low: float
    high: float
    status: str = "ok"


@dataclass(frozen=True)
class ResponseLine:
    """One condition, evaluation responses of all steps.

    Attributes:
        condition: in words.
        responses: how many.
        truncated: share that was cut off.
        all_problems, same_problem: change in accuracy per 100 tokens, complete responses.
        mixed: share of responses that mix scripts.
        aha_start, aha_end: words of reconsideration per 1,000 tokens, first and last step.
    """

    condition: str
    responses: int
    truncated: float
    all_problems: Shown
    same_problem: Shown
    mixed: Shown
    aha_start: float
    aha_end: float


def response_lines(params: Params, folder: Path) -> list[ResponseLine]:
    """One line a condition of the matrix, in its order.

    Args:
        params: restricted to a task (`Params.only`).
        folder: of the tables.

    Raises:
        ArtifactError: the analyses lack a condition.
    """
    tables = {
        name: _read(folder, name)
        for name in ("length_bins", "length_slopes", "mixing_overall", "aha_by_step")
    }
    names = {f"{run.model}/{run.priming}/{run.algorithm}": condition(run, params) for run in params.runs}
    lines = []
    for key, shown in names.items():
        own = {name: table[table["condition"] == key] for name, table in tables.items()}
        if any(part.empty for part in own.values()):
            raise ArtifactError(f"{folder}: nothing for {key}; run `snakemake {folder}` again")
        lines.append(_line(shown, own))
    return lines


def _read(folder: Path, name: str) -> pd.DataFrame:
    table = read_parquet(folder / f"{name}.parquet")
    return table[table["source"] == SOURCE]


def _line(shown: str, own: dict[str, pd.DataFrame]) -> ResponseLine:
    bins, mixing = own["length_bins"], own["mixing_overall"].iloc[0]
    bins = bins[
        (bins["phase"] == ALL) & (bins["metric"] == "accuracy") & (bins["comparison"] == ALL_PROBLEMS)
    ]
    aha = own["aha_by_step"][own["aha_by_step"]["kind"] == ANY].sort_values("rl_step")["per_1000"]
    return ResponseLine(
        condition=shown,
        responses=int(bins["n"].sum()),
        truncated=float(np.average(bins["truncated"], weights=bins["n"])),
        all_problems=_slope(own["length_slopes"], ALL_PROBLEMS),
        same_problem=_slope(own["length_slopes"], SAME_PROBLEM),
        mixed=Shown(float(mixing["mixed"]), float(mixing["low"]), float(mixing["high"])),
        aha_start=float(aha.iloc[0]),
        aha_end=float(aha.iloc[-1]),
    )


def _slope(slopes: pd.DataFrame, comparison: str) -> Shown:
    wanted = {"phase": ALL, "metric": "accuracy", "responses": "complete", "comparison": comparison}
    rows = slopes
    for column, value in wanted.items():
        rows = rows[rows[column] == value]
    row = rows.iloc[0]
    return Shown(float(row["slope"]), float(row["low"]), float(row["high"]), str(row["status"]))
