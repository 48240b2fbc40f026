"""What the figures read: statistics tables and published series, as curves that are never empty.

A series that is missing, or lacks evaluation steps that the matrix asks for, is an ArtifactError that names
it: a figure must not quietly lose a line.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from habits.analysis.evaluations import BEHAVIORS, IDENTITY, ORACLE, ConditionKey
from habits.analysis.published import published_series
from habits.analysis.resampling import wilson
from habits.artifacts import ArtifactError, read_parquet
from habits.figures.marks import PUBLISHED, Origin
from habits.params import Params

RESPONSE_TOKENS = "response_tokens"


@dataclass(frozen=True)
class Series:
    """One curve: columns step, mean, low, high (NaN bounds where the source gives none).

    Attributes:
        origin: where its numbers were read; ``step_column`` is the column of the steps there.
    """

    points: pd.DataFrame
    n_seeds: int
    n_problems: int
    origin: Origin | None = None
    step_column: str = "rl_step"


@dataclass(frozen=True)
class Tables:
    """What a run of the workflow found, and the parameters that it was run with.

    Attributes:
        folder: of the tables: ``results/statistics``, or another one that the figure names.
    """

    params: Params
    folder: Path

    @property
    def algorithm(self) -> str:
        """Label of the conditions trained with the settings of ``rl`` as they stand."""
        return self.params.rl.algorithm

    def read(self, name: str) -> pd.DataFrame:
        """A statistics table; ArtifactError when it is missing or has no rows."""
        table = read_parquet(self.folder / f"{name}.parquet")
        if table.empty:
            raise ArtifactError(
                f"{self.folder / name}.parquet has no rows; the matrix lacks what it compares"
            )
        return table

    def primings(self, model: str, wanted: tuple[str, ...]) -> list[str]:
        """Those of ``wanted`` that the matrix runs on ``model`` with the main algorithm, in that order."""
        keys = {(r.model, r.priming, r.algorithm) for r in self.params.runs}
        return [p for p in wanted if (model, p, self.algorithm) in keys]

    def series(self, model: str, priming: str, metric: str) -> Series:
        """A condition's curve over RL steps, complete or ArtifactError."""
        key = ConditionKey(model, priming, self.algorithm)
        curves = self.read("curves")
        rows = curves[(curves[list(key._fields)] == list(key)).all(axis=1) & (curves.metric == metric)]
        missing = sorted(self._steps(key) - set(rows.rl_step))
        if missing or rows[["mean", "low", "high"]].isna().any(axis=None):
            raise ArtifactError(
                f"{self.folder}/curves.parquet: {metric} of {key.path} is not complete "
                f"(missing RL steps {missing}); compute the statistics again"
            )
        rows = rows.sort_values("rl_step").rename(columns={"rl_step": "step"}).reset_index(drop=True)
        return Series(
            rows[["step", "mean", "low", "high"]],
            int(rows.n_seeds.max()),
            int(rows.n_problems.max()),
            self.origin("curves", **key._asdict(), metric=metric),
        )

    def origin(self, name: str, **where: str | int | float) -> Origin:
        """Rows of one of the tables."""
        return Origin(f"results/{self.folder.name}/{name}.parquet", where)

    def agreement(self) -> pd.DataFrame:
        """Agreement of the judge with the oracle at every evaluation step, complete or ArtifactError."""
        path = self.folder / "agreement.parquet"
        table = read_parquet(path)
        judge = [name for name in table["rater"].unique() if name != ORACLE][:1]
        rows = table[table["rater"].isin(judge) & (table["reference"] == ORACLE)].dropna(subset="rl_step")
        main = [run for run in self.params.runs if run.algorithm == self.algorithm]
        steps = set().union(*(self._steps(ConditionKey(r.model, r.priming, r.algorithm)) for r in main))
        wanted = {(step, behavior) for step in steps for behavior in BEHAVIORS}
        missing = wanted - set(zip(rows["rl_step"], rows["behavior"], strict=True))
        if missing or rows["n_responses"].isna().any():
            raise ArtifactError(f"{path} is not complete: nothing for {sorted(missing)[:3]}; calibrate again")
        return rows

    def corrected(self) -> pd.DataFrame:
        """Mean counts of the judge in every condition and RL step, corrected by the oracle."""
        path = self.folder / "corrected.parquet"
        table = read_parquet(path)
        rows = table[table["gold"] == ORACLE]
        keys = {ConditionKey(run.model, run.priming, run.algorithm) for run in self.params.runs}
        wanted = {(*key, step, name) for key in keys for step in self._steps(key) for name in BEHAVIORS}
        missing = wanted - set(rows[[*IDENTITY, "rl_step", "behavior"]].itertuples(index=False, name=None))
        if missing:
            raise ArtifactError(f"{path} is not complete: nothing for {sorted(missing)[:3]}; calibrate again")
        return rows

    def _steps(self, key: ConditionKey) -> set[int]:
        for run, line in self.params.runs.items():
            if (run.model, run.priming, run.algorithm) == key:
                settings = self.params.rl_settings(line)
                return set(range(0, settings.steps + 1, settings.save_every))
        raise ArtifactError(f"the matrix has no {key.path}")


def paper_series(model: str, condition: str, column: str, confidence: float) -> Series:
    """A published curve. Accuracies get Wilson intervals from their n; the paper gives none for the rest."""
    table = published_series(model, condition)
    points = pd.DataFrame({"step": table.step, "mean": table[column], "low": np.nan, "high": np.nan})
    if column == "accuracy":
        n = table.n_accuracy.astype(int)
        bounds = [wilson(a * m, m, confidence) for a, m in zip(table.accuracy, n, strict=True)]
        points[["low", "high"]] = np.array(bounds)
    if points["mean"].isna().any():
        raise ArtifactError(f"published series {model} {condition}: {column} has gaps")
    origin = Origin(PUBLISHED, {"model": model, "condition": condition, "metric": column})
    return Series(points, 1, int(table.n_accuracy.max()), origin, step_column="step")
