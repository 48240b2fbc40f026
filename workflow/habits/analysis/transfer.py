"""Does what RL taught on one task help on another? The same items before and after, item by item.

Reads ``results/transfer/{run}.parquet`` (`habits.rollouts.transfer`). Before anything is compared, each
evaluation must hold every item of its problem set exactly once per checkpoint, and the same items before and
after: two models scored on different parts of a test set are not compared at all.

A gain in accuracy may be a gain in form: a model that has learned to end with the asked phrase is marked
right more often, without reasoning any better. So accuracy stands beside the share of answers in the asked
form, of missing answers and of truncated responses, and is given again on the items answered in form both
times.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from statsmodels.stats.contingency_tables import mcnemar

from habits.analysis.resampling import Floats, Resampler
from habits.artifacts import ArtifactError

ITEM = ["evaluation", "rl_step", "problem_id"]
UNREADABLE = ("no_answer", "unparsable", "timed_out")
IN_FORM = "accuracy where both answered in form"
METRICS = ("accuracy", "accuracy in form", "answered in form", "no readable answer", "truncated", "n_tokens")


@dataclass(frozen=True)
class Evaluated:
    """One run on one evaluation, before and after RL; row i of both is the same item."""

    condition: str
    seed: int
    evaluation: str
    before: pd.DataFrame
    after: pd.DataFrame


def evaluated(frame: pd.DataFrame, where: str) -> list[Evaluated]:
    """The evaluations in the transfer rollouts of one run.

    Raises:
        ArtifactError: an item is missing or stands there twice, or there are not two checkpoints.
    """
    found = []
    for name, part in frame.groupby("evaluation", sort=False):
        steps = sorted(part["rl_step"].unique().tolist())
        if len(steps) != 2:
            raise ArtifactError(f"{where}: {name} has RL steps {steps}; it needs one before and one after RL")
        before, after = (
            _items(part[part["rl_step"] == step], f"{where}: {name}, step {step}") for step in steps
        )
        if before["problem_id"].tolist() != after["problem_id"].tolist():
            missing = set(before["problem_id"]) ^ set(after["problem_id"])
            raise ArtifactError(
                f"{where}: {name} was answered on different items before and after RL, such as "
                f"{sorted(missing)[:3]}; sample it again"
            )
        run = part.iloc[0]
        condition = f"{run['model']}/{run['priming']}/{run['algorithm']}"
        found.append(Evaluated(condition, int(run["seed"]), str(name), before, after))
    return found


def transfer_table(runs: Iterable[Evaluated], resampler: Resampler) -> pd.DataFrame:
    """One row a (evaluation, condition, metric): before, after, difference with interval.

    Columns: before, after, difference, low, high, n_problems, n_seeds. Seeds and items are both resampled
    (items alone when there is one seed); items are paired throughout.
    """
    rows = []
    for (name, condition), seeds in _grouped(runs).items():
        before, after = ([_metrics(getattr(run, side)) for run in seeds] for side in ("before", "after"))
        both = np.stack([_in_form(run.before) & _in_form(run.after) for run in seeds])
        for metric in (*METRICS, IN_FORM):
            source = "accuracy" if metric == IN_FORM else metric
            sides = [np.stack([values[source] for values in side]) for side in (before, after)]
            if metric == IN_FORM:
                sides = [np.where(both, side, np.nan) for side in sides]
            rows.append(
                {
                    "evaluation": name,
                    "condition": condition,
                    "metric": metric,
                    **_row(sides[0], sides[1], resampler),
                }
            )
    return pd.DataFrame(rows)


def pairs_table(runs: Iterable[Evaluated]) -> pd.DataFrame:
    """One row a (evaluation, condition, seed): how many items changed, and McNemar's exact test of it.

    Columns: n, both (right before and after), gained, lost, neither, p.
    """
    rows = []
    for run in runs:
        was, is_now = (side["correct"].to_numpy(dtype=bool) for side in (run.before, run.after))
        table = np.array([[(was & is_now).sum(), (was & ~is_now).sum()], [(~was & is_now).sum(), 0]])
        rows.append(
            {
                "evaluation": run.evaluation,
                "condition": run.condition,
                "seed": run.seed,
                "n": len(was),
                "both": int(table[0, 0]),
                "gained": int(table[1, 0]),
                "lost": int(table[0, 1]),
                "neither": int((~was & ~is_now).sum()),
                "p": float(mcnemar(table, exact=True).pvalue),
            }
        )
    return pd.DataFrame(rows)


def _items(part: pd.DataFrame, where: str) -> pd.DataFrame:
    """The items of one checkpoint, ordered; each of ``n_items`` exactly once."""
    if part["checkpoint"].nunique() != 1:
        raise ArtifactError(f"{where}: rows of several checkpoints; sample it again")
    doubled = part.loc[part["problem_id"].duplicated(), "problem_id"].tolist()
    wanted = int(part["n_items"].max())
    if doubled or len(part) != wanted:
        raise ArtifactError(
            f"{where}: {part['problem_id'].nunique()} of {wanted} items"
            + (f", {len(doubled)} of them twice, such as {doubled[0]}" if doubled else "")
            + "; sample it again"
        )
    return part.sort_values("problem_id", ignore_index=True)


def _grouped(runs: Iterable[Evaluated]) -> dict[tuple[str, str], list[Evaluated]]:
    """Runs by evaluation and condition; the seeds of a condition must share their items."""
    found: dict[tuple[str, str], list[Evaluated]] = {}
    for run in runs:
        found.setdefault((run.evaluation, run.condition), []).append(run)
    for (name, condition), seeds in found.items():
        items = {tuple(run.before["problem_id"]) for run in seeds}
        if len(items) > 1:
            raise ArtifactError(f"{name}: the seeds of {condition} were evaluated on different items")
    return found


def _metrics(side: pd.DataFrame) -> dict[str, Floats]:
    correct, in_form = side["correct"].to_numpy(dtype=float), _in_form(side)
    found = {
        "accuracy": correct,
        "accuracy in form": correct * in_form,
        "answered in form": in_form,
        "no readable answer": side["reason"].isin(UNREADABLE).to_numpy(),
        "truncated": side["reason"].eq("truncated").to_numpy(),
        "n_tokens": side["n_tokens"].to_numpy(),
    }
    return {name: np.asarray(values, dtype=float) for name, values in found.items()}


def _in_form(side: pd.DataFrame) -> np.ndarray:
    return side["format_ok"].to_numpy(dtype=bool)


def _row(before_S_P: Floats, after_S_P: Floats, resampler: Resampler) -> dict[str, float]:
    known = ~np.isnan(before_S_P)
    n_problems, n_seeds = int(known.any(axis=0).sum()), len(before_S_P)
    if not known.any():
        names = ("before", "after", "difference", "low", "high")
        return {**dict.fromkeys(names, np.nan), "n_problems": 0, "n_seeds": n_seeds}
    low, high = resampler.interval(resampler.means(after_S_P - before_S_P))
    return {
        "before": float(np.nanmean(before_S_P)),
        "after": float(np.nanmean(after_S_P)),
        "difference": float(np.nanmean(after_S_P - before_S_P)),
        "low": float(low),
        "high": float(high),
        "n_problems": n_problems,
        "n_seeds": n_seeds,
    }
