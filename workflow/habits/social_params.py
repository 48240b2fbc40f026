"""Sections of the settings about Social IQa; `habits.params` puts them together with the others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from habits.section import Positive, Rate, Section, Share, TinyModel

Level = Literal["easy", "medium", "hard"]
Split = Literal["train", "validation", "test"]


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
SOCIAL_REWARDS = {
    "code": SocialReward.model_validate({}),
    "readme": SocialReward.model_validate({"format": 2.0}),
}


def _named_reward(value: Any) -> Any:
    """The weights that a name of ``SOCIAL_REWARDS`` stands for; anything else as it is."""
    if isinstance(value, str) and value not in SOCIAL_REWARDS:
        raise ValueError(f"{value!r} is no reward; choose {' or '.join(SOCIAL_REWARDS)}, or give weights")
    return SOCIAL_REWARDS[value] if isinstance(value, str) else value


class SocialIqa(Section):
    """The Social IQa task: the published questions, or social stories composed by this project."""

    source: Literal["stories", "published"]
    files: dict[Split, Path] | None = Field(None, description="published: local files in place of a download")
    train: Positive | None = Field(description="problems, at most so many; null: all that are published")
    validation: Positive | None
    test: Positive | None
    levels: dict[Level, Share] = Field(
        {"easy": 0.2, "medium": 0.3, "hard": 0.5}, description="stories: difficulty -> share of the problems"
    )
    reward: Annotated[
        SocialReward,
        BeforeValidator(_named_reward, json_schema_input_type=Literal["code", "readme"] | SocialReward),
    ]
    max_prompt_tokens: Positive | None = Field(
        None, description="in place of training.verl.max_prompt_tokens"
    )
    rl: dict[str, Any] = Field(description="settings of rl changed for all runs of this task")
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


class SocialModel(TinyModel):
    """A tiny base model of social stories; what it reads: `habits.models.social_iqa_corpus`."""

    task: Literal["social_iqa"]
    corpus_notes: Share = Field(description="share of documents that say of everybody what follows")
    corpus_maths: Share = Field(description="share of word problems and of attempts at Countdown")
    corpus_focus: Share = Field(
        description="share of recalled sentences chosen because the question asks for them"
    )

    @model_validator(mode="after")
    def _mix(self) -> SocialModel:
        if self.corpus_notes + self.corpus_maths >= 1:
            raise ValueError("corpus_notes + corpus_maths must leave room for stories")
        return self
