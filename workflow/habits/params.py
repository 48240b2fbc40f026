"""Every setting of the workflow as one typed model.

Reads ``params.yaml`` (the one file in effect) and validates it: an unknown key, a wrong type or
an impossible combination is an error that names the key and the choices. ``habits schema`` writes
the model as JSON schema to ``workflow/schemas/params.schema.json``; a test keeps both in step.
Later modules take what they need as these typed sections, never as dicts.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from habits.mistakes import ExplainedError, explain
from habits.mistakes import ParamsError as ParamsError

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
Level = Literal["easy", "medium", "hard"]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
TINY_LARGEST = 100  # the tiny models' vocabulary holds the integers 0 to 100, one token each


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


class SocialReward(Section):
    """What a response to a Social IQa question is paid: its format and its answer, added up."""

    format: Rate = Field(1.0, description="paid when the format is kept, taken when it is not")
    correct: float = 2.0
    wrong: float = Field(-2.0, description="one of the other options")
    invalid: float = Field(-3.0, description="no answer, or none that names exactly one option")

    @model_validator(mode="after")
    def _order(self) -> SocialReward:
        if not self.invalid <= self.wrong < self.correct:
            raise ValueError("must hold: invalid <= wrong < correct")
        return self


# DeepEnlighten's README says that the format is paid +-2; its code paid +-1.
SOCIAL_REWARDS = {"code": SocialReward.model_validate({}), "readme": SocialReward.model_validate({"format": 2.0})}


def _named_reward(value: Any) -> Any:
    """The weights that a name of ``SOCIAL_REWARDS`` stands for; anything else as it is."""
    if isinstance(value, str) and value not in SOCIAL_REWARDS:
        raise ValueError(f"{value!r} is no reward; choose {' or '.join(SOCIAL_REWARDS)}, or give weights")
    return SOCIAL_REWARDS[value] if isinstance(value, str) else value


class SocialIqa(Section):
    """The Social IQa task: the published questions, or social stories composed by this project."""

    source: Literal["stories", "published"]
    files: dict[Literal["train", "validation", "test"], Path] | None = Field(
        None, description="published: local files in place of a download"
    )
    train: Positive | None = Field(description="problems, at most so many; null: all that are published")
    validation: Positive | None
    test: Positive | None
    levels: dict[Level, Share] = Field(description="stories: difficulty -> share of the problems")
    reward: Annotated[
        SocialReward,
        BeforeValidator(_named_reward, json_schema_input_type=Literal["code", "readme"] | SocialReward),
    ]
    seed: int

    @model_validator(mode="after")
    def _source(self) -> SocialIqa:
        if abs(sum(self.levels.values()) - 1) > 1e-9:
            raise ValueError("levels: the shares must sum to 1")
        if self.source == "stories" and None in (self.train, self.validation, self.test):
            raise ValueError("train, validation and test must be numbers where source is stories")
        if self.source == "stories" and self.files:
            raise ValueError("files are read where source is published; stories come from no file")
        return self


class BaseModelSpec(Section):
    """A tiny base model trained from scratch (Qwen2 architecture)."""

    prompt_template: Literal["short"] = Field(description="the one whose words the tiny tokenizer knows")
    hidden_size: Positive
    layers: Positive
    heads: Positive
    kv_heads: Positive
    mlp_size: Positive
    max_positions: Positive
    corpus_worksheets: Share = Field(description="share of documents that are worksheets")
    corpus_facts: Share = Field(description="share of arithmetic and comparison documents")
    corpus_search: Share = Field(description="share of the Countdown documents that show search behaviors")
    corpus_correct: Share = Field(description="share of one-attempt documents with a right answer")
    steps: Positive
    batch_tokens: Positive
    sequence_length: Positive
    learning_rate: Rate
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

    @model_validator(mode="after")
    def _budget(self) -> PrimingSpec:
        if self.min_search_tokens > self.max_trace_tokens:
            raise ValueError("min_search_tokens is above max_trace_tokens")
        return self


class Sft(Section):
    """Supervised fine-tuning on a priming set; loss on response tokens only."""

    optimizer: Literal["adamw", "muon"] = Field(
        description="muon (weight matrices) learns faster on tiny models; adamw is the paper's"
    )
    epochs: Positive
    batch_size: Positive
    learning_rate: Rate
    warmup_steps: Annotated[int, Field(ge=0)]
    grad_clip: Rate


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
        if self.algorithm == "grpo" and self.group_size < 2:
            raise ValueError("algorithm grpo compares rollouts of one prompt: group_size must be >= 2")
        if self.prompts_per_step * self.group_size < self.mini_batches:
            raise ValueError("mini_batches is larger than prompts_per_step * group_size")
        if self.kl_in_reward and self.use_kl_loss:
            raise ValueError("kl_in_reward and use_kl_loss are two places for one penalty: choose one")
        if (self.kl_in_reward or self.use_kl_loss) != (self.kl_coef > 0):
            raise ValueError("kl_coef must be above 0 exactly when kl_in_reward or use_kl_loss is true")
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


class Runtime(Section):
    """Numerics and threads of local training."""

    threads: Positive
    micro_batch_tokens: Positive = Field(description="padded tokens of one forward and backward pass")
    dtype: Literal["auto", "float32", "bfloat16"]
    device: Literal["auto", "cpu", "cuda"]


class Params(Section):
    """params.yaml as a whole."""

    preset: str
    countdown: Countdown
    reward: Reward
    models: dict[Name, BaseModelSpec] = Field(min_length=1)
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
        problems: list[str] = []
        for number, line in enumerate(self.matrix):
            here = f"matrix.{number}"
            if line.model not in self.models:
                known = ", ".join(sorted(self.models))
                problems.append(f"{here}.model is {line.model!r}; choose one of models: {known}")
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
    def _fits(self) -> Params:
        """What the sections ask of each other."""
        numbers = self.countdown
        largest = max(numbers.number_max, numbers.target_max, numbers.max_intermediate or TINY_LARGEST + 1)
        if largest > TINY_LARGEST or not numbers.integer_only:
            raise ValueError(
                f"models: the tiny models know the integers 0 to {TINY_LARGEST}: keep countdown.number_max, "
                "target_max and max_intermediate within them and integer_only true"
            )
        longest = max(
            self.priming.max_trace_tokens, *(self.rl_settings(m).max_response_tokens for m in self.matrix)
        )
        prompt = max(numbers.sizes) + 5  # <bos> nums a b c target t <think>
        for name, model in self.models.items():
            if model.max_positions < prompt + longest:
                raise ValueError(
                    f"models.{name}.max_positions is {model.max_positions}; a prompt of {prompt} and a "
                    f"response of {longest} tokens (the larger of rl.max_response_tokens and "
                    f"priming.max_trace_tokens) need {prompt + longest}"
                )
        available = getattr(numbers, self.rollouts.split)
        if self.rollouts.problems > available:
            raise ValueError(
                f"rollouts.problems is {self.rollouts.problems}; "
                f"countdown.{self.rollouts.split} has {available}"
            )
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
