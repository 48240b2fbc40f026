"""verl's ``sft_trainer`` from our settings: every value that the result depends on, none left to a default.

Reads and writes no files.
"""

from __future__ import annotations

from habits.params import Params
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


def sft_overrides(params: Params, job: Job, steps: int) -> list[Override]:
    """What ``verl.trainer.sft_trainer`` is run with, for ``steps`` steps."""
    verl, sft = verl_settings(params), params.sft
    values: dict[str, Value] = {
        "data.train_files": str(job.train),
        "data.val_files": None,
        "data.train_batch_size": sft.batch_size,
        "data.use_dynamic_bsz": True,
        "data.max_token_len_per_gpu": verl.max_tokens_per_gpu,
        "data.micro_batch_size_per_gpu": 1,
        "data.max_length": job.prompt_tokens,
        "data.truncation": "error",
        "data.pad_mode": "no_padding",
        "data.num_workers": 0,
        "data.custom_cls.path": str(HERE / "sft_dataset.py"),
        "data.custom_cls.name": "TraceDataset",
        "model.path": str(job.model),
        "model.tokenizer_path": str(job.tokenizer),
        "model.use_remove_padding": True,
        "model.enable_gradient_checkpointing": verl.gradient_checkpointing,
        **adapters("model", verl),
        **engine("engine", verl, job, offload=verl.offload),
        **optimizer("optim", sft.learning_rate, sft.adam_betas, sft.weight_decay, sft.grad_clip),
        "optim.lr_scheduler_type": "cosine",
        "optim.lr_warmup_steps": sft.warmup_steps,
        "checkpoint.save_contents": ["model", "hf_model"],
        "trainer.default_local_dir": str(job.checkpoints),
        "trainer.project_name": "habits",
        "trainer.experiment_name": job.name,
        "trainer.total_epochs": sft.epochs,
        "trainer.total_training_steps": steps,
        "trainer.logger": ["file"],
        "trainer.seed": job.seed,
        "trainer.save_freq": steps,
        "trainer.test_freq": -1,
        "trainer.resume_mode": "disable",
        "trainer.nnodes": 1,
        "trainer.n_gpus_per_node": job.gpus,
    }
    cpu = [*settings({"trainer.device": "cpu"}), *on_cpu("model", "engine")] if verl.platform == "cpu" else []
    return [*settings(values), *cpu]
