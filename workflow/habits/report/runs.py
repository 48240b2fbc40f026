"""Every run of the matrix in one line: where it ended, what it cost, how RL went.

Reads results/rollouts and results/rl/.../metrics.parquet.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from habits.analysis.resampling import Interval, wilson
from habits.params import Params, RunId
from habits.report.inputs import Inputs, read_rows
from habits.report.labels import condition

CURVES = ("accuracy", "mean_tokens", "entropy")
METRIC_COLUMNS = ["step", *CURVES, "rollout_tokens"]


@dataclass(frozen=True)
class Curve:
    """One RL metric over the steps of a run.

    Attributes:
        name: the metric.
        values: one value a step.
        top: upper end of the axis, shared by all runs so that their curves compare.
    """

    name: str
    values: list[float]
    top: float

    def points(self, width: float, height: float) -> str:
        """The curve as the points of an SVG polyline in a box of the given size."""
        last = max(len(self.values) - 1, 1)
        scale = height / self.top if self.top > 0 else 0.0
        pairs = (
            (width * i / last, height - scale * v) for i, v in enumerate(self.values) if not math.isnan(v)
        )
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in pairs)


@dataclass(frozen=True)
class RunLine:
    """A row of the runs table.

    Attributes:
        run: the run.
        condition: its condition in words.
        step: last evaluated RL step.
        accuracy: share of evaluation rollouts of that step that are correct.
        interval: Wilson interval over problems (samples of one problem are not independent).
        start_accuracy: accuracy at the first evaluated step.
        problems: evaluated problems.
        tokens: rollout tokens of RL.
        seconds: wall time of RL's steps.
        curves: RL metrics over steps.
    """

    run: RunId
    condition: str
    step: int
    accuracy: float
    interval: Interval
    start_accuracy: float
    problems: int
    tokens: int
    seconds: float
    curves: list[Curve]

    @property
    def tokens_per_second(self) -> float:
        """Rollout tokens a second of RL, updates included."""
        return self.tokens / self.seconds if self.seconds > 0 else math.nan


def run_lines(inputs: Inputs, params: Params) -> list[RunLine]:
    """All runs of a task in the order of the matrix.

    Args:
        params: restricted to the task (`Params.only`).
    """
    metrics = {run: read_rows(inputs.metrics(run), METRIC_COLUMNS).sort_values("step") for run in params.runs}
    if not metrics:
        return []
    tops = {name: max(float(frame[name].max()) for frame in metrics.values()) for name in CURVES}
    lines = []
    for run, frame in metrics.items():
        rollouts = read_rows(inputs.rollouts(run), ["rl_step", "problem_id", "correct"])
        accuracy = rollouts.groupby("rl_step")["correct"].mean()
        first, last = int(rollouts["rl_step"].min()), int(rollouts["rl_step"].max())
        problems = int(rollouts.loc[rollouts["rl_step"] == last, "problem_id"].nunique())
        final = float(accuracy[last])
        lines.append(
            RunLine(
                run=run,
                condition=condition(run, params),
                step=last,
                accuracy=final,
                interval=wilson(final * problems, problems, params.statistics.confidence),
                start_accuracy=float(accuracy[first]),
                problems=problems,
                tokens=int(frame["rollout_tokens"].sum()),
                seconds=float(read_rows(inputs.timing(run), ["seconds"])["seconds"].sum()),
                curves=[Curve(name, [float(v) for v in frame[name]], tops[name]) for name in CURVES],
            )
        )
    return lines
