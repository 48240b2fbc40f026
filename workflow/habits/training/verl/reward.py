"""The reward under verl's contract: grades a response and notes the rollout it belongs to.

verl loads this file in each of its reward workers (``reward.custom_reward_function``). Every graded
rollout is appended to a file in the folder that ``HABITS_ROLLOUTS`` names, one line a rollout and one
file a worker, written in one call so that a kill leaves whole lines.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from habits.tasks.task import reward_of

FOLDER = "HABITS_ROLLOUTS"


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: Mapping[str, Any],
    extra_info: Mapping[str, Any] | None = None,
    **reward: float,
) -> dict[str, float]:
    """Score (what is paid), acc and format_ok of a response; see the ``reward`` of its task."""
    extra_info = extra_info or {}
    told = dict(extra_info.get("rollout", {}))
    result = reward_of(data_source)(
        data_source, solution_str, ground_truth, {"stopped": told.get("stopped", True)}, **reward
    )
    if told and os.environ.get(FOLDER):
        append({**told, **result, "problem": json.loads(extra_info["problem"]), "response": solution_str})
    # verl averages what a reward returns and a reason has no mean; it stands in the record.
    return {name: float(result[name]) for name in ("score", "acc", "format_ok")}


def append(record: dict[str, Any]) -> None:
    """Add one line to this process's file."""
    path = Path(os.environ[FOLDER]) / f"rollouts-{os.getpid()}.jsonl"
    line = json.dumps(record, ensure_ascii=False).encode() + b"\n"
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(handle, line)
    finally:
        os.close(handle)
