"""Rule ``quality``: what the priming sets hold, and what the replies of an LLM teacher were worth.

Reads ``data/priming/{priming}/seed{n}.parquet`` of every set in the matrix and, with an LLM teacher,
``data/teaching/{set}.parquet``. Writes ``results/quality/quality.parquet``, one row a priming set, in the
schema below. Behaviors are counted by the oracle in every trace, whoever wrote it: a program plants them, an
LLM is asked for them, and both can be compared with what is found.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from habits.artifacts import read_parquet, replacing, stamp
from habits.behaviors.oracle import count_behaviors_in
from habits.params import Params
from habits.priming.demonstrations import STATUSES
from habits.priming.language import BEHAVIORS, Behavior
from habits.priming.sets import PARENTS, REWRITTEN, SYMBOLIC, demonstrations_for
from habits.priming.teacher import RECIPES
from habits.progress import Progress

TRACE = ["numbers", "target", "response", "teacher", "verdict", "n_tokens", "planted"]
FOUND = pa.struct(
    [
        ("behavior", pa.string()),
        ("asked", pa.bool_()),
        ("planted", pa.float64()),
        ("found", pa.float64()),
        ("share", pa.float64()),
    ]
)
SCHEMA = pa.schema(
    [
        ("set", pa.string()),
        ("teacher", pa.string()),
        ("seeds", pa.int64()),
        ("n", pa.int64()),
        ("accuracy", pa.float64()),
        ("duplicates", pa.float64()),
        ("mean_tokens", pa.float64()),
        ("behaviors", pa.list_(FOUND)),
        ("requests", pa.int64()),
        ("statuses", pa.list_(pa.struct([("status", pa.string()), ("count", pa.int64())]))),
        ("input_tokens", pa.int64()),
        ("output_tokens", pa.int64()),
    ]
)


def write_quality(params: Params, priming: Path, teaching: Path, out: Path) -> None:
    """Write the quality of every priming set in the matrix.

    Args:
        params: the settings; their matrix says which sets and seeds there are.
        priming: the folder of the traces.
        teaching: the folder of an LLM teacher's demonstrations.
        out: the parquet to write.

    Raises:
        ArtifactError: traces or demonstrations are missing.
    """
    seeds: dict[str, list[int]] = {}
    for run in params.runs:
        if run.priming != "none" and run.seed not in seeds.setdefault(run.priming, []):
            seeds[run.priming].append(run.seed)
    progress, rows, parents = Progress("quality", len(seeds)), [], []
    for name in seeds:
        files = [priming / name / f"seed{seed}.parquet" for seed in sorted(seeds[name])]
        row = _of_traces(name, [read_parquet(file, TRACE) for file in files])
        if params.teacher != SYMBOLIC and name not in REWRITTEN:
            files.append(teaching / f"{demonstrations_for(name)}.parquet")
            row |= _of_replies(read_parquet(files[-1], ["status", "input_tokens", "output_tokens"]))
        rows.append(row)
        parents += files
        progress.update(len(rows))
    with replacing(out) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, SCHEMA), temporary, compression="zstd")
    stamp(out, settings={"teacher": params.teacher}, parents=sorted(set(parents)))


def _of_traces(name: str, frames: list[pd.DataFrame]) -> dict[str, Any]:
    traces = pd.concat(frames, ignore_index=True)
    repeated = [frame[["response"]].assign(problem=_problems(frame)).duplicated() for frame in frames]
    return {
        "set": name,
        "teacher": ", ".join(sorted(set(traces["teacher"]))),
        "seeds": len(frames),
        "n": len(traces),
        "accuracy": float((traces["verdict"] == "correct").mean()),
        "duplicates": float(pd.concat(repeated).mean()),
        "mean_tokens": float(traces["n_tokens"].mean()),
        "behaviors": list(_behaviors(name, traces)),
    }


def _problems(frame: pd.DataFrame) -> list[str]:
    return [f"{list(n)}={t}" for n, t in zip(frame["numbers"], frame["target"], strict=True)]


def _behaviors(name: str, traces: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Each behavior: asked for, planted a trace (null where nobody says), found a trace, in which share."""
    rows = zip(traces["response"], traces["numbers"], traces["target"], strict=True)
    counts = [count_behaviors_in(text, [int(n) for n in numbers], int(t)).counts for text, numbers, t in rows]
    planted = [entries for entries in traces["planted"] if entries is not None]
    for behavior in BEHAVIORS:
        found = np.array([count[behavior] for count in counts])
        said = sum(int(e["count"]) for entries in planted for e in entries if e["behavior"] == behavior)
        yield {
            "behavior": behavior,
            "asked": behavior in asked_of(name),
            "planted": said / len(planted) if len(planted) == len(traces) else None,
            "found": float(found.mean()),
            "share": float((found > 0).mean()),
        }


def asked_of(name: str) -> tuple[Behavior, ...]:
    """The behaviors that the traces of a priming set should show; none for a control without thoughts."""
    recipe = RECIPES.get(PARENTS.get(name, name))
    if recipe is None or name.endswith("empty_cot"):
        return ()
    shown = (recipe.verification, True, recipe.subgoal > 0, recipe.backward > 0)
    return tuple(behavior for behavior, is_shown in zip(BEHAVIORS, shown, strict=True) if is_shown)


def _of_replies(replies: pd.DataFrame) -> dict[str, Any]:
    counts = replies["status"].value_counts()
    return {
        "requests": len(replies),
        "statuses": [{"status": s, "count": int(counts[s])} for s in STATUSES if s in counts],
        "input_tokens": int(replies["input_tokens"].sum()),
        "output_tokens": int(replies["output_tokens"].sum()),
    }
