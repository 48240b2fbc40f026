"""Rule ``calibration``: how far the judge can be believed, and its counts corrected.

Reads ``results/{rollouts,behaviors,judging}`` of every run in the matrix and, if ``calibration.human_labels``
names it, a CSV of human labels. Writes into ``results/calibration``: agreement, drift, corrected, judgements
(parquet, each described at the function that computes it) and label_sheet.csv for people to fill in.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from habits.analysis.agreement import Agreement, agreement, drift, sums_by
from habits.analysis.corrected_counts import corrected_counts, drawn
from habits.analysis.evaluations import BEHAVIORS, IDENTITY
from habits.analysis.human_labels import write_sheet
from habits.analysis.ratings import Ratings, read_ratings
from habits.analysis.resampling import Floats, Resampler
from habits.analysis.statistics import resampler_of
from habits.artifacts import replacing, stamp, write_parquet
from habits.params import Params

STATUSES = ("ok", "unparsable", "refused", "error")
PAIR = ("rater", "reference", "behavior")


def write_calibration(params: Params, results: Path, out: Path) -> None:
    """Write all tables into the folder ``out``.

    Raises:
        ArtifactError: a table of a run is missing or not of its rollouts.
        LabelError: the human labels are not usable.
    """
    ratings = read_ratings(params, results)
    tables = compute_tables(params, ratings)
    with replacing(out) as folder:
        folder.mkdir()
        for name, table in tables.items():
            write_parquet(table, folder / f"{name}.parquet")
        write_sheet(sheet_rows(params, ratings), params.judging.seed, folder / "label_sheet.csv")
    kinds = ("rollouts", "behaviors", "judging")
    parents = [results / kind / f"{run.path}.parquet" for run in params.runs for kind in kinds]
    if params.calibration.human_labels is not None:
        parents.append(Path(params.calibration.human_labels))
    settings = params.calibration.model_dump() | {"judge": ratings.judge}
    stamp(out, settings=settings, parents=parents, seed=params.statistics.seed)


def compute_tables(params: Params, ratings: Ratings) -> dict[str, pd.DataFrame]:
    """Every table by name."""
    resampler = resampler_of(params)
    compared = pairs(ratings, params.rl.algorithm)
    gold, seed = params.calibration.gold, params.judging.seed
    return {
        "agreement": agreement_table(compared, resampler),
        "drift": drift_table(compared, resampler),
        "corrected": corrected_counts(ratings, gold, seed, resampler),
        "judgements": judgements_table(ratings),
    }


@dataclass(frozen=True)
class Pair:
    """Two raters' counts of one behavior in the responses that both counted.

    Attributes:
        rater, reference, behavior: who is compared with whom on what.
        problem: number of each response's problem, 0 to n_problems - 1.
        step: RL step of each response; -1 for those of other conditions than the main ones.
        counts: of the rater and of the reference: [2, responses].
    """

    rater: str
    reference: str
    behavior: str
    problem: NDArray[np.int64]
    n_problems: int
    step: NDArray[np.int64]
    counts: Floats

    @property
    def steps(self) -> list[int]:
        """RL steps of the main conditions, ascending."""
        return sorted(set(self.step[self.step >= 0].tolist()))

    def sums(self, step: int | None = None) -> Floats:
        """Sums of every problem, of one step or of all responses: [P, M]."""
        here = np.ones(len(self.step), dtype=bool) if step is None else self.step == step
        return sums_by(self.problem[here], self.n_problems, *self.counts[:, here])

    def rows(self, found: list[Agreement], **where: int | None) -> list[dict[str, Any]]:
        """Rows of a table: the pair, ``where``, and what was found."""
        pair = {"rater": self.rater, "reference": self.reference, "behavior": self.behavior}
        return [{**pair, **where, **asdict(one)} for one in found]


def pairs(ratings: Ratings, algorithm: str) -> list[Pair]:
    """Every pair of raters and behavior with at least one response that both counted."""
    codes, problems = pd.factorize(ratings.counts["problem_id"], sort=True)
    # Conditions of one algorithm share their steps; a variant may be trained longer.
    steps = ratings.counts["rl_step"].where(ratings.counts["algorithm"] == algorithm, -1)
    found = []
    for rater, reference in ratings.pairs:
        both = ratings.counts[[rater, reference]].notna().all(axis=1)
        for behavior in BEHAVIORS:
            rows = (both & (ratings.counts["behavior"] == behavior)).to_numpy()
            if rows.any():
                counts = ratings.counts.loc[rows, [rater, reference]].to_numpy(dtype=float).T
                step = steps.to_numpy(dtype=np.int64)[rows]
                found.append(Pair(rater, reference, behavior, codes[rows], len(problems), step, counts))
    return found


def agreement_table(compared: list[Pair], resampler: Resampler) -> pd.DataFrame:
    """One row a (pair, RL step, statistic): value, low, high, n_responses, n_problems.

    Without a step (null) it covers all responses that both counted; with one, those of the main conditions.
    """
    rows = []
    for pair in compared:
        for step in (None, *pair.steps):
            rows += pair.rows(agreement(pair.sums(step), resampler), rl_step=step)
    return pd.DataFrame(rows).astype({"rl_step": "Int64"})


def drift_table(compared: list[Pair], resampler: Resampler) -> pd.DataFrame:
    """One row a (pair, statistic): its change from the first to the last RL step, with interval."""
    rows = []
    for pair in compared:
        if len(pair.steps) > 1:
            first, last = pair.steps[0], pair.steps[-1]
            change = drift(pair.sums(first), pair.sums(last), resampler)
            rows += pair.rows(change, first_step=first, last_step=last)
    columns = [*PAIR, "first_step", "last_step", *Agreement.__annotations__]
    return pd.DataFrame(rows, columns=columns)


def judgements_table(ratings: Ratings) -> pd.DataFrame:
    """One row a (condition, RL step, behavior): judgements by status; quotes and those that do not occur."""
    judged = ratings.judged
    flags = {status: judged["status"] == status for status in STATUSES}
    flagged = judged.assign(judgements=1, quotes=judged["evidence"].map(len), **flags)
    columns = ["judgements", *STATUSES, "quotes", "missing_quotes"]
    table = flagged.groupby([*IDENTITY, "rl_step", "behavior"], sort=False)[columns].sum()
    return table.astype("int64").reset_index()


def sheet_rows(params: Params, ratings: Ratings) -> pd.DataFrame:
    """The rollouts that people are asked to label: those on which the oracle is gold."""
    once = ratings.judged[ratings.judged["behavior"] == BEHAVIORS[0]]
    gold, seed = params.calibration.gold, params.judging.seed
    cells = once.groupby([*IDENTITY, "rl_step"], sort=False)
    asked = pd.concat([part[part["problem_id"].isin(drawn(part, gold, seed))] for _, part in cells])
    return ratings.rollouts[ratings.rollouts["rollout_id"].isin(asked["rollout_id"])]
