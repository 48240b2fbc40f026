"""Length, language mixing and words of reconsideration in the rollouts of all runs.

Reads ``results/rollouts`` (evaluation) and ``results/rl/*/rollouts.parquet`` (training) of every run in the
matrix; writes ``results/analyses/*.parquet``: length_bins, length_slopes, mixing_by_step, mixing_overall,
aha_by_step, original_words, mixed_examples. Seeds of a condition are pooled. `analyse` computes the same
tables from any rollouts (``habits analyze``).
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from habits.analysis.aha_words import add_aha, aha_by_step, original_table
from habits.analysis.clustered import codes
from habits.analysis.cot_length import length_bins, length_slopes
from habits.analysis.language_mixing import add_mixing, mixed_examples, mixing_by_step, mixing_overall
from habits.analysis.responses import CountTokens, phases, responses
from habits.artifacts import read_parquet, replacing, stamp, write_parquet
from habits.params import Params, RunId
from habits.progress import Progress

TEXTS = ["prompt", "thought"]
READ = [
    *("problem_id", "prompt", "response", "correct", "reward", "stopped"),
    *("n_tokens", "rl_step", "split", "seed"),
]
TABLES = (
    *("length_bins", "length_slopes", "mixing_by_step", "mixing_overall"),
    *("aha_by_step", "original_words", "mixed_examples"),
)
Tables = dict[str, pd.DataFrame]


def write_analyses(params: Params, results: Path, out: Path) -> None:
    """Write the tables of every condition into the folder ``out``.

    Raises:
        ArtifactError: a run of the matrix has no rollouts, or they lack a column.
    """
    tables = analyse_runs(params, results)
    with replacing(out) as folder:
        folder.mkdir()
        for name, table in tables.items():
            write_parquet(table, folder / f"{name}.parquet")
    parents = [path for run in params.runs for path in rollout_files(run, results)]
    stamp(out, settings=params.statistics.model_dump(), parents=parents)


def analyse_runs(params: Params, results: Path) -> Tables:
    """The tables of all runs, one condition below the other.

    Raises:
        ArtifactError: a run of the matrix has no rollouts, or they lack a column.
    """
    conditions: dict[str, list[RunId]] = {}
    for run in params.runs:
        conditions.setdefault(f"{run.model}/{run.priming}/{run.algorithm}", []).append(run)
    progress = Progress("analyses", len(conditions))
    found = []
    for done, (condition, runs) in enumerate(conditions.items(), start=1):
        files = [path for run in runs for path in rollout_files(run, results)]
        rows = pd.concat([prepared(read_parquet(path, READ), str(path)) for path in files], ignore_index=True)
        found.append((condition, analyse(rows, params.statistics.confidence)))
        progress.update(done)
    return {
        name: pd.concat(
            [tables[name].assign(condition=condition) for condition, tables in found], ignore_index=True
        )
        for name in TABLES
    }


def rollout_files(run: RunId, results: Path) -> list[Path]:
    """Evaluation rollouts of a run, and those that its RL trained on."""
    return [results / "rollouts" / f"{run.path}.parquet", results / "rl" / run.path / "rollouts.parquet"]


def prepared(frame: pd.DataFrame, where: str, count_tokens: CountTokens | None = None) -> pd.DataFrame:
    """Rollouts as rows that `analyse` takes; their texts are read here and dropped.

    Args:
        where: the file, for messages.
        count_tokens: see `habits.analysis.responses.responses`.
    """
    rows = add_aha(add_mixing(responses(frame, where, count_tokens)))
    return rows.drop(columns=TEXTS)


def analyse(rows: pd.DataFrame, confidence: float) -> Tables:
    """All tables of one condition, each described at the function that computes it."""
    numbered = {name: codes(rows[name]) for name in ("problem", "policy")}
    rows = rows.assign(phase=phases(rows["rl_step"]), **numbered)
    return {
        "length_bins": length_bins(rows, confidence),
        "length_slopes": length_slopes(rows, confidence),
        "mixing_by_step": mixing_by_step(rows, confidence),
        "mixing_overall": mixing_overall(rows, confidence),
        "aha_by_step": aha_by_step(rows, confidence),
        "original_words": original_table(rows),
        "mixed_examples": mixed_examples(rows),
    }
