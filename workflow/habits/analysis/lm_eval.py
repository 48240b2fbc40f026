"""Transfer results in the JSON that EleutherAI's lm-evaluation-harness writes, for tools that read it.

One document a run and checkpoint. ``strict-match`` counts right answers in the form that the prompt asks for,
``flexible-extract`` also those found as the last number, as the harness does for GSM8K. What the harness
records of time and machine is left out; it stands in our provenance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from habits.analysis.transfer import Evaluated
from habits.transfer_params import Transfer

VERSION = 1.0  # of our tasks; raise it when prompts, extraction or grading change
STRICT, FLEXIBLE = "exact_match,strict-match", "exact_match,flexible-extract"


def lm_eval_documents(runs: list[Evaluated], settings: Sequence[Transfer]) -> dict[str, dict[str, Any]]:
    """The document of every run and checkpoint, by file name."""
    by_run: dict[tuple[str, int], list[Evaluated]] = {}
    for run in runs:
        by_run.setdefault((run.condition, run.seed), []).append(run)
    named = {line.name: line for line in settings}
    return {
        f"{condition.replace('/', '-')}-seed{seed}-{side}.json": results_document(found, side, named)
        for (condition, seed), found in by_run.items()
        for side in ("before", "after")
    }


def results_document(runs: list[Evaluated], side: str, settings: dict[str, Transfer]) -> dict[str, Any]:
    """The results of one run at one checkpoint.

    Args:
        runs: the evaluations of one run.
        side: ``before`` or ``after``.
        settings: the evaluations of params by name.
    """
    tables: dict[str, pd.DataFrame] = {run.evaluation: getattr(run, side) for run in runs}
    first = next(iter(tables.values())).iloc[0]
    return {
        "results": {name: _scores(name, table) for name, table in tables.items()},
        "group_subtasks": {name: [] for name in tables},
        "configs": {name: _configuration(name, settings[name]) for name in tables},
        "versions": dict.fromkeys(tables, VERSION),
        "n-shot": {name: settings[name].shots for name in tables},
        "higher_is_better": {name: {"exact_match": True} for name in tables},
        "n-samples": {
            name: {"original": int(table["n_items"].max()), "effective": len(table)}
            for name, table in tables.items()
        },
        "config": {"model": "hf", "model_args": f"pretrained={first['checkpoint']}", "batch_size": None},
        "model_source": "hf",
        "model_name": f"{runs[0].condition}/seed{runs[0].seed}/step{first['rl_step']}",
    }


def _scores(name: str, table: pd.DataFrame) -> dict[str, Any]:
    flexible = table["correct"].to_numpy(dtype=float)
    strict = flexible * table["format_ok"].to_numpy(dtype=float)
    found: dict[str, Any] = {"alias": name}
    for key, values in ((STRICT, strict), (FLEXIBLE, flexible)):
        metric, _, how = key.partition(",")
        error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else float("nan")
        found |= {key: float(values.mean()), f"{metric}_stderr,{how}": float(error)}
    return found


def _configuration(name: str, settings: Transfer) -> dict[str, Any]:
    return {
        "task": name,
        "dataset_path": settings.problems,
        "output_type": "generate_until",
        "num_fewshot": settings.shots,
        "generation_kwargs": {
            "do_sample": False,
            "temperature": 0.0,
            "max_gen_toks": settings.max_response_tokens,
        },
        "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
        "repeats": 1,
        "metadata": {"version": VERSION, "chat_template": settings.chat_template},
    }
