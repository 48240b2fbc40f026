"""Traces from rewritten documents: the rows of ``data/rewriting/{set}.parquet`` in an order that the seed
decides.

Every seed has the same rows, as the token budget of a set is spent once.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

import pandas as pd

from habits.artifacts import read_parquet
from habits.priming.traces import SCHEMA, trace_id

COLUMNS = [
    "row",
    "corpus",
    "document",
    "numbers",
    "target",
    "prompt",
    "response",
    "verdict",
    "n_tokens",
    "rewriter",
]


def rewritten_traces(priming: str, seed: int, source: Path) -> pd.DataFrame:
    """The traces of a set as a frame with the columns of ``SCHEMA``.

    A row that is no number puzzle has no numbers and the target 0; its problem is the document.

    Raises:
        ArtifactError: the rows are missing.
    """
    rows = read_parquet(source, COLUMNS).to_dict("records")
    Random(f"{seed}/order").shuffle(rows)
    traces = []
    for index, row in enumerate(rows):
        numbers = [int(number) for number in row["numbers"]]
        key = f"{'-'.join(map(str, sorted(numbers)))}={row['target']}"
        traces.append(
            {
                "trace_id": trace_id(priming, seed, index),
                "problem_id": key if numbers else f"{row['corpus']}/{row['document']}",
                "numbers": numbers,
                "target": int(row["target"]),
                "prompt": row["prompt"],
                "response": row["response"],
                "teacher": row["rewriter"],
                "set": priming,
                "seed": seed,
                "verdict": row["verdict"],
                "n_tokens": int(row["n_tokens"]),
                "stop_reason": "rewritten",
                "parents": [row["row"]],
                "planted": None,
                "spans": None,
                "messages": [
                    {"role": "user", "content": row["prompt"]},
                    {"role": "assistant", "content": row["response"]},
                ],
            }
        )
    return pd.DataFrame(traces, columns=SCHEMA.names)
