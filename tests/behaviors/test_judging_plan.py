"""What a judge will be asked: from the settings before there are rollouts, exactly once there are."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from habits.artifacts import write_parquet
from habits.behaviors.judging import COLUMNS
from habits.behaviors.planning import judging_errands, rollouts_to_judge
from habits.cli import PRESETS
from habits.llm.plan import plan_errands
from habits.llm.store import ReplyStore
from habits.params import Params, load
from habits.tasks.countdown import Problem

PROBLEMS = [Problem((18, 3, 7), 13), Problem((16, 5, 4), 36), Problem((6, 20, 9), 34)]


def judged(preset: str, **values: object) -> Params:
    params = load(PRESETS / f"{preset}.yaml").only("countdown").model_copy(update={"judge": "gpt-4o-mini"})
    return params.model_copy(update={"judging": params.judging.model_copy(update=values)})


def test_without_a_judge_nobody_is_asked(tmp_path: Path) -> None:
    params = judged("smoke").model_copy(update={"judge": "none"})
    assert judging_errands(params, tmp_path, PROBLEMS) == []


def test_every_run_is_judged_at_every_checkpoint(tmp_path: Path) -> None:
    params = judged("smoke", samples=10)
    errands = judging_errands(params, tmp_path, PROBLEMS)
    assert [errand.subject for errand in errands] == [run.path for run in params.runs]
    # Steps 0, 2 and 4 of the usual run; more rollouts than 10 at each.
    assert errands[-1].calls == 30
    # 16 problems, one sample each, two at the last checkpoint.
    assert rollouts_to_judge(judged("smoke", samples=1000), params.matrix[-1]) == 16 + 16 + 32


def test_a_call_a_behavior_is_four_times_the_calls(tmp_path: Path) -> None:
    joint, separate = (
        sum(errand.calls for errand in judging_errands(judged("smoke", calls=calls), tmp_path, PROBLEMS))
        for calls in ("joint", "separate")
    )
    assert separate == 4 * joint


def test_rollouts_that_are_there_are_counted_as_they_are(tmp_path: Path) -> None:
    params = judged("smoke", samples=5)
    run = next(iter(params.runs))
    rows = [
        {**dict.fromkeys(COLUMNS, ""), "seed": 1, "rl_step": step, "sample_id": 0, "target": 28}
        | {"rollout_id": f"{step}/{n}", "problem_id": str(n), "numbers": [3, 7, 14], "response": f"3 + {n}"}
        for step in (0, 2)
        for n in range(7)
    ]
    write_parquet(pd.DataFrame(rows), tmp_path / f"rollouts/{run.path}.parquet")
    exact, *guessed = judging_errands(params, tmp_path, PROBLEMS)
    assert (exact.calls, exact.examples, len(exact.requests)) == (10, False, 10)
    assert all(errand.examples for errand in guessed)


def test_the_bill_of_a_run_of_the_papers_size(tmp_path: Path) -> None:
    """26 checkpoints, 200 rollouts each, one call a rollout: about two dollars, half in batches."""
    params = judged("paper")
    plan = plan_errands(
        params.llm, judging_errands(params, tmp_path, PROBLEMS), ReplyStore(tmp_path), date(2026, 11, 21)
    )
    for line in plan.lines:
        assert line.calls == 26 * 200
        assert 1.5 < line.sync_usd < 2.5 and line.batch_usd == pytest.approx(line.sync_usd / 2)
