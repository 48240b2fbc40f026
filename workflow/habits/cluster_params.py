"""Settings of models, trainers and machines; `habits.params` puts all sections together."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from habits.section import Count, Positive, Rate, Section, Share, Task, TinyModel, Weight
from habits.social_params import SocialModel

Backend = Literal["local", "verl"]
# Of pretrained models; a tiny model has a template of its own, `short`.
TEMPLATES_OF: dict[Task, tuple[str, ...]] = {"countdown": ("paper_base",), "social_iqa": ("base", "chat")}
COMMIT = re.compile(r"[0-9a-f]{40}")


class BaseModelSpec(TinyModel):
    """A tiny base model of Countdown, trained from scratch."""

    task: Literal["countdown"] = Field("countdown", exclude_if=lambda task: task == "countdown")
    corpus_worksheets: Share = Field(description="share of documents that are worksheets")
    corpus_facts: Share = Field(description="share of arithmetic and comparison documents")
    corpus_search: Share = Field(description="share of the Countdown documents that show search behaviors")
    corpus_correct: Share = Field(description="share of one-attempt documents with a right answer")

    @model_validator(mode="after")
    def _mix(self) -> BaseModelSpec:
        if self.corpus_worksheets + self.corpus_facts >= 1:
            raise ValueError("corpus_worksheets + corpus_facts must leave room for Countdown documents")
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


def _kind(model: Any) -> str:
    """Which section a model's entry is: one that names a pretrained model, or a tiny one of a task."""
    if isinstance(model, Section):
        return f"[{type(model).__name__}]"
    if isinstance(model, dict) and "pretrained" in model:
        return "[PretrainedModel]"
    social = isinstance(model, dict) and model.get("task") == "social_iqa"
    return "[SocialModel]" if social else "[BaseModelSpec]"


ModelSpec = Annotated[
    Annotated[BaseModelSpec, Tag("[BaseModelSpec]")]
    | Annotated[SocialModel, Tag("[SocialModel]")]
    | Annotated[PretrainedModel, Tag("[PretrainedModel]")],
    Discriminator(_kind),
]


class Sft(Section):
    """Supervised fine-tuning on a priming set; loss on response tokens only."""

    optimizer: Literal["adamw", "muon"] = Field(
        description="muon (weight matrices) learns faster on tiny models; adamw is the paper's"
    )
    epochs: Positive
    batch_size: Positive
    learning_rate: Rate
    warmup_steps: Count
    schedule: Literal["linear", "cosine"] = Field("linear", description="how the rate falls after warm-up")
    adam_betas: tuple[Share, Share] = (0.9, 0.98)
    weight_decay: Weight = 0.0
    grad_clip: Rate


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
    critic_mini_batches: Positive = Field(description="optimizer steps of the critic per RL step (ppo)")
    lora_rank: Count = Field(0, description="train adapters of this rank, not the policy; 0: the policy")
    lora_alpha: Positive = Field(32, description="adapters count lora_alpha / lora_rank times")


class Guards(Section):
    """When RL counts as collapsed, and what happens then."""

    on_collapse: Literal["warn", "stop"]
    min_entropy: Weight = Field(description="nats, mean over a step's tokens; 0: no limit")
    min_tokens: Weight = Field(description="mean response tokens of a step; 0: no limit")
    max_repetition: Share = Field(description="share of responses that repeat one character; 1: no limit")


class Training(Section):
    """Which trainer runs sft and rl. Inputs and outputs are the same for both."""

    backend: Backend = Field(description="local: this process; verl: verl's trainers, on GPUs")
    guards: Guards
    verl: Verl | None = Field(description="settings of the verl backend; null with local")

    @model_validator(mode="after")
    def _complete(self) -> Training:
        if (self.backend == "verl") != (self.verl is not None):
            raise ValueError("verl must be given exactly when backend is verl")
        return self


class Runtime(Section):
    """Numerics and threads of local training."""

    threads: Positive
    micro_batch_tokens: Positive = Field(description="padded tokens of one forward and backward pass")
    dtype: Literal["auto", "float32", "bfloat16"]
    device: Literal["auto", "cpu", "cuda"]


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
    labelling: JobResources = Field(description="labels, cascade and rewriting, where vllm does them")
