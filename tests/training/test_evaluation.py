"""Evaluation rollouts: every checkpoint, the same held-out problems, as many samples as asked."""

from pathlib import Path

import pandas as pd
import pytest
import yaml

from habits import params as settings
from habits.artifacts import ArtifactError
from habits.models.policy import Policy, save_checkpoint
from habits.models.tokenizer import build_tokenizer
from habits.rollouts.rollouts import sample_rollouts
from habits.tasks.countdown import Problem, grade
from habits.tasks.countdown.problems import write_problems

RUN = "plain/none/ppo/seed11"
LAPTOP = Path(__file__).parents[2] / "workflow" / "presets" / "laptop.yaml"


def small_params(**rollouts: object) -> settings.Params:
    raw = yaml.safe_load(LAPTOP.read_text())
    raw["countdown"] |= {"train": 60, "validation": 10, "test": 12}
    raw["rl"] |= {"steps": 20, "save_every": 10, "max_response_tokens": 24}
    raw["rollouts"] |= {"problems": 8, "samples": 2, "last_samples": 3, "batch_size": 10, **rollouts}
    raw["matrix"] = [{"model": "plain", "priming": "none", "seeds": [11]}]
    return settings.validate(raw)


@pytest.fixture
def finished_rl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_policy: Policy) -> Path:
    monkeypatch.chdir(tmp_path)
    write_problems(small_params(), Path("problems"))
    for step in (0, 10, 20):
        save_checkpoint(tiny_policy, build_tokenizer(), Path(f"rl/checkpoints/step{step}"))
    return Path("rl")


def rollouts_of(params: settings.Params, rl: Path, out: str = "out.parquet") -> pd.DataFrame:
    sample_rollouts(params, RUN, rl, Path("problems"), Path(out))
    return pd.read_parquet(out)


def test_every_checkpoint_answers_the_same_problems_and_the_last_one_more_often(finished_rl: Path) -> None:
    rows = rollouts_of(small_params(), finished_rl)
    assert rows.groupby("rl_step").size().to_dict() == {0: 16, 10: 16, 20: 24}
    problems = rows.groupby("rl_step")["problem_id"].agg(lambda ids: tuple(sorted(set(ids))))
    assert problems.nunique() == 1 and len(problems[0]) == 8
    assert rows["rollout_id"].is_unique and set(rows["split"]) == {"test"}
    assert rows.loc[rows["rl_step"] == 20, "sample_id"].value_counts().to_dict() == {0: 8, 1: 8, 2: 8}


def test_rows_hold_the_verdict_of_what_they_show(finished_rl: Path) -> None:
    params = small_params()
    for row in rollouts_of(params, finished_rl).itertuples():
        verdict = grade(row.response, Problem(tuple(row.numbers), row.target), stopped=row.stopped)
        assert (row.reason, row.reward, row.correct) == (
            verdict.reason,
            verdict.score,
            verdict.reason == "correct",
        )
        assert row.n_tokens == 24 or row.stopped


def test_the_same_settings_give_the_same_bytes(finished_rl: Path) -> None:
    rollouts_of(small_params(), finished_rl, "a.parquet")
    rollouts_of(small_params(), finished_rl, "b.parquet")
    assert Path("a.parquet").read_bytes() == Path("b.parquet").read_bytes()
    assert not rollouts_of(small_params(seed=8), finished_rl).equals(pd.read_parquet("a.parquet"))


def test_seeds_of_a_run_are_sampled_apart_even_from_the_same_model(finished_rl: Path) -> None:
    raw = small_params().model_dump()
    raw["matrix"][0]["seeds"] = [11, 12]
    params = settings.validate(raw)
    first = rollouts_of(params, finished_rl)
    sample_rollouts(params, RUN.replace("11", "12"), finished_rl, Path("problems"), Path("other.parquet"))
    assert first["response"].tolist() != pd.read_parquet("other.parquet")["response"].tolist()


def test_a_run_without_checkpoints_is_an_error_that_says_what_to_run(finished_rl: Path) -> None:
    with pytest.raises(ArtifactError, match="holds no checkpoints; run"):
        rollouts_of(small_params(), Path("elsewhere"))
