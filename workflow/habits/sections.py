"""Sections of the settings about real models and the machines they need; `habits.params` puts them together.

Also the base of all sections and the number types that they share.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
Rate = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
Backend = Literal["local", "verl"]
Task = Literal["countdown", "social_iqa"]
# Of pretrained models; a tiny model has a template of its own, `short`.
TEMPLATES_OF: dict[Task, tuple[str, ...]] = {"countdown": ("paper_base",), "social_iqa": ("base", "chat")}
COMMIT = re.compile(r"[0-9a-f]{40}")


class Section(BaseModel):
    """Base of all sections: frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TinyModel(Section):
    """What all tiny models have, which are trained from scratch (Qwen2 architecture)."""

    task: Task
    prompt_template: Literal["short"] = Field(description="the one whose words the tiny tokenizer knows")
    hidden_size: Positive
    layers: Positive
    heads: Positive
    kv_heads: Positive
    mlp_size: Positive
    max_positions: Positive
    steps: Positive
    batch_tokens: Positive
    sequence_length: Positive
    learning_rate: Rate
    seed: int

    @model_validator(mode="after")
    def _shape(self) -> TinyModel:
        if self.hidden_size % self.heads or self.heads % self.kv_heads:
            raise ValueError("hidden_size must divide by heads, and heads by kv_heads")
        return self


class PretrainedModel(Section):
    """A base model from the Hugging Face Hub, or from a folder."""

    pretrained: str = Field(
        description="name on the Hub, such as Qwen/Qwen2.5-3B, or a folder (/... or ./...)"
    )
    revision: str | None = Field(description="commit hash on the Hub; null for a folder")
    prompt_template: Literal["paper_base", "base", "chat"] = Field(description="how a problem is written")
    task: Task = "countdown"

    @property
    def is_folder(self) -> bool:
        """Whether ``pretrained`` names a folder on this machine."""
        return self.pretrained.startswith(("/", "./", "../"))

    @model_validator(mode="after")
    def _pinned(self) -> PretrainedModel:
        if self.is_folder and self.revision is not None:
            raise ValueError("revision: a folder has none; set it to null")
        if not self.is_folder and not COMMIT.fullmatch(self.revision or ""):
            raise ValueError(
                f"revision is {self.revision!r}; give the commit hash (40 hex digits) that stands on "
                f"https://huggingface.co/{self.pretrained}/commits/main; a branch moves"
            )
        known = TEMPLATES_OF[self.task]
        if self.prompt_template not in known:
            raise ValueError(
                f"prompt_template is {self.prompt_template!r}; task {self.task} has {' and '.join(known)}"
            )
        return self


class Verl(Section):
    """What the verl backend needs to know beyond `rl` and `sft`; names follow verl's configuration."""

    platform: Literal["cuda", "cpu"] = Field(description="cpu: without a GPU, for tests and tiny models")
    max_prompt_tokens: Positive = Field(description="longest prompt; a longer one is an error")
    max_tokens_per_gpu: Positive = Field(
        description="tokens of one micro-batch on one GPU; trades memory for speed"
    )
    tensor_parallel: Positive = Field(description="GPUs that share one copy of the model while sampling")
    gpu_memory_utilization: Share = Field(description="share of GPU memory for sampling (vLLM)")
    gradient_checkpointing: bool = Field(description="recompute activations: less memory, a third slower")
    offload: bool = Field(description="weights and optimizer in host memory while they are not needed")
    lora_rank: Count = Field(
        description="0: all weights are trained; else adapters of this rank (not the critic)"
    )
    critic_mini_batches: Positive = Field(description="optimizer steps of the critic per RL step (ppo)")


class Training(Section):
    """Which trainer runs sft and rl. Inputs and outputs are the same for both."""

    backend: Backend = Field(description="local: this process; verl: verl's trainers, on GPUs")
    verl: Verl | None = Field(description="settings of the verl backend; null with local")

    @model_validator(mode="after")
    def _complete(self) -> Training:
        if (self.backend == "verl") != (self.verl is not None):
            raise ValueError("verl must be given exactly when backend is verl")
        return self


class JobResources(Section):
    """What one job asks of a cluster, or holds of one machine."""

    gpus: Count
    memory_gb: Positive
    hours: Positive


class Resources(Section):
    """Jobs that may need GPUs. All other jobs take the profile's defaults."""

    sft: JobResources
    rl: JobResources
    rollouts: JobResources
