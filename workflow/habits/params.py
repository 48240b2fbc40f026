"""Every setting of the workflow as one typed model.

Reads ``params.yaml`` (the one file in effect) and validates it: an unknown key, a wrong type or
an impossible combination is an error that names the key and the choices. ``habits schema`` writes
the model as JSON schema to ``workflow/schemas/params.schema.json``; a test keeps both in step.
Later modules take what they need as these typed sections, never as dicts.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from habits.cluster_params import BaseModelSpec as BaseModelSpec
from habits.cluster_params import ModelSpec, Resources, Training, Verl
from habits.cluster_params import Runtime as Runtime
from habits.cluster_params import Sft as Sft
from habits.llm_params import Calibration, Judging, Teaching
from habits.llm_params import Llm as Llm
from habits.llm_params import LlmModel as LlmModel
from habits.llm_params import Price as Price
from habits.mistakes import ExplainedError, explain
from habits.mistakes import ParamsError as ParamsError
from habits.pretraining_params import REWRITTEN, Cascade, Labelling, Pretraining, Rewriting, mistakes_in
from habits.section import Name, Positive, Rate, Section, Share, Task, TinyModel, Weight
from habits.social_params import SocialIqa, SocialModel
from habits.transfer_params import Maths, Transfer

Algorithm = Literal["ppo", "grpo", "reinforce_plus_plus", "reinforce_plus_plus_baseline"]
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
    "pretraining_curated",
    "pretraining_negative",
]
TINY_LARGEST = 100  # the tiny models' vocabulary holds the integers 0 to 100, one token each
STORY_TOKENS = 32  # of the longest prompt of a social story in the tiny models' template


class Countdown(Section):
    """The Countdown task: which problems exist and how they are split."""

    sizes: dict[Positive, Share] = Field(description="operand count -> share of the problems")
    number_min: Positive
    number_max: Positive
    target_min: Positive
    target_max: Positive
    sampler: Literal["uniform_target", "reachable_target"]
    integer_only: bool = Field(description="intermediate results stay positive integers")
    max_intermediate: Positive | None = Field(description="largest intermediate result; null: no limit")
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


class PrimingSpec(Section):
    """How large a priming set is and how long its traces are."""

    traces: Positive
    max_trace_tokens: Positive = Field(description="longest response of the teacher, in tokens")
    min_search_tokens: Positive = Field(description="smallest search budget of a trace, in tokens")
    arithmetic_slip_share: Share = Field(
        description="negative_only: share of traces that end by a false 'reached'; the rest give up"
    )

    @model_validator(mode="after")
    def _budget(self) -> PrimingSpec:
        if self.min_search_tokens > self.max_trace_tokens:
            raise ValueError("min_search_tokens is above max_trace_tokens")
        return self


class Rl(Section):
    """Reinforcement learning; names follow verl's configuration."""

    algorithm: Algorithm
    steps: Positive
    prompts_per_step: Positive
    group_size: Positive = Field(description="rollouts of one prompt (verl: rollout.n)")
    max_response_tokens: Positive
    temperature: Rate
    learning_rate: Rate
    critic_learning_rate: Rate
    adam_betas: tuple[Share, Share] = (0.9, 0.95)
    weight_decay: Weight = 0.0
    mini_batches: Positive = Field(description="optimizer steps per RL step and epoch")
    epochs: Positive
    clip_ratio: Rate
    value_clip: Rate
    gamma: Share
    lam: Share
    entropy_coeff: Weight
    kl_in_reward: bool = Field(description="token-level KL penalty inside the reward")
    use_kl_loss: bool = Field(description="KL to the reference added to the loss")
    kl_coef: Weight
    kl_penalty: Literal["kl", "abs", "mse", "low_var_kl"]
    loss_agg_mode: Literal["token-mean", "seq-mean-token-sum", "seq-mean-token-mean"]
    grad_clip: Rate
    save_every: Positive = Field(description="steps between checkpoints, which are also evaluated")

    @model_validator(mode="after")
    def _consistent(self) -> Rl:
        if self.algorithm in ("grpo", "reinforce_plus_plus_baseline") and self.group_size < 2:
            raise ValueError(
                f"algorithm {self.algorithm} compares rollouts of one prompt: group_size must be >= 2"
            )
        if self.prompts_per_step * self.group_size < self.mini_batches:
            raise ValueError("mini_batches is larger than prompts_per_step * group_size")
        if self.kl_in_reward and self.use_kl_loss:
            raise ValueError("kl_in_reward and use_kl_loss are two places for one penalty: choose one")
        if self.kl_coef > 0 and not (self.kl_in_reward or self.use_kl_loss):
            raise ValueError(
                f"kl_coef is {self.kl_coef:g}, but no place for the penalty is chosen: set use_kl_loss or "
                "kl_in_reward to true too (dvc exp run: add -S rl.use_kl_loss=true)"
            )
        if self.kl_coef == 0 and (self.kl_in_reward or self.use_kl_loss):
            place = "kl_in_reward" if self.kl_in_reward else "use_kl_loss"
            raise ValueError(f"{place} is true, but kl_coef is 0: set kl_coef above 0 too")
        if self.steps % self.save_every:
            raise ValueError("steps must be a multiple of save_every, so that the last step is saved")
        return self


