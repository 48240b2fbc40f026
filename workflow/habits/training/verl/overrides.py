"""What both of verl's trainers are configured with: overrides of verl's keys, and where a job lies.

Keys are verl 0.9.1's. Reads and writes no files.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from habits.cluster_params import Verl
from habits.params import Params

HERE = Path(__file__).parent
Value = str | int | float | bool | None | list[str] | list[float] | dict[str, str]


@dataclass(frozen=True)
class Override:
    """One changed value of verl's configuration.

    Args:
        key: dotted.
        value: what it becomes.
        new: the key is not in verl's schema (an open mapping); elsewhere an unknown key is an error.
    """

    key: str
    value: Value
    new: bool = False

    def __str__(self) -> str:
        return f"{'+' if self.new else ''}{self.key}={json.dumps(self.value)}"


@dataclass(frozen=True)
class Job:
    """Where one training job reads and writes; all paths absolute.

    Args:
        name: shown in logs.
        model: folder that training starts from.
        tokenizer: folder with its tokenizer alone.
        train: training data as verl reads it.
        validation: the same for validation.
        checkpoints: verl's own checkpoints, with what resuming needs.
        seed: of data order, sampling and dropout.
        gpus: of one node.
        prompt_tokens: longest prompt (sft: longest sequence).
    """

    name: str
    model: Path
    tokenizer: Path
    train: Path
    validation: Path
    checkpoints: Path
    seed: int
    gpus: int
    prompt_tokens: int


def on_cpu(model: str | None, engine: str) -> list[Override]:
    """Overrides without a GPU: float32 everywhere, no flash attention, nothing compiled."""
    precision: Value = {"param_dtype": "fp32", "reduce_dtype": "fp32", "buffer_dtype": "fp32"}
    attention = [Override(f"{model}.override_config.attn_implementation", "sdpa", new=True)] if model else []
    return [
        *attention,
        Override(f"{engine}.use_torch_compile", False),
        Override(f"{engine}.mixed_precision", precision, new=True),
    ]


def engine(key: str, verl: Verl, job: Job, *, offload: bool) -> dict[str, Value]:
    """How a model is sharded, held and computed."""
    return {
        f"{key}.strategy": "fsdp2",
        f"{key}.model_dtype": "fp32",  # master weights; the forward pass runs in bf16 on a GPU
        f"{key}.param_offload": offload,
        f"{key}.optimizer_offload": offload,
        f"{key}.seed": job.seed,
        f"{key}.use_torch_compile": verl.platform == "cuda",
    }


def adapters(model: str, verl: Verl) -> dict[str, Value]:
    """LoRA of the policy, merged before every sampling; without it (rank 0) all weights are trained."""
    return {
        f"{model}.lora_rank": verl.lora_rank,
        f"{model}.lora_alpha": verl.lora_alpha,
        f"{model}.target_modules": "all-linear",
        f"{model}.lora.merge": verl.lora_rank > 0,
    }


def optimizer(
    key: str, rate: float, betas: tuple[float, float], weight_decay: float, grad_clip: float
) -> dict[str, Value]:
    """AdamW with our settings."""
    return {
        f"{key}.optimizer": "AdamW",
        f"{key}.lr": rate,
        f"{key}.betas": list(betas),
        f"{key}.weight_decay": weight_decay,
        f"{key}.clip_grad": grad_clip,
    }


def settings(values: dict[str, Value]) -> list[Override]:
    """Overrides of keys that are in verl's schema."""
    return [Override(key, value) for key, value in values.items()]


def verl_settings(params: Params) -> Verl:
    """The settings of the verl backend."""
    assert params.training.verl is not None, "the verl backend has settings, or params would be invalid"
    return params.training.verl
