"""verl's ``main_ppo`` from our settings: every value that the result depends on, none left to a default.

Reads and writes no files.
"""

from __future__ import annotations

from habits.cluster_params import Verl
from habits.params import Params, Rl
from habits.section import Section
from habits.training.constants import DUAL_CLIP
from habits.training.verl.overrides import (
    HERE,
    Job,
    Override,
    Value,
    adapters,
    engine,
    on_cpu,
    optimizer,
    settings,
    verl_settings,
)

ESTIMATORS = {
    "ppo": "gae",
    "grpo": "grpo",
    "reinforce_plus_plus": "reinforce_plus_plus",
    "reinforce_plus_plus_baseline": "reinforce_plus_plus_baseline",
}
CPU_ROLLOUT = "hf_cpu"


def rl_overrides(params: Params, rl: Rl, reward: Section, job: Job) -> list[Override]:
    """What ``verl.trainer.main_ppo`` is run with."""
    verl = verl_settings(params)
    return [
        *_data(rl, job),
        *_algorithm(rl),
        *_actor(rl, verl, job),
        *_rollout(rl, verl, job),
        *(_critic(rl, verl, job) if rl.algorithm == "ppo" else [Override("critic.enable", False)]),
        *_reward(reward),
        *_trainer(rl, job),
        *(_rl_on_cpu(rl) if verl.platform == "cpu" else []),
    ]


def _data(rl: Rl, job: Job) -> list[Override]:
    return settings(
        {
            "data.train_files": str(job.train),
            "data.val_files": str(job.validation),
            "data.train_batch_size": rl.prompts_per_step,
            "data.max_prompt_length": job.prompt_tokens,
            "data.max_response_length": rl.max_response_tokens,
            "data.filter_overlong_prompts": False,  # lengths are checked when the data are written
            "data.truncation": "error",
            "data.shuffle": True,
            "data.seed": job.seed,
            "data.dataloader_num_workers": 0,
        }
    )


def _algorithm(rl: Rl) -> list[Override]:
    return settings(
        {
            "algorithm.adv_estimator": ESTIMATORS[rl.algorithm],
            "algorithm.gamma": rl.gamma,
            "algorithm.lam": rl.lam,
            "algorithm.norm_adv_by_std_in_grpo": True,
            "algorithm.use_kl_in_reward": rl.kl_in_reward,
            "algorithm.kl_penalty": rl.kl_penalty,
            "algorithm.kl_ctrl.type": "fixed",
            "algorithm.kl_ctrl.kl_coef": rl.kl_coef,
            "algorithm.rollout_correction.bypass_mode": False,
        }
    )


def _actor(rl: Rl, verl: Verl, job: Job) -> list[Override]:
    actor, model = "actor_rollout_ref.actor", "actor_rollout_ref.model"
    return settings(
        {
            f"{model}.path": str(job.model),
            f"{model}.tokenizer_path": str(job.tokenizer),
            f"{model}.use_remove_padding": True,
            f"{model}.enable_gradient_checkpointing": verl.gradient_checkpointing,
            **adapters(model, verl),
            f"{actor}.strategy": "fsdp2",
            f"{actor}.ppo_mini_batch_size": rl.prompts_per_step // rl.mini_batches,
            f"{actor}.ppo_epochs": rl.epochs,
            f"{actor}.shuffle": True,
            f"{actor}.data_loader_seed": job.seed,
            f"{actor}.use_dynamic_bsz": True,
            f"{actor}.ppo_max_token_len_per_gpu": verl.max_tokens_per_gpu,
            f"{actor}.clip_ratio": rl.clip_ratio,
            f"{actor}.clip_ratio_low": rl.clip_ratio,
            f"{actor}.clip_ratio_high": rl.clip_ratio,
            f"{actor}.clip_ratio_c": DUAL_CLIP,
            f"{actor}.loss_agg_mode": rl.loss_agg_mode,
            f"{actor}.policy_loss.loss_mode": "vanilla",
            f"{actor}.entropy_coeff": rl.entropy_coeff,
            f"{actor}.use_kl_loss": rl.use_kl_loss,
            f"{actor}.kl_loss_coef": rl.kl_coef,
            f"{actor}.kl_loss_type": rl.kl_penalty,
            f"{actor}.grad_clip": rl.grad_clip,
            f"{actor}.checkpoint.save_contents": ["model", "optimizer", "extra", "hf_model"],
            **engine(f"{actor}.fsdp_config", verl, job, offload=verl.offload),
            **optimizer(f"{actor}.optim", rl.learning_rate, rl.adam_betas, rl.weight_decay, rl.grad_clip),
            f"{actor}.optim.lr_scheduler_type": "constant",
            f"{actor}.optim.lr_warmup_steps": 0,
            "actor_rollout_ref.ref.log_prob_max_token_len_per_gpu": 2 * verl.max_tokens_per_gpu,
            "actor_rollout_ref.ref.fsdp_config.param_offload": verl.offload,
            "actor_rollout_ref.ref.fsdp_config.model_dtype": "bf16" if verl.platform == "cuda" else "fp32",
        }
    )


