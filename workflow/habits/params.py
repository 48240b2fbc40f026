"""Every setting of the workflow as one typed model.

Reads ``params.yaml`` (the one file in effect) and validates it: an unknown key, a wrong type or
an impossible combination is an error that names the key and the choices. ``habits schema`` writes
the model as JSON schema to ``workflow/schemas/params.schema.json``; a test keeps both in step.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

Algorithm = Literal["ppo", "grpo", "reinforce_plus_plus"]
Priming = Literal[
    "none",
    "all_strategies",
    "backtracking_verification",
    "backtracking_subgoal",
    "backtracking_backward",
    "only_backtracking",
    "negative_control",
    "empty_cot",
    "length_matched_empty_cot",
    "negative_only",
    "negative_only_give_up",
]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1)]


class ParamsError(ValueError):
    """params.yaml cannot be used; the message names each key and what it may be."""


class Section(BaseModel):
    """Base of all sections: frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Countdown(Section):
    """The Countdown task: which problems exist and how they are split."""

    sizes: dict[Positive, Share] = Field(description="operand count -> share of the problems")
    number_min: Positive
    number_max: Positive
    target_min: Positive
    target_max: Positive
    sampler: Literal["uniform_target", "reachable_target"]
    integer_only: bool = Field(description="intermediate results stay positive integers")
    max_intermediate: int | None = Field(description="largest intermediate result; null: no limit")
    split_by: Literal["key", "numbers"] = Field(
        description="disjoint by (sorted numbers, target), or more strictly by sorted numbers"
    )
    train: Positive
    validation: Positive
    test: Positive
    seed: int

    @model_validator(mode="after")
    def _ranges(self) -> Countdown:
        if abs(sum(self.sizes.values()) - 1) > 1e-9:
            raise ValueError("sizes: the shares must sum to 1")
        if not all(2 <= size <= 6 for size in self.sizes):
            raise ValueError("sizes: operand counts must be 2 to 6")
        if self.number_min > self.number_max:
            raise ValueError("number_min is above number_max")
        if self.target_min > self.target_max:
            raise ValueError("target_min is above target_max")
        return self


class Reward(Section):
    """What a verdict pays (TinyZero's values by default: 1 / 0.1 / 0)."""

    correct: float = 1.0
    well_formed: float = Field(0.1, description="one parsable answer that is wrong")
    malformed: float = 0.0

    @model_validator(mode="after")
    def _order(self) -> Reward:
        if not self.malformed <= self.well_formed < self.correct:
            raise ValueError("must hold: malformed <= well_formed < correct")
        return self


class BaseModelSpec(Section):
    """A tiny base model trained from scratch (Qwen2 architecture)."""

    prompt_template: str
    hidden_size: Positive
    layers: Positive
    heads: Positive
    kv_heads: Positive
    mlp_size: Positive
    max_positions: Positive
    corpus_worksheets: Share = Field(description="share of documents that are worksheets")
    corpus_facts: Share = Field(description="share of arithmetic and comparison documents")
    corpus_search: Share = Field(
        description="share of the Countdown documents that show search behaviors"
    )
    corpus_correct: Share = Field(description="share of one-attempt documents with a right answer")
    steps: Positive
    batch_tokens: Positive
    sequence_length: Positive
    learning_rate: float
    seed: int

    @model_validator(mode="after")
    def _mix(self) -> BaseModelSpec:
        if self.corpus_worksheets + self.corpus_facts >= 1:
            raise ValueError("corpus_worksheets + corpus_facts must leave room for Countdown documents")
        if self.hidden_size % self.heads or self.heads % self.kv_heads:
            raise ValueError("hidden_size must divide by heads, and heads by kv_heads")
        return self


class PrimingSpec(Section):
    """How large a priming set is and how long its traces are."""

    traces: Positive
    max_trace_tokens: Positive = Field(description="longest response of the teacher, in tokens")
    min_search_tokens: Positive = Field(description="smallest search budget of a trace, in tokens")
    arithmetic_slip_share: Share = Field(
        description="negative_only: share of traces that end by a false 'reached'; the rest give up"
    )


class Sft(Section):
    """Supervised fine-tuning on a priming set; loss on response tokens only."""

    epochs: Positive
    batch_size: Positive
    learning_rate: float
    warmup_steps: int
    grad_clip: float


class Rl(Section):
    """Reinforcement learning; names follow verl's configuration."""

    algorithm: Algorithm
    steps: Positive
    prompts_per_step: Positive
    group_size: Positive = Field(description="rollouts of one prompt (verl: rollout.n)")
    max_response_tokens: Positive
    temperature: float
    learning_rate: float
    critic_learning_rate: float
    mini_batches: Positive = Field(description="optimizer steps per RL step and epoch")
    epochs: Positive
    clip_ratio: float
    value_clip: float
    gamma: float
    lam: float
    entropy_coeff: float
    kl_in_reward: bool = Field(description="token-level KL penalty inside the reward")
    use_kl_loss: bool = Field(description="KL to the reference added to the loss")
    kl_coef: float
    kl_penalty: Literal["kl", "abs", "mse", "low_var_kl"]
    loss_agg_mode: Literal["token-mean", "seq-mean-token-sum", "seq-mean-token-mean"]
    grad_clip: float
    save_every: Positive = Field(description="steps between checkpoints, which are also evaluated")

    @model_validator(mode="after")
    def _consistent(self) -> Rl:
        if self.algorithm == "grpo" and self.group_size < 2:
            raise ValueError("algorithm grpo compares rollouts of one prompt: group_size must be >= 2")
        if self.prompts_per_step * self.group_size < self.mini_batches:
            raise ValueError("mini_batches is larger than prompts_per_step * group_size")
        if self.kl_in_reward and self.use_kl_loss:
            raise ValueError("kl_in_reward and use_kl_loss are two places for one penalty: choose one")
        if self.steps % self.save_every:
            raise ValueError("steps must be a multiple of save_every, so that the last step is saved")
        return self


