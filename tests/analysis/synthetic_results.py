"""Synthetic runs in the schema of the real ones, with known accuracies and counts.

The levels are those of pilot runs of the tiny models, so that figures drawn from them look like real ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from habits.analysis.evaluations import BEHAVIORS
from habits.analysis.statistics import write_statistics
from habits.artifacts import write_parquet
from habits.params import Params, Rl, RunId, validate

PROBLEMS = 48
BASE_SAMPLES = 8  # of the unprimed model, so that pass@8 can be computed by hand
LAPTOP = Path(__file__).parents[2] / "workflow" / "presets" / "laptop.yaml"


@dataclass(frozen=True)
class Level:
    """Where a condition starts and ends: accuracy, four behavior counts, response tokens."""

    accuracy: tuple[float, float]
    start: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    end: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    tokens: tuple[float, float] = (22.0, 22.0)


LEVELS = {
    ("plain", "none"): Level((0.10, 0.20)),
    ("searching", "none"): Level((0.08, 0.42), (0.7, 0.8, 0, 0), (4.0, 4.4, 0, 0), (45, 90)),
    ("plain", "all_strategies"): Level((0.09, 0.35), (2.4, 2.5, 0.9, 0.8), (5.4, 4.7, 0.3, 0.1), (62, 97)),
    ("plain", "backtracking_verification"): Level((0.15, 0.40), (4.1, 3.2, 0, 0), (6.1, 5.1, 0, 0), (68, 99)),
    ("plain", "backtracking_subgoal"): Level((0.16, 0.37), (0, 3.5, 3.2, 0), (0, 4.5, 5.7, 0), (68, 94)),
    ("plain", "backtracking_backward"): Level((0.04, 0.16), (0, 1.5, 0, 1.5), (0, 0.8, 0, 1.2), (48, 55)),
    ("plain", "only_backtracking"): Level((0.13, 0.38), (0, 3.8, 0, 0), (0, 5.0, 0, 0), (63, 82)),
    ("plain", "pretraining_curated"): Level((0.06, 0.3), (2.0, 1.2, 0.4, 0.2), (4.0, 3.0, 0, 0), (42, 80)),
    ("plain", "pretraining_negative"): Level((0.08, 0.2), tokens=(30, 24)),
    ("plain", "negative_control"): Level((0.12, 0.21), tokens=(20, 21)),
    ("plain", "empty_cot"): Level((0.12, 0.18), tokens=(11, 11)),
    ("plain", "length_matched_empty_cot"): Level((0.02, 0.06), tokens=(65, 60)),
    ("plain", "negative_only"): Level((0.14, 0.38), (4.6, 3.8, 0, 0), (6.0, 5.0, 0, 0), (70, 98)),
    ("plain", "negative_only_give_up"): Level((0.06, 0.08), (4.0, 3.9, 0, 0), (3.0, 3.1, 0, 0), (72, 70)),
}


@dataclass(frozen=True)
class Analysed:
    """A finished run of the workflow up to its statistics."""

    params: Params
    results: Path

    @property
    def statistics(self) -> Path:
        return self.results / "statistics"

    def table(self, name: str) -> pd.DataFrame:
        return pd.read_parquet(self.statistics / f"{name}.parquet")


def analyse(results: Path, judge: str = "none") -> Analysed:
    """Synthetic results of the laptop matrix on few problems, and their statistics, in ``results``."""
    params = synthetic_params(rollouts={"problems": PROBLEMS}, statistics={"bootstrap": 200}, judge=judge)
    write_synthetic_results(params, results)
    write_statistics(params, results, results / "statistics")
    return Analysed(params, results)


def synthetic_params(social: bool = False, **changes: Any) -> Params:
    """The laptop preset with top-level sections replaced or, for dicts, updated.

    Args:
        social: whether the runs on Social IQa are among them.
    """
    raw = yaml.safe_load(LAPTOP.read_text())
    raw["matrix"][0]["samples"] = BASE_SAMPLES
    for section, value in changes.items():
        raw[section] = {**raw[section], **value} if isinstance(value, dict) else value
    params = validate(raw)
    return params if social else params.only("countdown")


def write_synthetic_results(params: Params, results: Path) -> None:
    """Write rollouts, behaviors and RL metrics of every run of the matrix into ``results``."""
    difficulty = np.random.default_rng(5).normal(0, 1.0, params.rollouts.problems)
    for run, line in params.runs.items():
        rng = np.random.default_rng([run.seed, *(run.model + run.priming + run.algorithm).encode()])
        samples = line.samples or params.rollouts.samples
        rollouts = _rollouts(run, params.rl_settings(line), difficulty, samples, rng)
        counts = rollouts.pop("counts")
        write_parquet(rollouts, results / "rollouts" / f"{run.path}.parquet")
        write_parquet(_behaviors(rollouts, counts), results / "behaviors" / f"{run.path}.parquet")
        write_parquet(rollouts.assign(split="train"), results / "rl" / run.path / "rollouts.parquet")
        metrics = _metrics(run, params.rl_settings(line), rng)
        write_parquet(metrics, results / "rl" / run.path / "metrics.parquet")


def _progress(run: RunId, settings: Rl, step: float) -> float:
    slow = 60.0 if run.algorithm.endswith("matched_tokens") else settings.steps / 3
    return float(1 - np.exp(-step / slow))


def _rollouts(
    run: RunId, settings: Rl, difficulty: np.ndarray, samples: int, rng: np.random.Generator
) -> pd.DataFrame:
    level = LEVELS[(run.model, run.priming)]
    luck = rng.normal(0, 0.1)
    frames = []
    for step in range(0, settings.steps + 1, settings.save_every):
        progress = _progress(run, settings, step)
        accuracy = level.accuracy[0] + progress * (level.accuracy[1] - level.accuracy[0])
        logit = np.log(accuracy / (1 - accuracy)) + luck * progress + difficulty
        chance = np.repeat(1 / (1 + np.exp(-logit)), samples)
        n = len(chance)
        mean = np.array(level.start) + progress * (np.array(level.end) - np.array(level.start))
        tokens = level.tokens[0] + progress * (level.tokens[1] - level.tokens[0])
        correct = rng.random(n) < chance
        frame = pd.DataFrame(
            {
                "rollout_id": [f"{run.path}-{step}-{i}" for i in range(n)],
                **run.model_dump(),
                "rl_step": step,
                "split": "test",
                "seed": run.seed,
                "prompt": "nums 3 4 5 target 23 <think>",
                "problem_id": np.repeat([f"problem-{i}" for i in range(len(difficulty))], samples),
                "sample_id": np.tile(np.arange(samples), len(difficulty)),
                "numbers": [[3, 7, 14]] * n,
                "target": 21,
                "response": [f'=1 + {i}, "quoted"\nand {step}' for i in range(n)],
                "correct": correct,
                "stopped": rng.random(n) > 0.04,
                "format_ok": rng.random(n) > 0.03,
                "n_tokens": rng.poisson(tokens, n),
                "reward": np.where(correct, 1.0, 0.1),
                "mean_entropy": rng.gamma(4, 0.1, n),
                "counts": list(rng.poisson(mean, (n, 4))),
            }
        )
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def _behaviors(rollouts: pd.DataFrame, counts: pd.Series) -> pd.DataFrame:
    table = pd.DataFrame(np.stack(counts.to_list()), columns=list(BEHAVIORS))
    table["rollout_id"] = rollouts.rollout_id
    long = table.melt("rollout_id", var_name="behavior", value_name="count")
    return long.astype({"count": "Int64"}).assign(rater="oracle", status="ok")


def _metrics(run: RunId, settings: Rl, rng: np.random.Generator) -> pd.DataFrame:
    level = LEVELS[(run.model, run.priming)]
    step = np.arange(1, settings.steps + 1)
    progress = np.array([_progress(run, settings, float(s)) for s in step])
    tokens = level.tokens[0] + progress * (level.tokens[1] - level.tokens[0])
    rollout_tokens = np.rint(tokens * settings.prompts_per_step * settings.group_size)
    accuracy = level.accuracy[0] + progress * (level.accuracy[1] - level.accuracy[0])
    return pd.DataFrame(
        {
            "step": step,
            "accuracy": np.clip(accuracy + rng.normal(0, 0.02, len(step)), 0, 1),
            "reward": 0.1 + 0.9 * accuracy,
            "format_rate": 0.97,
            "truncated_rate": 0.04,
            "mean_tokens": tokens,
            "entropy": 0.4,
            "kl": 0.0,
            "cumulative_rollout_tokens": np.cumsum(rollout_tokens),
        }
    )
