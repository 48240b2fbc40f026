"""RL on one machine: resumes exactly after SIGKILL, learns, and writes what the contract says."""

import multiprocessing
import os
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml

from habits import params as settings
from habits.artifacts import hash_path
from habits.models.optimization import scratch_folder
from habits.models.policy import Policy, load_policy, save_checkpoint
from habits.models.tokenizer import build_tokenizer
from habits.tasks.countdown import Problem
from habits.tasks.countdown.problems import write_problems
from habits.tasks.task import task_of
from habits.training.rl import run_rl, spread
from habits.training.roll_out import roll_out

RUN = "plain/none/ppo/seed11"
LAPTOP = Path(__file__).parents[2] / "workflow" / "presets" / "laptop.yaml"


def tiny_params(**rl: object) -> settings.Params:
    raw = yaml.safe_load(LAPTOP.read_text())
    raw["countdown"] |= {"train": 60, "validation": 10, "test": 10}
    raw["rl"] |= {
        "steps": 6,
        "save_every": 2,
        "prompts_per_step": 16,
        "max_response_tokens": 24,
        "learning_rate": 0.003,
        **rl,
    }
    raw["rollouts"] |= {"problems": 10}
    raw["matrix"] = [{"model": "plain", "priming": "none", "seeds": [11]}]
    return settings.validate(raw)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_policy: Policy) -> Path:
    monkeypatch.chdir(tmp_path)
    write_problems(tiny_params(), Path("problems"))
    save_checkpoint(tiny_policy, build_tokenizer(), Path("start"))
    return tmp_path


def train(params: settings.Params, out: str, run: str = RUN) -> None:
    run_rl(params, run, Path("start"), Path("problems"), Path(out))


def result_of(out: str) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    folder = Path(out)
    return (
        pd.read_parquet(folder / "metrics.parquet"),
        pd.read_parquet(folder / "rollouts.parquet"),
        hash_path(folder / "checkpoints"),
    )


def test_killed_in_the_middle_it_goes_on_and_ends_with_the_same_numbers(workspace: Path) -> None:
    params = tiny_params(steps=40)
    train(params, "unbroken/run")
    child = multiprocessing.get_context("fork").Process(target=train, args=(params, "killed/run"))
    child.start()
    state = scratch_folder(Path("killed/run")) / "trainer.pt"
    while not state.exists():
        time.sleep(0.01)
    time.sleep(0.05)
    os.kill(child.pid, 9)  # type: ignore[arg-type]
    child.join()
    done = torch.load(state, weights_only=True)["step"]
    assert 0 < done < 40 and not Path("killed/run").exists()
    train(params, "killed/run")
    for unbroken, killed in zip(result_of("unbroken/run"), result_of("killed/run"), strict=True):
        assert unbroken.equals(killed) if isinstance(unbroken, pd.DataFrame) else unbroken == killed
    assert not scratch_folder(Path("killed/run")).exists()


def test_work_in_progress_of_other_settings_is_not_mixed_in(workspace: Path) -> None:
    scratch = scratch_folder(Path("run"))
    train(tiny_params(), "run")
    first = result_of("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "habits.training.rl.Trainer.publish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
        )
        with pytest.raises(KeyboardInterrupt):
            train(tiny_params(learning_rate=0.1), "run")
    assert scratch.exists()
    train(tiny_params(), "run")
    assert result_of("run")[2] == first[2]


@pytest.mark.parametrize("algorithm", ["ppo", "grpo", "reinforce_plus_plus"])
def test_every_algorithm_raises_the_reward(workspace: Path, algorithm: str) -> None:
    """A reward that random responses can earn: any response that stops. 30 steps must raise it clearly."""
    changes = {"algorithm": algorithm, "group_size": 4, "prompts_per_step": 16, "steps": 30, "save_every": 30}
    params = tiny_params(**changes, learning_rate=0.01)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("habits.tasks.countdown.task.grade", _pay_for_stopping)
        train(params, "run", RUN.replace("ppo", algorithm))
    metrics = result_of("run")[0]
    assert metrics["reward"].tail(5).mean() > metrics["reward"].head(5).mean() + 0.3


def test_kl_in_the_reward_and_kl_loss_keep_the_policy_near_its_start(workspace: Path) -> None:
    def final_kl(**kl: object) -> float:
        params = tiny_params(steps=20, save_every=20, learning_rate=0.01, **kl)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("habits.tasks.countdown.task.grade", _pay_for_stopping)
            train(params, "run")
        return float(result_of("run")[0]["kl"].tail(5).mean())

    free = final_kl(kl_in_reward=True, kl_coef=1e-9)  # a coefficient of 0 would not measure the KL
    assert free > 0.01
    assert final_kl(kl_in_reward=True, kl_coef=0.5) < 0.5 * free
    assert final_kl(use_kl_loss=True, kl_coef=0.5, kl_penalty="low_var_kl") < 0.5 * free


def test_outputs_hold_every_rollout_and_every_checkpoint(workspace: Path) -> None:
    train(tiny_params(), "run")
    metrics, rollouts, _ = result_of("run")
    assert list(metrics["step"]) == [1, 2, 3, 4, 5, 6]
    assert len(rollouts) == 6 * 16 and rollouts["rollout_id"].is_unique
    assert sorted(p.name for p in Path("run/checkpoints").iterdir()) == ["step0", "step2", "step4", "step6"]
    assert metrics["cumulative_rollout_tokens"].iloc[-1] == rollouts["n_tokens"].sum()
    by_step = rollouts.groupby("rl_step")["correct"].mean()
    assert by_step.tolist() == pytest.approx(metrics["accuracy"].tolist())
    seen = set(rollouts["problem_id"])
    held_out = set(
        problem["problem_id"] for problem in pd.read_parquet("problems/test.parquet")["extra_info"]
    )
    assert len(seen) == 60 and not seen & held_out


def test_a_checkpoint_loads_with_its_own_tokenizer(workspace: Path) -> None:
    train(tiny_params(), "run")
    policy, tokenizer = load_policy(Path("run/checkpoints/step6"), tiny_params().runtime)
    assert (
        tokenizer("nums 6 13 3 target 81 <think>")["input_ids"]
        == build_tokenizer()("nums 6 13 3 target 81 <think>")["input_ids"]
    )
    assert policy.model.config.model_type == "qwen2"


def test_a_response_limit_beyond_the_models_positions_is_refused(tiny_policy: Policy) -> None:
    with pytest.raises(ValueError, match="raise max_positions or lower max_response_tokens"):
        roll_out(
            tiny_policy.model,
            build_tokenizer(),
            [Problem((6, 13, 3), 81)],
            task=task_of(tiny_params(), "plain"),
            max_response_tokens=250,
            temperature=1.0,
            generator=torch.Generator(),
        )


def test_spread_puts_flat_token_values_back_in_their_rows() -> None:
    mask = torch.tensor([[1.0, 1, 0], [1, 0, 0], [1, 1, 1]])
    expected = torch.tensor([[1.0, 2, 0], [3, 0, 0], [4, 5, 6]])
    assert torch.equal(spread(torch.arange(1.0, 7.0), mask), expected)


def _pay_for_stopping(response: str, problem: object, *, stopped: bool, reward: settings.Reward) -> object:
    from habits.tasks.countdown import Verdict, VerdictParts, grade

    template = grade("", problem, stopped=stopped, reward=reward)  # type: ignore[arg-type]
    assert isinstance(template, Verdict) and isinstance(template.parts, VerdictParts)
    return Verdict(reason="correct" if stopped else "truncated", score=float(stopped), parts=template.parts)