class Rollouts(Section):
    """Evaluation samples drawn from every saved checkpoint."""

    split: Literal["validation", "test"]
    problems: Positive
    samples: Positive = Field(description="samples a problem and checkpoint")
    last_samples: Positive = Field(description="the same at the last one, where claims are decided")
    temperature: Weight = Field(description="0: greedy")
    batch_size: Positive
    engine: Literal["transformers", "vllm"] = Field("transformers", description="vllm: on GPUs")
    seed: int


class Run(Section):
    """One line of the matrix: a model, a priming, and the seeds it is run with."""

    model: str
    priming: Priming
    seeds: list[int] = Field(min_length=1)
    variant: Name | None = Field(None, description="suffix of the path")
    rl: dict[str, Any] = Field(default_factory=dict, description="settings of rl changed for this line")
    samples: Positive | None = Field(
        None, description="samples a problem at every checkpoint, the last included, for this line"
    )

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


class Params(Section):
    """params.yaml as a whole."""

    preset: str
    teacher: str = Field(description="symbolic, or one of llm.models")
    judge: str = Field(description="none, or one of llm.models")
    countdown: Countdown
    reward: Reward
    social_iqa: SocialIqa
    models: dict[Name, ModelSpec] = Field(min_length=1)
    teaching: Teaching
    priming: PrimingSpec
    pretraining: Pretraining
    labelling: Labelling
    cascade: Cascade
    rewriting: Rewriting
    sft: Sft
    pretraining_sft: Sft
    rl: Rl
    rollouts: Rollouts
    training: Training
    judging: Judging
    matrix: list[Run] = Field(min_length=1)
    maths: Maths
    transfer: list[Transfer]
    statistics: Statistics
    calibration: Calibration
    runtime: Runtime
    resources: Resources
    llm: Llm

    @model_validator(mode="after")
    def _raters(self) -> Params:
        for key, chosen, without in (("teacher", self.teacher, "symbolic"), ("judge", self.judge, "none")):
            if chosen not in (without, *self.llm.models):
                raise ExplainedError(
                    [
                        f"{key} is {chosen!r}; choose {without}, or of llm.models: "
                        f"{', '.join(self.llm.models) or '(empty)'}"
                    ]
                )
            if without in self.llm.models:
                raise ExplainedError(
                    [f"llm.models.{without}: the name is taken; {key}: {without} means no model"]
                )
        return self

    @model_validator(mode="after")
    def _social_rl(self) -> Params:
        try:
            self.rl_of("social_iqa")
        except ValidationError as error:
            lines = [explain(e, Rl, "social_iqa.rl.") for e in error.errors()]
            raise ExplainedError(lines) from None
        return self

    @model_validator(mode="after")
    def _matrix(self) -> Params:
        seen: set[RunId] = set()
        problems: list[str] = []
        for number, line in enumerate(self.matrix):
            here = f"matrix.{number}"
            if line.model not in self.models:
                known = ", ".join(sorted(self.models))
                problems.append(f"{here}.model is {line.model!r}; choose one of models: {known}")
            if self.task_of(line) != "countdown" and line.priming != "none":
                problems.append(f"{here}.priming is {line.priming!r}; only Countdown has them: choose 'none'")
            try:
                runs = self.runs_of(line)
            except ValidationError as error:
                problems += [explain(e, Rl, f"{here}.rl.") for e in error.errors()]
                continue
            problems += [f"{here}: run {run.path} is listed twice" for run in runs if run in seen]
            seen.update(runs)
        if problems:
            raise ExplainedError(problems)
        return self

    @model_validator(mode="after")
    def _transfer(self) -> Params:
        names = [line.name for line in self.transfer]
        for number, line in enumerate(self.transfer):
            here = f"transfer.{number}"
            if names.count(line.name) > 1:
                raise ExplainedError([f"{here}.name is {line.name!r}; another line has that name"])
            if not self.maths.has(line.problems):
                raise ExplainedError(
                    [f"{here}.problems is {line.problems!r}; give its commit in maths.revisions or a file"]
                )
            known = [name for name, model in self.models.items() if model.task == "social_iqa"]
            if strange := [name for name in line.models if name not in known]:
                raise ExplainedError(
                    [f"{here}.models holds {strange[0]!r}; choose models of social_iqa: {', '.join(known)}"]
                )
        return self

    @model_validator(mode="after")
    def _pretraining(self) -> Params:
        primings = {line.priming for line in self.matrix}
        models = list(self.llm.models)
        if problems := mistakes_in(self.pretraining, self.labelling, self.rewriting, models, set(primings)):
            raise ExplainedError(problems)
        return self

    @model_validator(mode="after")
    def _fits(self) -> Params:
        """What the sections ask of each other."""
        tiny = {name: model for name, model in self.models.items() if isinstance(model, TinyModel)}
        if any(isinstance(model, BaseModelSpec) for model in tiny.values()):
            self._fits_tiny()
        social = any(isinstance(model, SocialModel) for model in tiny.values())
        if social and self.social_iqa.source != "stories":
            raise ValueError(
                "social_iqa.source: tiny models know the words of stories alone: set it to stories"
            )
        for name, model in tiny.items():
            self._fits_positions(name, model)
        if self.training.verl is not None:
            self._fits_verl(self.training.verl)
        for task in sorted({self.task_of(line) for line in self.matrix}):
            available = getattr(getattr(self, task), self.rollouts.split)
            if available is not None and self.rollouts.problems > available:
                raise ValueError(
                    f"rollouts.problems is {self.rollouts.problems}; "
                    f"{task}.{self.rollouts.split} has {available}"
                )
        return self

    def _fits_tiny(self) -> None:
        """Numbers that tiny models of Countdown can have."""
        numbers = self.countdown
        largest = max(numbers.number_max, numbers.target_max, numbers.max_intermediate or TINY_LARGEST + 1)
        if largest > TINY_LARGEST or not numbers.integer_only:
            raise ValueError(
                f"models: the tiny models know the integers 0 to {TINY_LARGEST}: keep countdown.number_max, "
                "target_max and max_intermediate within them and integer_only true"
            )

    def _fits_positions(self, name: str, model: TinyModel) -> None:
        """Lengths that a tiny model can have."""
        social = isinstance(model, SocialModel)
        # Countdown: <bos> nums a b c target t <think>
        prompt = STORY_TOKENS if social else max(self.countdown.sizes) + 5
        limits = {"rl.max_response_tokens": self.rl_of(model.task).max_response_tokens}
        limits |= {} if social else {"priming.max_trace_tokens": self.priming.max_trace_tokens}
        lines = [self.rl_settings(line).max_response_tokens for line in self.matrix if line.model == name]
        longest = max([*limits.values(), *lines])
        if model.max_positions < prompt + longest:
            raise ValueError(
                f"models.{name}.max_positions is {model.max_positions}; a prompt of {prompt} and a "
                f"response of {longest} tokens ({' or '.join(limits)}, the larger) need {prompt + longest}"
            )

    def _fits_verl(self, verl: Verl) -> None:
        """What verl's trainers take; the rest is asked of verl itself before a job starts."""
        if self.sft.optimizer != "adamw" or self.sft.schedule != "cosine":
            raise ValueError("sft: the verl backend has optimizer adamw and schedule cosine")
        for number, line in enumerate(self.matrix):
            rl = self.rl_settings(line)
            critic = verl.critic_mini_batches if rl.algorithm == "ppo" else 1
            if rl.prompts_per_step % rl.mini_batches or rl.prompts_per_step % critic:
                raise ValueError(
                    f"matrix.{number}: rl.prompts_per_step is {rl.prompts_per_step}; with the verl backend "
                    f"it must divide by rl.mini_batches ({rl.mini_batches}) and "
                    f"training.verl.critic_mini_batches ({verl.critic_mini_batches})"
                )
            longest = self.prompt_tokens(self.task_of(line), verl) + rl.max_response_tokens
            if verl.max_tokens_per_gpu < longest:
                raise ValueError(
                    f"training.verl.max_tokens_per_gpu is {verl.max_tokens_per_gpu}; the longest sequence of "
                    f"matrix.{number} (max_prompt_tokens + rl.max_response_tokens) has {longest} tokens"
                )

    def task_of(self, line: Run) -> Task:
        """The task of a matrix line, which is that of its model."""
        model = self.models.get(line.model)
        return "countdown" if model is None else model.task

    def prompt_tokens(self, task: Task, verl: Verl) -> int:
        """The longest prompt of a task that verl's trainers take."""
        own = self.social_iqa.max_prompt_tokens if task == "social_iqa" else None
        return own or verl.max_prompt_tokens

    def rl_of(self, task: Task) -> Rl:
        """The RL settings of a task: ``rl``, with the changes that the task makes."""
        changes = self.social_iqa.rl if task == "social_iqa" else {}
        return Rl.model_validate({**self.rl.model_dump(), **changes})

    def primed_with(self, priming: str) -> Params:
        """These settings with the ``sft`` of a priming set: rewritten documents have one of their own."""
        return self.model_copy(update={"sft": self.pretraining_sft}) if priming in REWRITTEN else self

    def rl_settings(self, line: Run) -> Rl:
        """The RL settings of a matrix line: those of its task with the line's changes, validated again."""
        return Rl.model_validate({**self.rl_of(self.task_of(line)).model_dump(), **line.rl})

    def only(self, task: Task) -> Params:
        """The same settings with the models, runs and RL settings of one task alone."""
        models = {name: model for name, model in self.models.items() if model.task == task}
        lines = [line for line in self.matrix if self.task_of(line) == task]
        return self.model_copy(update={"models": models, "matrix": lines, "rl": self.rl_of(task)})

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
        """The run whose path is ``model/priming/algorithm/seedN``.

        Raises:
            ParamsError: the matrix holds no such run.
        """
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
        """``model/priming/algorithm/seedN``, as in every folder name."""
        return f"{self.model}/{self.priming}/{self.algorithm}/seed{self.seed}"


