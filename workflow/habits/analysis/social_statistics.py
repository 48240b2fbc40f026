"""Tables behind what the report says about Social IQa, and the claim about it.

Reads ``results/rollouts`` and ``results/rl`` of the runs on Social IQa, the evaluation problems and
``workflow/claims/social_iqa.yaml``. Writes ``results/social_statistics/``: per_problem, curves, per_seed,
final and training_curves as for Countdown (without behaviors, which only Countdown has), ``groups.parquet``
(accuracy by difficulty and by kind of question) and ``claims.json``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from habits.analysis.claims import decide_claims
from habits.analysis.evaluations import MEASURED, Condition, conditions, read_per_problem, read_training
from habits.analysis.resampling import Resampler
from habits.analysis.statistics import resampler_of
from habits.analysis.summaries import curves, final, per_seed, training_curves
from habits.artifacts import ArtifactError, read_parquet, replacing, stamp, write_parquet
from habits.params import Params

CHANCE = 1 / 3  # of three options
GROUPINGS = ("level", "kind")


def write_social_statistics(params: Params, results: Path, problems: Path, claims: Path, out: Path) -> None:
    """Write all tables and the decided claim into the folder ``out``.

    Args:
        params: restricted to the task (`Params.only`).
        results: the results folder.
        problems: the parquet of the evaluation problems.
        claims: the claims about Social IQa.

    Raises:
        ArtifactError: a run of the matrix has missing, empty or doubled data; the message names the run.
    """
    resampler = resampler_of(params)
    per_problem, training = read_per_problem(params, results, MEASURED), read_training(params, results)
    found = conditions(per_problem)
    tables = {
        "per_problem": per_problem,
        "curves": curves(found, training, resampler),
        "per_seed": per_seed(found, training, resampler),
        "final": final(found, params.statistics.last_points, resampler),
        "training_curves": training_curves(training),
        "groups": groups(list(found.values()), read_parquet(problems, ["extra_info"]), resampler),
    }
    with replacing(out) as folder:
        folder.mkdir()
        for name, table in tables.items():
            write_parquet(table, folder / f"{name}.parquet")
        decide_claims(params, folder, claims, folder / "claims.json")
        (folder / "claims.json.provenance.json").unlink()  # the folder's own says it all
    parents = [results / "rollouts" / f"{run.path}.parquet" for run in params.runs]
    parents += [results / "rl" / run.path / "metrics.parquet" for run in params.runs]
    settings = params.statistics.model_dump()
    stamp(out, settings=settings, parents=[*parents, problems, claims], seed=params.statistics.seed)


def groups(found: list[Condition], problems: pd.DataFrame, resampler: Resampler) -> pd.DataFrame:
    """One row a (condition, evaluation step, group of problems): accuracy with its interval.

    ``grouping`` is level (stories only) or kind, ``group`` the name of the group. Intervals are resampled
    over seeds and the problems of the group.
    """
    told = pd.DataFrame(list(problems["extra_info"])).set_index("problem_id")
    rows = []
    for condition in found:
        if not set(condition.problems) <= set(told.index):
            raise ArtifactError(f"{condition.key.path} was evaluated on other problems than there are now")
        for grouping in GROUPINGS:
            names = told.loc[list(condition.problems), grouping].to_numpy()
            for name in sorted({str(name) for name in names if name is not None}):
                part = _part(condition, names == name)
                rows += [_row(part, step, grouping, name, resampler) for step in condition.steps]
    return pd.DataFrame(rows)


def _part(condition: Condition, chosen: np.ndarray) -> Condition:
    return replace(
        condition,
        problems=tuple(np.array(condition.problems)[chosen].tolist()),
        values_T_M_S_P=condition.values_T_M_S_P[..., chosen],
        samples_T_S_P=condition.samples_T_S_P[..., chosen],
    )


def _row(part: Condition, step: int, grouping: str, name: str, resampler: Resampler) -> dict[str, object]:
    accuracy = part.at("accuracy", step)
    low, high = resampler.interval(resampler.means(accuracy))
    return {
        **part.key._asdict(),
        "rl_step": step,
        "grouping": grouping,
        "group": name,
        "mean": float(accuracy.mean()),
        "low": float(low),
        "high": float(high),
        "n_seeds": len(part.seeds),
        "n_problems": len(part.problems),
        "n_rollouts": int(part.samples_T_S_P[part.steps.index(step)].sum()),
    }
