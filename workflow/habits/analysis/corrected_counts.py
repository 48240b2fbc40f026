"""Mean counts of each condition and RL step as the judge has them, and corrected by gold labels.

A cell is a behavior of a condition at an evaluation step. Gold is the oracle, on ``calibration.gold``
problems of the cell drawn at random, as many as a person could label (what else it counted stays aside, and
shows afterwards whether the correction was right); or people, on the problems that they labelled. Frames in,
frames out.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from habits.analysis.evaluations import IDENTITY, ORACLE
from habits.analysis.prediction_powered import corrected_mean
from habits.analysis.ratings import Ratings
from habits.analysis.resampling import Floats, Resampler
from habits.behaviors.sampling import key

HUMAN = "human"
CELL = [*IDENTITY, "rl_step", "behavior"]


@dataclass(frozen=True)
class Correction:
    """What is said about a cell by one gold standard.

    Attributes:
        gold: ``oracle`` or ``human``.
        mean, low, high, weight, n_gold, n_others, n_present: see ``prediction_powered.Corrected``.
        gold_mean: mean of the gold labels alone.
        naive, naive_low, naive_high: mean of the judge's successful counts, taken at face value.
        oracle_mean: the oracle's mean over all evaluation rollouts of the cell.
        n_responses: judged responses.
    """

    gold: str
    mean: float
    low: float
    high: float
    weight: float
    n_gold: int
    n_others: int
    n_present: int
    gold_mean: float
    naive: float
    naive_low: float
    naive_high: float
    oracle_mean: float
    n_responses: int


def corrected_counts(ratings: Ratings, gold: int, seed: int, resampler: Resampler) -> pd.DataFrame:
    """One row a cell and gold standard: the columns of ``CELL`` and the fields of :class:`Correction`.

    Args:
        ratings: all counts.
        gold: problems of a cell whose oracle counts are used; at most half of those judged.
        seed: of their choice.
        resampler: for the intervals. They are over problems, for the runs at hand.
    """
    rows = []
    for cell, part in ratings.counts.groupby(CELL, sort=False):
        oracle_mean = float(part.groupby("problem_id")[ORACLE].mean().mean())
        judged = part[part["status"].notna()]
        labels = {ORACLE: judged[ORACLE].where(judged["problem_id"].isin(drawn(judged, gold, seed)))}
        if ratings.humans:
            labels[HUMAN] = judged[list(ratings.humans)].mean(axis=1)
        for name, label in labels.items():
            correction = _correct(name, judged, judged[ratings.judge], label, oracle_mean, resampler)
            if correction is not None:
                rows.append({**dict(zip(CELL, cell, strict=True)), **asdict(correction)})
    return pd.DataFrame(rows, columns=[*CELL, *Correction.__annotations__])


def drawn(judged: pd.DataFrame, n: int, seed: int) -> list[str]:
    """``n`` of the judged problems, at most half of them, in an order that is not that of judging."""
    problems = sorted(set(judged["problem_id"]), key=lambda problem: key(seed, f"gold {problem}"))
    return problems[: min(n, len(problems) // 2)]


def _correct(
    gold: str,
    judged: pd.DataFrame,
    counts: pd.Series,
    label: pd.Series,
    oracle_mean: float,
    resampler: Resampler,
) -> Correction | None:
    """The correction of one cell; None where too few problems are labelled, or too few are not.

    A judgement that failed counts as the mean of the others, on both sides alike. Any stand-in would do: like
    every error of the judge it is measured on the gold problems and taken out. Leaving such responses out
    would not be right, as judges fail more on some responses than on others.
    """
    problem, labelled = judged["problem_id"], label.notna()
    filled = counts.fillna(counts.mean() if counts.notna().any() else 0.0)
    others = ~problem.isin(set(problem[labelled]))
    gold_G = _by_problem(label[labelled], problem)
    judged_G, judged_U = _by_problem(filled[labelled], problem), _by_problem(filled[others], problem)
    if min(len(gold_G), len(judged_U)) < 2:
        return None
    found = corrected_mean(gold_G, judged_G, judged_U, resampler)
    naive_P = _by_problem(counts.dropna(), problem)
    low, high = resampler.interval(resampler.means(naive_P[None])) if len(naive_P) else (np.nan, np.nan)
    return Correction(
        gold=gold,
        **asdict(found),
        gold_mean=float(gold_G.mean()),
        naive=float(naive_P.mean()) if len(naive_P) else np.nan,
        naive_low=float(low),
        naive_high=float(high),
        oracle_mean=oracle_mean,
        n_responses=len(judged),
    )


def _by_problem(values: pd.Series, problem: pd.Series) -> Floats:
    """Means of ``values`` over the responses to each problem, by problem: [P]."""
    return values.groupby(problem).mean().to_numpy(dtype=float)
