"""What sections of the settings are made of: base classes, and numbers and names with limits."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
Rate = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
Task = Literal["countdown", "social_iqa"]


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
