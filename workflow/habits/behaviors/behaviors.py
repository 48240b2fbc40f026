"""Rule ``behaviors``: the oracle's counts for every rollout of a run.

Reads ``results/rollouts/{model}/{priming}/{algorithm}/seed{n}.parquet``; writes the parquet of the same
name under ``results/behaviors``, one row a rollout and behavior, in the schema below. ``count`` can be
null for raters that may fail to answer; the oracle always answers.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from habits.artifacts import ArtifactError, read_parquet, replacing, stamp
from habits.behaviors.oracle import count_behaviors_in
from habits.params import Params, RunId
from habits.priming.language import BEHAVIORS
from habits.progress import Progress

RATER = "oracle"
CARRIED = ("rollout_id", "model", "priming", "algorithm", "seed", "rl_step")
SCHEMA = pa.schema(
    [
        ("rollout_id", pa.string()),
        ("model", pa.string()),
        ("priming", pa.string()),
        ("algorithm", pa.string()),
        ("seed", pa.int64()),
        ("rl_step", pa.int64()),
        ("behavior", pa.string()),
        ("count", pa.int64()),
        ("rater", pa.string()),
        ("status", pa.string()),
        ("spans", pa.list_(pa.struct([("start", pa.int64()), ("end", pa.int64())]))),
    ]
)


def count_behaviors(params: Params, run: str, rollouts: Path, out: Path) -> None:
    """Count the behaviors in every rollout of ``run`` (``model/priming/algorithm/seedN``).

    Raises:
        ParamsError: the run is not in the matrix.
        ArtifactError: the rollouts are missing, lack columns, or belong to another run.
    """
    run_id, _ = params.run(run)
    frame = read_parquet(rollouts, [*CARRIED, "numbers", "target", "response"])
    check_run(frame, run_id, rollouts)
    table = rate(frame, name=f"behaviors {run}")
    with replacing(out) as temporary:
        pq.write_table(table, temporary, compression="zstd")
    stamp(out, settings={"run": run, "rater": RATER}, parents=[rollouts], seed=run_id.seed)
    counts = table.select(["behavior", "count"]).to_pandas().groupby("behavior", sort=False)["count"].mean()
    means = ", ".join(f"{behavior} {mean:.2f}" for behavior, mean in counts.items())
    print(f"[behaviors {run}] {len(frame)} rollouts; per rollout: {means}", file=sys.stderr, flush=True)


def rate(frame: pd.DataFrame, name: str = "behaviors") -> pa.Table:
    """The oracle's counts as a table with ``SCHEMA``: four rows a rollout, in the order of the rollouts.

    Args:
        frame: rollouts with the carried columns, ``numbers``, ``target`` and ``response``.
        name: what the progress lines are headed with.
    """
    progress = Progress(name, len(frame))
    counts: list[int] = []
    spans: list[list[dict[str, int]]] = []
    rows = zip(frame["response"], frame["numbers"], frame["target"], strict=True)
    for done, (response, numbers, target) in enumerate(rows, start=1):
        found = count_behaviors_in(response, [int(number) for number in numbers], int(target))
        for behavior in BEHAVIORS:
            here = found.spans(behavior)
            counts.append(len(here))
            spans.append([{"start": span.start, "end": span.end} for span in here])
        if done % 1000 == 0:
            progress.update(done)
    repeated = frame[[*CARRIED]].loc[frame.index.repeat(len(BEHAVIORS))]
    columns = {column: repeated[column].tolist() for column in CARRIED}
    columns |= {"behavior": [*BEHAVIORS] * len(frame), "count": counts, "spans": spans}
    columns |= {"rater": [RATER] * len(counts), "status": ["ok"] * len(counts)}
    return pa.table({field.name: columns[field.name] for field in SCHEMA}, schema=SCHEMA)


def check_run(frame: pd.DataFrame, run_id: RunId, rollouts: Path) -> None:
    """ArtifactError unless all rollouts are of the run, each once."""
    for column in ("model", "priming", "algorithm", "seed"):
        strangers = set(frame[column]) - {getattr(run_id, column)}
        if strangers:
            raise ArtifactError(
                f"{rollouts}: column {column} holds {sorted(strangers)[:3]}, but the run is {run_id.path}; "
                f"make it again with `snakemake --cores all --force {rollouts}`"
            )
    if frame["rollout_id"].duplicated().any():
        raise ArtifactError(f"{rollouts}: rollout_id is not unique; make the rollouts again")
