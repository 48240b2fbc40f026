"""Tables behind every figure, claim and number of the report.

Reads ``results/rollouts``, ``results/behaviors`` and ``results/rl`` of every run in the matrix; writes
``results/statistics/*.parquet``: per_problem, curves, per_seed, final, training_curves, correlation,
sinking_controls. Each table is described at the function that computes it. For `dvc metrics` and
`dvc plots` the same numbers stand in summary.json and accuracy.csv.
"""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from habits.analysis.controls import Controls
from habits.analysis.correlations import correlations
from habits.analysis.evaluations import conditions, read_per_problem, read_training
from habits.analysis.resampling import Resampler
from habits.analysis.summaries import curves, final, per_seed, training_curves
from habits.artifacts import replacing, stamp, write_parquet, write_text
from habits.params import Params

TABLES = (
    "per_problem",
    "curves",
    "per_seed",
    "final",
    "training_curves",
    "correlation",
    "sinking_controls",
)


def write_statistics(params: Params, results: Path, out: Path) -> None:
    """Write all tables into the folder ``out``.

    Raises:
        ArtifactError: a run of the matrix has missing, empty or doubled data; the message names the run.
    """
    tables = compute_tables(params, results)
    with replacing(out) as folder:
        folder.mkdir()
        for name in TABLES:
            write_parquet(tables[name], folder / f"{name}.parquet")
        write_text(summary(tables["final"]), folder / "summary.json")
        accuracy_rows(tables["curves"]).to_csv(folder / "accuracy.csv", index=False)
    parents = [
        results / kind / f"{run.path}.parquet" for run in params.runs for kind in ("rollouts", "behaviors")
    ]
    parents += [results / "rl" / run.path / "metrics.parquet" for run in params.runs]
    stamp(out, settings=params.statistics.model_dump(), parents=parents, seed=params.statistics.seed)


def compute_tables(params: Params, results: Path) -> dict[str, pd.DataFrame]:
    """Every table by name (see ``TABLES``)."""
    resampler = resampler_of(params)
    per_problem = read_per_problem(params, results)
    training = read_training(params, results)
    found = conditions(per_problem)
    algorithm, points = params.rl.algorithm, params.statistics.last_points
    return {
        "per_problem": per_problem,
        "curves": curves(found, training, resampler),
        "per_seed": per_seed(found, training, resampler),
        "final": final(found, points, resampler),
        "training_curves": training_curves(training),
        "correlation": correlations(found, algorithm, points, resampler),
        "sinking_controls": Controls(found, training, algorithm, resampler).table(),
    }


def summary(final: pd.DataFrame) -> str:
    """The final means as JSON: condition -> metric -> mean."""
    rows = final.dropna(subset="mean")
    condition = rows["model"] + "/" + rows["priming"] + "/" + rows["algorithm"]
    means: dict[str, dict[str, float]] = {}
    for name, metric, mean in zip(condition, rows["metric"], rows["mean"], strict=True):
        means.setdefault(name, {})[metric] = round(mean, 6)
    return json.dumps(means, indent=1, sort_keys=True) + "\n"


def accuracy_rows(curves: pd.DataFrame) -> pd.DataFrame:
    """Accuracy of every condition over RL steps, long: condition, rl_step, accuracy."""
    rows = curves[curves["metric"] == "accuracy"]
    condition = rows["model"] + "/" + rows["priming"] + "/" + rows["algorithm"]
    return pd.DataFrame({"condition": condition, "rl_step": rows["rl_step"], "accuracy": rows["mean"]})


def resampler_of(params: Params) -> Resampler:
    """The bootstrap that params.yaml asks for."""
    settings = params.statistics
    return Resampler(settings.bootstrap, settings.seed, settings.confidence)
