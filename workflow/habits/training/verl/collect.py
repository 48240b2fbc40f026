"""What a verl run has done so far, in our tables: one row of metrics a step, one row a rollout.

Reads the attempt's ``metrics.jsonl`` (verl's file logger) and ``rollouts-*.jsonl`` (our reward) as they
grow; writes ``metrics/``, ``timing/`` and ``rollouts/`` parquet parts of finished checkpoints into scratch.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from habits.artifacts import write_parquet
from habits.params import RunId

VERL_METRICS = {
    "policy_loss": ("actor/pg_loss",),
    "value_loss": ("critic/vf_loss",),
    "entropy": ("actor/entropy",),
    "clip_fraction": ("actor/pg_clipfrac",),
    "grad_norm": ("actor/grad_norm",),
    # In the reward verl averages over the tokens of a rollout, then over rollouts; in the loss as the loss.
    "kl": ("actor/reward_kl_penalty", "actor/kl_loss"),
}
Record = dict[str, Any]


@dataclass
class Collector:
    """Collects one run's attempt; ``flushed`` is the last step whose rows are in parquet.

    Args:
        run: names the rows.
        scratch: work in progress of the run.
        attempt: where verl's processes write now.
        temperature: of the rollouts.
        unused: metrics that this algorithm does not have; 0, as with the local trainer.
    """

    run: RunId
    scratch: Path
    attempt: Path
    temperature: float
    unused: frozenset[str] = frozenset()
    rollouts: dict[int, list[Record]] = field(default_factory=lambda: defaultdict(list))
    verl: dict[int, Record] = field(default_factory=dict)
    offsets: dict[Path, int] = field(default_factory=dict)

    def read(self) -> list[int]:
        """Take in what was written since the last call; returns the steps whose metrics came."""
        for path in sorted(self.attempt.glob("rollouts-*.jsonl")):
            for record in self._lines(path):
                if record["sampled"]:
                    self.rollouts[record["step"]].append(record)
        new = []
        for line in self._lines(self.attempt / "metrics.jsonl"):
            if line["step"] > 0:
                self.verl[line["step"]] = line["data"]
                new.append(line["step"])
        return new

    def _lines(self, path: Path) -> Iterator[Record]:
        """Whole lines behind what was read before; the last one may be half written."""
        if not path.exists():
            return
        with path.open("rb") as file:
            file.seek(self.offsets.get(path, 0))
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self.offsets[path] = self.offsets.get(path, 0) + len(line)
                yield json.loads(line)

    @property
    def flushed(self) -> int:
        """The last step that is in parquet parts; 0 before the first."""
        parts = sorted((self.scratch / "metrics").glob("until*.parquet"))
        return int(parts[-1].stem.removeprefix("until")) if parts else 0

    def flush(self, until: int) -> None:
        """Write the rows of all steps up to ``until`` that are not yet written."""
        steps = [step for step in sorted(self.rollouts) if self.flushed < step <= until]
        if steps:
            name = f"until{until:06d}.parquet"
            rows = [self.rollout_row(step, record) for step in steps for record in self._ordered(step)]
            write_parquet(pd.DataFrame(rows), self.scratch / "rollouts" / name)
            write_parquet(
                pd.DataFrame([self.timing_row(step) for step in steps]), self.scratch / "timing" / name
            )
            write_parquet(
                pd.DataFrame([self.metrics_row(step) for step in steps]), self.scratch / "metrics" / name
            )
        for step in steps:
            self.rollouts.pop(step)

    def _ordered(self, step: int) -> list[Record]:
        """By problem and sample: the order in which rewards were computed says nothing."""
        return sorted(self.rollouts[step], key=lambda r: (r["prompt"], r["session"], r["response"]))

    def metrics_row(self, step: int) -> dict[str, float]:
        """The metrics of a step under the local trainer's names; NaN where verl's were lost by a kill."""
        records, verl = self.rollouts[step], self.verl.get(step, {})
        count, tokens = len(records), sum(record["n_tokens"] for record in records)
        row = {
            "step": step,
            "accuracy": sum(record["acc"] for record in records) / count,
            "reward": sum(record["score"] for record in records) / count,
            "format_rate": sum(record["format_ok"] for record in records) / count,
            "truncated_rate": 1 - sum(record["stopped"] for record in records) / count,
            "mean_tokens": tokens / count,
            "rollout_tokens": tokens,
        }
        return row | {
            name: 0.0 if name in self.unused else first_of(verl, keys) for name, keys in VERL_METRICS.items()
        }

    def timing_row(self, step: int) -> dict[str, float]:
        """Seconds of a step, and rollout tokens a second."""
        seconds = first_of(self.verl.get(step, {}), ("timing_s/step",))
        tokens = sum(record["n_tokens"] for record in self.rollouts[step])
        return {"step": step, "seconds": seconds, "tokens_per_second": tokens / seconds}

    def rollout_row(self, step: int, record: Record) -> Record:
        """A row of the rollouts table; sampled before the update of ``step``, by the policy of step - 1."""
        problem = record["problem"]
        name = f"{self.run.path}/train/step{step - 1}/{problem['problem_id']}/{record['session']}"
        return {
            "rollout_id": name,
            **self.run.model_dump(),
            "checkpoint": "",
            "rl_step": step - 1,
            "split": "train",
            **problem,
            "sample_id": record["session"],
            "temperature": self.temperature,
            "prompt": record["prompt"],
            "response": record["response"],
            "n_tokens": record["n_tokens"],
            "stopped": record["stopped"],
            "format_ok": bool(record["format_ok"]),
            "correct": record["reason"] == "correct",
            "reward": record["score"],
            "reason": record["reason"],
            "mean_entropy": math.nan,  # verl tells the entropy of a step, not of a rollout
            "logprob": math.nan if record["logprob"] is None else record["logprob"],
        }


def tables(scratch: Path) -> dict[str, pd.DataFrame]:
    """The parts of every table put together; cumulative tokens are counted here."""
    found = {
        name: pd.concat([pd.read_parquet(part) for part in sorted((scratch / name).glob("until*.parquet"))])
        for name in ("metrics", "timing", "rollouts")
    }
    found = {name: frame.reset_index(drop=True) for name, frame in found.items()}
    found["metrics"]["cumulative_rollout_tokens"] = found["metrics"]["rollout_tokens"].cumsum()
    return found


def first_of(values: Record, keys: tuple[str, ...]) -> float:
    """The first of ``keys`` that is there; NaN without any."""
    return next((float(values[key]) for key in keys if values.get(key) is not None), math.nan)
