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

from habits.tasks.countdown import compute_score as grade_countdown

FOLDER = "HABITS_ROLLOUTS"


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: Mapping[str, Any],
    extra_info: Mapping[str, Any] | None = None,
    **reward: float,
) -> dict[str, float]:
    """Score (what is paid), acc and format_ok of a response; see `habits.tasks.countdown.reward`."""
    told = dict((extra_info or {}).get("rollout", {}))
    result = grade_countdown(
        data_source, solution_str, ground_truth, {"stopped": told.get("stopped", True)}, **reward
    )
    if told and os.environ.get(FOLDER):
        problem = {"numbers": list(map(int, ground_truth["numbers"])), "target": int(ground_truth["target"])}
        append({**told, **result, **problem, "response": solution_str})
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
