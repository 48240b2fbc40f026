"""Sections of the settings about maths and transfer; `habits.params` puts them together."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from habits.section import Count, Name, Positive, Section

ProblemSet = Literal["word_problems", "countdown", "gsm8k", "math", "cmath"]
HubSet = Literal["gsm8k", "math", "cmath"]


class Maths(Section):
    """Where maths problems come from."""

    word_problems: Positive = Field(description="how many are composed")
    seed: int
    revisions: dict[HubSet, str] = Field(
        default_factory=dict,
        description="commits of openai/gsm8k, EleutherAI/hendrycks_math and weitianwen/cmath on the Hub",
    )
    files: dict[HubSet, Path] = Field(
        default_factory=dict, description="local files in the published formats, in place of a download"
    )

    def has(self, problems: ProblemSet) -> bool:
        """Whether it is said where a set comes from."""
        return problems in ("word_problems", "countdown") or problems in {*self.revisions, *self.files}


class Transfer(Section):
    """One evaluation of runs on problems that their RL did not train on, before it and after."""

    name: Name
    models: list[Name] = Field(min_length=1, description="base models whose runs are evaluated")
    problems: ProblemSet
    count: Positive | None = Field(None, description="the first so many; null: all")
    shots: Count = Field(0, description="worked examples in the prompt")
    chat_template: bool = Field(False, description="prompts by the tokenizer's template for conversations")
    max_response_tokens: Positive

    @model_validator(mode="after")
    def _plain(self) -> Transfer:
        if self.problems in ("word_problems", "countdown") and (self.shots or self.chat_template):
            raise ValueError(f"{self.problems} has one prompt: shots: 0, chat_template: false")
        return self
