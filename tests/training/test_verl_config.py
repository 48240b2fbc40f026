"""What we ask of verl: composes with its schema, pins what the paper says, refuses what verl does not."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from habits import params as settings
from habits.cli import PRESETS
from habits.training.verl.config import VerlConfigError, check_rl, check_sft, compose
from habits.training.verl.overrides import Job, Override
from habits.training.verl.plan import check_plan
from habits.training.verl.rl_overrides import rl_overrides
from habits.training.verl.sft_overrides import sft_overrides


def preset(name: str, **rl: object) -> settings.Params:
    raw = yaml.safe_load((PRESETS / f"{name}.yaml").read_text())
    raw["rl"] |= rl
    return settings.validate(raw)


def job(folder: Path, gpus: int = 4) -> Job:
    """A job on a model that exists: with a critic verl reads its configuration."""
    return Job("test", *[folder] * 5, seed=7, gpus=gpus, prompt_tokens=256)


@pytest.fixture
def model(tiny_policy: Any, tmp_path: Path) -> Path:
    from habits.models.policy import save_checkpoint
    from habits.models.tokenizer import build_tokenizer

    save_checkpoint(tiny_policy, build_tokenizer(), tmp_path / "model")
    return tmp_path / "model"


def test_the_paper_preset_pins_the_papers_settings(model: Path) -> None:
    params = preset("paper")
    config = compose("ppo_trainer", rl_overrides(params, params.rl, params.reward, job(model)))
    check_rl(config)
    actor, critic, rollout = config.actor_rollout_ref.actor, config.critic, config.actor_rollout_ref.rollout
    assert (config.algorithm.adv_estimator, config.algorithm.gamma, config.algorithm.lam) == ("gae", 1, 1)
    assert config.algorithm.use_kl_in_reward and not actor.use_kl_loss
    assert (config.algorithm.kl_penalty, config.algorithm.kl_ctrl.kl_coef) == ("kl", 0.001)
    assert (actor.clip_ratio_low, actor.clip_ratio_high, critic.cliprange_value) == (0.2, 0.2, 0.5)
    assert (actor.optim.lr, critic.optim.lr, actor.entropy_coeff) == (1e-6, 1e-5, 0.001)
    assert (actor.loss_agg_mode, actor.ppo_epochs, actor.optim.clip_grad) == ("token-mean", 1, 1.0)
    assert (config.data.train_batch_size, rollout.n) == (256, 4)
    # Two optimizer steps of the actor a step, eight of the critic: verl multiplies both by rollout.n.
    assert (actor.ppo_mini_batch_size, critic.ppo_mini_batch_size) == (128, 32)
    assert (rollout.prompt_length, rollout.response_length, rollout.max_model_len) == (256, 1024, 1280)
    assert (rollout.temperature, rollout.top_p, rollout.top_k) == (1.0, 1.0, -1)
    assert (rollout.tensor_model_parallel_size, rollout.gpu_memory_utilization) == (2, 0.4)
    assert (config.trainer.total_training_steps, config.trainer.save_freq) == (250, 10)
    assert config.trainer.resume_mode == "auto" and list(config.trainer.logger) == ["file"]
    assert config.reward.custom_reward_function.reward_kwargs == {
        "correct": 1.0,
        "well_formed": 0.1,
        "malformed": 0.0,
    }
    assert {config.data.seed, rollout.seed, actor.data_loader_seed, actor.fsdp_config.seed} == {7}


@pytest.mark.parametrize("name", ["paper", "single_gpu"])
def test_verl_takes_every_configuration_of_a_preset(name: str) -> None:
    """Offline, before a model is fetched or a job submitted."""
    params = preset(name)
    assert check_plan(params) == 1 + len(
        {params.rl_settings(line).model_dump_json() for line in params.matrix}
    )


def test_a_plan_that_verl_refuses_is_told_with_the_run() -> None:
    raw = preset("paper").model_dump(mode="json")
    raw["matrix"][2] |= {"variant": "odd", "rl": {"group_size": 1, "prompts_per_step": 6, "mini_batches": 2}}
    raw["training"]["verl"]["critic_mini_batches"] = 2
    with pytest.raises(VerlConfigError, match=r"^rl plain/.*/ppo_odd/seed11: .*does not divide by 4 GPUs"):
        check_plan(settings.validate(raw))


def test_adapters_are_the_policys_only(model: Path) -> None:
    raw = preset("single_gpu").model_dump(mode="json")
    raw["training"]["verl"] |= {"lora_rank": 32, "lora_alpha": 64}
    params = settings.validate(raw)
    rl = params.rl.model_copy(update={"algorithm": "ppo"})
    config = compose("ppo_trainer", rl_overrides(params, rl, params.reward, job(model, gpus=1)))
    check_rl(config)
    trained = config.actor_rollout_ref.model
    assert (trained.lora_rank, trained.lora_alpha, trained.lora.merge) == (32, 64, True)
    assert config.critic.model.get("lora_rank", 0) == 0, "a value head among adapters would stay as it is"
    sft = compose("sft_trainer_engine", sft_overrides(params, job(model, gpus=1), steps=1))
    check_sft(sft)
    assert sft.model.lora_rank == 32


@pytest.mark.parametrize("algorithm", ["grpo", "reinforce_plus_plus", "reinforce_plus_plus_baseline"])
def test_algorithms_without_a_critic(algorithm: str, model: Path) -> None:
    params = preset("single_gpu", algorithm=algorithm)
    config = compose("ppo_trainer", rl_overrides(params, params.rl, params.reward, job(model, gpus=1)))
    check_rl(config)
    assert config.algorithm.adv_estimator == algorithm
    assert config.actor_rollout_ref.actor.use_kl_loss and not config.algorithm.use_kl_in_reward
    assert config.actor_rollout_ref.actor.kl_loss_type == "low_var_kl"


def test_sft_pins_the_papers_settings(model: Path) -> None:
    config = compose("sft_trainer_engine", sft_overrides(preset("paper"), job(model), steps=60))
    check_sft(config)
    assert (config.data.train_batch_size, config.optim.lr, list(config.optim.betas)) == (
        64,
        1e-5,
        [0.9, 0.95],
    )
    assert (config.optim.lr_scheduler_type, config.optim.lr_warmup_steps) == ("cosine", 6)
    assert (config.trainer.total_training_steps, config.trainer.save_freq) == (60, 60)


@pytest.mark.parametrize(
    "override", [Override("trainer.n_gpu", 4), Override("algorithm.adv_estimatr", "gae")], ids=str
)
def test_an_unknown_key_is_refused(override: Override) -> None:
    with pytest.raises(VerlConfigError, match=override.key.split(".")[-1]):
        compose("ppo_trainer", [override])


@pytest.mark.parametrize(
    ("override", "words"),
    [
        (Override("actor_rollout_ref.rollout.name", "nope"), "rollout.name is 'nope'"),
        (Override("algorithm.adv_estimator", "nope"), "adv_estimator is 'nope'"),
        (Override("trainer.logger", ["nope"]), "trainer.logger is 'nope'"),
        (Override("trainer.resume_mode", "nope"), "resume_mode is 'nope'"),
        (Override("trainer.device", "nope"), "device is 'nope'"),
        (Override("custom_reward_function.path", "/x.py"), "top level is never read"),
        (Override("reward.custom_reward_function.path", "/x.py"), "must be a file"),
        (Override("actor_rollout_ref.rollout.tensor_model_parallel_size", 3), "must divide"),
        (Override("trainer.n_gpus_per_node", 6), "does not divide by 6 GPUs"),
        (Override("actor_rollout_ref.actor.use_kl_loss", True), "both on; choose one"),
        (Override("data.train_batch_size", 64), "train_batch_size"),
        (Override("actor_rollout_ref.actor.loss_agg_mode", "nope"), "Invalid loss_agg_mode: nope"),
    ],
    ids=str,
)
def test_what_verl_takes_without_a_word_is_refused_here(override: Override, words: str, model: Path) -> None:
    params = preset("paper")
    config = compose("ppo_trainer", [*rl_overrides(params, params.rl, params.reward, job(model)), override])
    with pytest.raises(VerlConfigError, match=words):
        check_rl(config)
