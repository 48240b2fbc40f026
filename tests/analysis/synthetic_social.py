"""Synthetic runs on social stories with known accuracies, lengths and transfer, up to their statistics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from habits.analysis.social_statistics import write_social_statistics
from habits.artifacts import write_parquet
from habits.params import Params
from habits.tasks.social_iqa.problems import write_problems

CLAIMS = Path(__file__).parents[2] / "workflow" / "claims"
ACCURACY = (0.35, 0.65)
TOKENS = {"easy": (8.0, 8.0), "medium": (8.0, 9.0), "hard": (8.0, 14.0)}  # before and after RL
ITEMS = 120


def write_social(params: Params, root: Path) -> Path:
    """Rollouts, RL metrics, transfer and problems of the social runs below ``root``, and their statistics.

    Args:
        params: of the social runs alone.
    """
    write_problems(params, root / "problems")
    told = pd.read_parquet(root / "problems" / "test.parquet")["extra_info"]
    problems = pd.DataFrame(list(told)).iloc[: params.rollouts.problems]
    for run, line in params.runs.items():
        rng = np.random.default_rng(run.seed)
        rl = params.rl_settings(line)
        steps = range(0, rl.steps + 1, rl.save_every)
        rows = [
            pd.DataFrame(
                {
                    "rollout_id": [
                        f"{run.path}-{step}-{key}-{n}" for key in problems["problem_id"] for n in (0, 1)
                    ],
                    **run.model_dump(),
                    "rl_step": step,
                    "split": "test",
                    "sample_id": [0, 1] * len(problems),
                    "prompt": "story Kai_had_to_rest . question Why ? options (A)_to_rest <think>",
                    "problem_id": np.repeat(problems["problem_id"].to_numpy(), 2),
                    "response": [f"so (A)_x{n} . </think>" for n in range(2 * len(problems))],
                    "correct": rng.random(2 * len(problems)) < np.interp(step, [0, rl.steps], ACCURACY),
                    "stopped": True,
                    "format_ok": True,
                    "n_tokens": [
                        int(rng.poisson(np.interp(step, [0, rl.steps], TOKENS[level])))
                        for level in problems["level"]
                        for _ in (0, 1)
                    ],
                    "mean_entropy": rng.gamma(4, 0.1, 2 * len(problems)),
                }
            )
            for step in steps
        ]
        table = pd.concat(rows, ignore_index=True)
        table["reward"] = np.where(table["correct"], 3.0, -1.0)
        write_parquet(table, root / "rollouts" / f"{run.path}.parquet")
        write_parquet(table.assign(split="train"), root / "rl" / run.path / "rollouts.parquet")
        metrics = pd.DataFrame({"step": range(1, rl.steps + 1)})
        for name in ("accuracy", "reward", "format_rate", "truncated_rate", "mean_tokens", "entropy", "kl"):
            metrics[name] = 0.5
        tokens = rl.prompts_per_step * rl.group_size * 10
        metrics = metrics.assign(rollout_tokens=tokens, cumulative_rollout_tokens=tokens * metrics["step"])
        write_parquet(metrics, root / "rl" / run.path / "metrics.parquet")
        knows = rng.random(ITEMS) < 0.3
        both = [
            _side(run.model_dump(), 0, knows),
            _side(run.model_dump(), rl.steps, knows & (rng.random(ITEMS) < 0.9)),
        ]
        write_parquet(pd.concat(both, ignore_index=True), root / "transfer" / f"{run.path}.parquet")
    out = root / "social_statistics"
    files = (CLAIMS / "social_iqa.yaml", CLAIMS / "social_findings.yaml")
    write_social_statistics(params, root, root / "problems" / "test.parquet", *files, out)
    return out


def _side(run: dict[str, object], step: int, correct: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(
        {
            **run,
            "evaluation": "word_problems",
            "checkpoint": f"hash{step}",
            "rl_step": step,
            "problem_id": [f"words-{n}" for n in range(len(correct))],
            "n_items": len(correct),
            "correct": correct,
            "format_ok": True,
            "reason": np.where(correct, "correct", "wrong_value"),
            "n_tokens": 12,
        }
    )