class _UniqueKeys(yaml.SafeLoader):
    """YAML in which a key that stands twice is an error; PyYAML would silently take the second."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        for position, key in enumerate(keys):
            if key in keys[:position] and isinstance(key, str):
                raise yaml.YAMLError(f"key {key!r} stands twice{node.start_mark}")
        return super().construct_mapping(node, deep)


def validate(raw: Any, source: str = "params.yaml") -> Params:
    """Params from parsed YAML; ParamsError lists every bad key with its fix."""
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        lines = [line for e in error.errors() for line in explain(e, Params).splitlines()]
    raise ParamsError("\n".join(f"{source}: {line}" for line in lines))


def load(path: Path) -> Params:
    """Params from a YAML file.

    Raises:
        ParamsError: the file is missing, is not YAML, or holds unknown keys or impossible values.
    """
    try:
        raw = yaml.load(path.read_text(), Loader=_UniqueKeys)
    except FileNotFoundError:
        raise ParamsError(f"{path}: no such file; write one with `habits preset laptop`") from None
    except yaml.YAMLError as error:
        raise ParamsError(f"{path}: not valid YAML: {error}") from None
    return validate(raw, str(path))


def schema_text() -> str:
    """The JSON schema of params.yaml, as it stands in workflow/schemas."""
    schema = Params.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "params.yaml"
    return json.dumps(schema, indent=1, sort_keys=True) + "\n"
