"""A judge of synthetic results: the oracle's counts with planted errors and failures, without any reply."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from habits.behaviors.judging import JUDGED_SCHEMA, rater_of, sample_of
from habits.params import Params, RunId


@dataclass(frozen=True)
class Errors:
    """Chance to miss an instance before RL and at its end, mean of invented ones, chances to fail."""

    miss: tuple[float, float] = (0.25, 0.25)
    invent: float = 0.1
    unparsable: float = 0.03
    refused: float = 0.02


def write_judging(params: Params, results: Path, errors: Errors = Errors()) -> None:  # noqa: B008
    """Write ``results/judging`` for every run, from its rollouts and the oracle's counts."""
    for run, line in params.runs.items():
        rng = np.random.default_rng([99, *run.path.encode()])
        table = _judged(params, results, run, params.rl_settings(line).steps, errors, rng)
        path = results / "judging" / f"{run.path}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pandas(table, JUDGED_SCHEMA, preserve_index=False), path)


def _judged(
    params: Params, results: Path, run: RunId, last: int, errors: Errors, rng: np.random.Generator
) -> pd.DataFrame:
    sample = sample_of(params, pd.read_parquet(results / "rollouts" / f"{run.path}.parquet"))
    oracle = pd.read_parquet(results / "behaviors" / f"{run.path}.parquet")
    truth = oracle.set_index(["rollout_id", "behavior"])["count"]
    behaviors = list(dict.fromkeys(oracle["behavior"]))
    table = sample.loc[sample.index.repeat(len(behaviors))].assign(behavior=behaviors * len(sample))
    gold = truth.loc[pd.MultiIndex.from_frame(table[["rollout_id", "behavior"]])].to_numpy(dtype=int)
    miss = errors.miss[0] + (errors.miss[1] - errors.miss[0]) * table["rl_step"].to_numpy() / last
    seen = rng.binomial(gold, 1 - miss) + rng.poisson(errors.invent, len(gold))
    luck = np.repeat(rng.random(len(sample)), len(behaviors))
    status = np.where(luck < errors.unparsable + errors.refused, "refused", "ok")
    status = np.where(luck < errors.unparsable, "unparsable", status)
    ok = status == "ok"
    return table.assign(
        count=pd.Series(seen, index=table.index).astype("Int64").where(ok),
        rater=rater_of(params),
        status=status,
        spans=[[] for _ in seen],
        evidence=[["quoted", "not there"] if fine else [] for fine in ok],
        missing_quotes=ok.astype(int),
        reply="",
        reason=np.where(ok, "", "not in the form asked for"),
    )[list(JUDGED_SCHEMA.names)]