def _rollout(rl: Rl, verl: Verl, job: Job) -> list[Override]:
    rollout = "actor_rollout_ref.rollout"
    return settings(
        {
            f"{rollout}.name": "vllm",
            f"{rollout}.n": rl.group_size,
            f"{rollout}.temperature": rl.temperature,
            f"{rollout}.top_p": 1.0,
            f"{rollout}.top_k": -1,
            f"{rollout}.seed": job.seed,
            f"{rollout}.ignore_eos": False,
            f"{rollout}.calculate_log_probs": True,
            f"{rollout}.tensor_model_parallel_size": verl.tensor_parallel,
            f"{rollout}.gpu_memory_utilization": verl.gpu_memory_utilization,
            f"{rollout}.max_model_len": job.prompt_tokens + rl.max_response_tokens,
            f"{rollout}.max_num_batched_tokens": max(8192, job.prompt_tokens + rl.max_response_tokens),
            f"{rollout}.max_num_seqs": 1024,
            f"{rollout}.log_prob_max_token_len_per_gpu": 2 * verl.max_tokens_per_gpu,
            f"{rollout}.val_kwargs.temperature": 0,
            f"{rollout}.val_kwargs.do_sample": False,
            f"{rollout}.val_kwargs.n": 1,
            f"{rollout}.agent.default_agent_loop": "plain_prompt",
            f"{rollout}.agent.agent_loop_config_path": str(HERE / "agent_loop.yaml"),
        }
    )


def _critic(rl: Rl, verl: Verl, job: Job) -> list[Override]:
    return settings(
        {
            "critic.enable": True,
            "critic.strategy": "fsdp2",
            "critic.model.path": str(job.model),
            "critic.model.tokenizer_path": str(job.tokenizer),
            "critic.model.use_remove_padding": True,
            "critic.model.enable_gradient_checkpointing": verl.gradient_checkpointing,
            "critic.ppo_mini_batch_size": rl.prompts_per_step // verl.critic_mini_batches,
            "critic.ppo_epochs": rl.epochs,
            "critic.shuffle": True,
            "critic.data_loader_seed": job.seed,
            "critic.use_dynamic_bsz": True,
            "critic.ppo_max_token_len_per_gpu": verl.max_tokens_per_gpu,
            "critic.cliprange_value": rl.value_clip,
            "critic.loss_agg_mode": rl.loss_agg_mode,
            "critic.grad_clip": rl.grad_clip,
            **engine("critic.fsdp", verl, job, offload=verl.offload),
            **optimizer(
                "critic.optim", rl.critic_learning_rate, rl.adam_betas, rl.weight_decay, rl.grad_clip
            ),
            "critic.optim.lr_scheduler_type": "constant",
            "critic.optim.lr_warmup_steps": 0,
        }
    )


def _reward(reward: Section) -> list[Override]:
    custom = "reward.custom_reward_function"
    return [
        Override(f"{custom}.path", str(HERE / "reward.py")),
        Override(f"{custom}.name", "compute_score"),
        *(
            Override(f"{custom}.reward_kwargs.{name}", value, new=True)
            for name, value in reward.model_dump().items()
        ),
        Override("reward.reward_manager.name", "naive"),
    ]


def _trainer(rl: Rl, job: Job) -> list[Override]:
    return settings(
        {
            "trainer.project_name": "habits",
            "trainer.experiment_name": job.name,
            "trainer.logger": ["file"],
            "trainer.nnodes": 1,
            "trainer.n_gpus_per_node": job.gpus,
            "trainer.total_epochs": 1_000_000,  # the number of steps decides
            "trainer.total_training_steps": rl.steps,
            "trainer.save_freq": rl.save_every,
            "trainer.test_freq": rl.save_every,
            "trainer.val_before_train": True,
            "trainer.critic_warmup": 0,
            "trainer.resume_mode": "auto",
            "trainer.default_local_dir": str(job.checkpoints),
            "trainer.balance_batch": True,
            "trainer.v1.trainer_mode": "sync",
        }
    )


def _rl_on_cpu(rl: Rl) -> list[Override]:
    """The same run without a GPU: another sampler of responses, float32, fewer helper processes."""
    rollout = "actor_rollout_ref.rollout"
    values: dict[str, Value] = {
        "trainer.device": "cpu",
        f"{rollout}.name": CPU_ROLLOUT,
        f"{rollout}.dtype": "float32",
        f"{rollout}.enforce_eager": True,
        f"{rollout}.free_cache_engine": False,
        f"{rollout}.agent.num_workers": 1,
        f"{rollout}.checkpoint_engine.update_weights_bucket_megabytes": 64,
        "reward.num_workers": 1,
        "transfer_queue.backend.SimpleStorage.num_data_storage_units": 1,
        "ray_kwargs.ray_init.num_cpus": 16,  # logical: verl's actors wait for these, no thread is bound
        "trainer.v1.sampler.custom_sampler.path": str(HERE / "cpu_sampler.py"),
        "trainer.v1.sampler.custom_sampler.name": "EagerSampler",
        "actor_rollout_ref.actor.use_torch_compile": False,
    }
    extra = [
        Override("ray_kwargs.ray_init.num_gpus", 1, new=True),  # logical, one worker
        Override("ray_kwargs.ray_init.include_dashboard", False, new=True),
        Override(f"{rollout}.enable_sleep_mode", False, new=True),
    ]
    sections = [
        *on_cpu("actor_rollout_ref.model", "actor_rollout_ref.actor.fsdp_config"),
        *on_cpu(None, "actor_rollout_ref.ref.fsdp_config"),
        *(on_cpu("critic.model", "critic.fsdp") if rl.algorithm == "ppo" else []),
    ]
    return [*settings(values), *extra, *sections]
