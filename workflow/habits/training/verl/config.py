"""Compose verl's own configuration with our overrides and check it, before anything is started.

An unknown key or a wrong type is refused by verl's schema. verl accepts some values silently and stops
minutes later, or ignores them; these are checked here. Writes the configuration that a job runs with.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, Literal

from habits.artifacts import write_text
from habits.mistakes import ParamsError
from habits.training.verl.overrides import Override

Entry = Literal["ppo_trainer", "sft_trainer_engine"]
ROLLOUTS = ("vllm", "hf_cpu")
LOGGERS = ("file", "console")
RESUME = ("auto", "disable", "resume_path")


class VerlConfigError(ParamsError):
    """verl would not run, or not as asked, with this configuration; the message names the key."""


def compose(entry: Entry, overrides: list[Override]) -> Any:
    """verl's configuration with ``overrides`` applied, as an OmegaConf node.

    Raises:
        VerlConfigError: a key that verl does not have.
    """
    import verl.trainer.config
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from omegaconf import OmegaConf, open_dict
    from omegaconf.errors import OmegaConfBaseException

    folder = str(Path(verl.trainer.config.__file__).parent)
    with initialize_config_dir(config_dir=folder, version_base=None):
        config = hydra_compose(entry)
    for override in overrides:
        try:
            if override.new:
                with open_dict(config):
                    OmegaConf.update(config, override.key, override.value, force_add=True)
            else:
                OmegaConf.update(config, override.key, override.value)
        except OmegaConfBaseException as error:
            first = str(error).strip().splitlines()[0]
            raise VerlConfigError(f"verl refuses {override}: {first}") from None
    return config


def check_rl(config: Any) -> None:
    """Refuse what verl refuses, and what it would take without a word.

    Raises:
        VerlConfigError: naming the key.
    """
    from verl.trainer.ppo.core_algos import ADV_ESTIMATOR_REGISTRY
    from verl.trainer.ppo.utils import need_critic, need_reference_policy
    from verl.utils.config import omega_conf_to_dataclass, validate_config

    _check_trainer(config.trainer)
    rollout = config.actor_rollout_ref.rollout
    _one_of("actor_rollout_ref.rollout.name", rollout.name, ROLLOUTS)
    _one_of("algorithm.adv_estimator", config.algorithm.adv_estimator, tuple(ADV_ESTIMATOR_REGISTRY))
    gpus = config.trainer.n_gpus_per_node
    if gpus % rollout.tensor_model_parallel_size:
        raise VerlConfigError(
            f"rollout.tensor_model_parallel_size is {rollout.tensor_model_parallel_size}; it must divide "
            f"trainer.n_gpus_per_node ({gpus})"
        )
    for name in (
        ("actor_rollout_ref.actor", "critic") if need_critic(config) else ("actor_rollout_ref.actor",)
    ):
        prompts = _select(config, f"{name}.ppo_mini_batch_size")
        if config.data.train_batch_size % prompts:
            raise VerlConfigError(
                f"{name}.ppo_mini_batch_size is {prompts}; it must divide data.train_batch_size "
                f"({config.data.train_batch_size})"
            )
        size = prompts * rollout.n
        if size % gpus:
            raise VerlConfigError(f"{name}: a mini-batch of {size} rollouts does not divide by {gpus} GPUs")
    reward = config.reward.custom_reward_function
    if not reward.path or not Path(reward.path).exists():
        raise VerlConfigError(f"reward.custom_reward_function.path is {reward.path!r}; it must be a file")
    if config.custom_reward_function.path:
        raise VerlConfigError("custom_reward_function at the top level is never read; use reward.*")
    if config.algorithm.use_kl_in_reward and config.actor_rollout_ref.actor.use_kl_loss:
        raise VerlConfigError("algorithm.use_kl_in_reward and actor.use_kl_loss are both on; choose one")
    with _explained("its configuration"):
        validate_config(config, need_reference_policy(config), need_critic(config))
        omega_conf_to_dataclass(rollout)


def check_sft(config: Any) -> None:
    """The same for SFT.

    Raises:
        VerlConfigError: naming the key.
    """
    from verl.utils.config import omega_conf_to_dataclass

    _check_trainer(config.trainer)
    if config.data.train_batch_size % config.trainer.n_gpus_per_node:
        raise VerlConfigError(
            f"data.train_batch_size is {config.data.train_batch_size}; it must divide by "
            f"{config.trainer.n_gpus_per_node} GPUs"
        )
    for section in ("model", "engine", "optim", "checkpoint"):
        with _explained(section):
            omega_conf_to_dataclass(config[section])


def write(config: Any, path: Path) -> None:
    """Write the configuration for ``--config-path`` and ``--config-name``."""
    from omegaconf import OmegaConf

    write_text(OmegaConf.to_yaml(config), path)


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Turn the errors of verl's own checks into ours."""
    from hydra.errors import InstantiationException

    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()):
            warnings.simplefilter("ignore")
            yield
    except InstantiationException as error:
        raise VerlConfigError(f"verl refuses {what}: {error.__cause__ or error}") from None
    except (AssertionError, ValueError, TypeError) as error:
        raise VerlConfigError(f"verl refuses {what}: {error}") from None


def _check_trainer(trainer: Any) -> None:
    for logger in trainer.logger:
        _one_of("trainer.logger", logger, LOGGERS)
    _one_of("trainer.resume_mode", trainer.resume_mode, RESUME)
    _one_of("trainer.device", trainer.device, ("cuda", "cpu"))


def _one_of(key: str, value: object, known: tuple[str, ...]) -> None:
    if str(value) not in known:
        raise VerlConfigError(
            f"{key} is {str(value)!r}; verl takes it without a word, but there is only: {known}"
        )


def _select(config: Any, key: str) -> Any:
    from omegaconf import OmegaConf

    return OmegaConf.select(config, key)