class Rollouts(Section):
    """Evaluation samples drawn from every saved checkpoint."""

    split: Literal["validation", "test"]
    problems: Positive
    samples: Positive
    temperature: float
    batch_size: Positive
    seed: int


class Run(Section):
    """One line of the matrix: a model, a priming, and the seeds it is run with."""

    model: str
    priming: Priming
    seeds: list[int] = Field(min_length=1)
    variant: str | None = Field(None, pattern=r"^[a-z0-9_]+$", description="suffix of the path")
    rl: dict[str, Any] = Field(default_factory=dict, description="settings of rl changed for this line")
    samples: Positive | None = Field(None, description="rollouts.samples for this line")

    @model_validator(mode="after")
    def _named(self) -> Run:
        if self.rl and not self.variant:
            raise ValueError("a line that changes rl settings needs a variant, its name in the paths")
        return self


class Statistics(Section):
    """Resampling and decision settings."""

    confidence: float = Field(gt=0.5, lt=1)
    bootstrap: Positive = Field(description="hierarchical bootstrap resamples")
    last_points: Positive = Field(description="evaluation points averaged as 'final' in curves")
    seed: int


class Runtime(Section):
    """Numerics and threads of local training."""

    threads: Positive
    dtype: Literal["auto", "float32", "bfloat16"]
    device: Literal["auto", "cpu", "cuda"]


class Params(Section):
    """params.yaml as a whole."""

    preset: str
    countdown: Countdown
    reward: Reward
    models: dict[Annotated[str, Field(pattern=r"^[a-z0-9_]+$")], BaseModelSpec]
    priming: PrimingSpec
    sft: Sft
    rl: Rl
    rollouts: Rollouts
    matrix: list[Run] = Field(min_length=1)
    statistics: Statistics
    runtime: Runtime

    @model_validator(mode="after")
    def _matrix(self) -> Params:
        seen: set[RunId] = set()
        for line in self.matrix:
            if line.model not in self.models:
                known = ", ".join(sorted(self.models))
                raise ValueError(f"matrix: model is {line.model!r}; choose one of models: {known}")
            self.rl_settings(line)
            for run in self.runs_of(line):
                if run in seen:
                    raise ValueError(f"matrix: run {run.path} is listed twice")
                seen.add(run)
        return self

    def rl_settings(self, line: Run) -> Rl:
        """The RL settings of a matrix line: ``rl`` with the line's changes, validated again."""
        return Rl.model_validate({**self.rl.model_dump(), **line.rl})

    def runs_of(self, line: Run) -> list[RunId]:
        """All runs of a matrix line, one a seed."""
        algorithm = self.rl_settings(line).algorithm
        label = f"{algorithm}_{line.variant}" if line.variant else algorithm
        return [RunId(model=line.model, priming=line.priming, algorithm=label, seed=s) for s in line.seeds]

    @property
    def runs(self) -> dict[RunId, Run]:
        """Every run of the matrix with the line that asks for it, in order."""
        return {run: line for line in self.matrix for run in self.runs_of(line)}

    def run(self, path: str) -> tuple[RunId, Run]:
        """The run whose path is ``model/priming/algorithm/seedN``; ParamsError when it is not in the matrix."""
        for run, line in self.runs.items():
            if run.path == path:
                return run, line
        raise ParamsError(f"run {path!r} is not in the matrix of params.yaml")


class RunId(Section):
    """What names a run in every path and table."""

    model: str
    priming: Priming
    algorithm: str
    seed: int

    @property
    def path(self) -> str:
        return f"{self.model}/{self.priming}/{self.algorithm}/seed{self.seed}"


def validate(raw: Any, source: str = "params.yaml") -> Params:
    """Params from parsed YAML; ParamsError lists every bad key with its fix."""
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        raise ParamsError("\n".join(_explain(e, source) for e in error.errors())) from None


def load(path: Path) -> Params:
    """Params from a YAML file.

    Raises:
        ParamsError: the file is missing, is not YAML, or holds unknown keys or impossible values.
    """
    try:
        raw = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise ParamsError(f"{path}: no such file; write one with `habits preset laptop`") from None
    except yaml.YAMLError as error:
        raise ParamsError(f"{path}: not valid YAML: {error}") from None
    return validate(raw, str(path))


def _explain(error: Any, source: str) -> str:
    key = ".".join(str(part) for part in error["loc"])
    where = f"{source}: {key}" if key else source
    if error["type"] == "extra_forbidden":
        known = ", ".join(_known_keys(error["loc"][:-1]))
        return f"{where} is not a setting; known here: {known}"
    if error["type"] == "missing":
        return f"{where} is missing"
    if error["type"] == "literal_error":
        return f"{where} is {error['input']!r}; choose {error['ctx']['expected']}"
    return f"{where}: {error['msg'].removeprefix('Value error, ')} (got {error['input']!r:.80})"


def _known_keys(loc: tuple[Any, ...]) -> list[str]:
    """Field names of the section at ``loc`` (dict keys and list positions lead to their element's model)."""
    model: Any = Params
    for part in loc:
        if isinstance(model, type) and issubclass(model, BaseModel) and part in model.model_fields:
            annotation = model.model_fields[str(part)].annotation
            models = [a for a in (annotation, *getattr(annotation, "__args__", ())) if _is_model(a)]
            model = models[0] if models else annotation
    return sorted(model.model_fields) if _is_model(model) else []


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
