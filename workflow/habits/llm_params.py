"""Settings of the calls of language models: sections ``llm``, ``teaching``, ``judging``, ``calibration``."""

from __future__ import annotations

import json
import re
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from habits.section import Positive, Section, Share, Weight

ModelName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$")]
# Fields of a request that llm.models.*.options may not set.
OWN_FIELDS = frozenset(
    {"model", "messages", "system", "max_tokens", "max_completion_tokens", "temperature", "response_format"}
    | {"n", "stream", "service_tier", "speed"}
)


class Price(Section):
    """What a model costs, in US dollars per million tokens."""

    as_of: date = Field(description="the day on which the vendor's list said so")
    input: Weight
    cached_input: Weight = Field(description="input tokens read from the vendor's prompt cache")
    cache_write: Weight = Field(description="input tokens written to it")
    cached_from: Positive = Field(
        1024, description="shortest beginning of a prompt, in tokens, that it keeps"
    )
    output: Weight
    batch_discount: Share = Field(description="taken off all of these in batches")

    @field_validator("as_of", mode="before")
    @classmethod
    def _quoted(cls, day: object) -> object:
        if isinstance(day, date):
            raise ValueError(
                f'as_of must stand in quotes, as in "{day}": DVC reads no dates from params.yaml'
            )
        return day


class LlmModel(Section):
    """A model behind an API: a vendor's, or any server that speaks the OpenAI dialect."""

    provider: Literal["anthropic", "openai"] = Field(description="the API that its server speaks")
    model: str = Field(min_length=1, description="the vendor's name; a dated snapshot where there is one")
    base_url: str | None = Field(description="null: the vendor's own server")
    api_key_env: str | None = Field(description="environment variable that holds the key; null: no key")
    batches: bool = Field(description="the server has the vendor's batch API")
    options: dict[str, Any] = Field(
        default_factory=dict, description="more fields of each request, as the API names them"
    )
    price: Price

    @field_validator("base_url")
    @classmethod
    def _address(cls, url: str | None) -> str | None:
        if url is not None and not re.fullmatch(r"https?://[^\s@]+", url):
            raise ValueError("must be an address that begins with http:// or https:// and holds no password")
        return url

    @field_validator("api_key_env")
    @classmethod
    def _variable(cls, name: str | None) -> str | None:
        if name is not None and not re.fullmatch(r"[A-Z][A-Z0-9_]*", name):
            # Without the value: it may be the key itself.
            raise ValueError(
                "must name an environment variable (capitals, digits, _); keys stay out of files"
            )
        return name

    @field_validator("options")
    @classmethod
    def _own_fields(cls, options: dict[str, Any]) -> dict[str, Any]:
        if taken := sorted(OWN_FIELDS & set(options)):
            raise ValueError(f"{', '.join(taken)}: set by the workflow itself, or priced in another way")
        return options

    @property
    def identity(self) -> str:
        """What a reply depends on, as JSON; where the server is and what it costs are not part of it."""
        return json.dumps(self.model_dump(include={"provider", "model", "options"}), sort_keys=True)


class Llm(Section):
    """Calls of language models through their APIs: how, for how much, and which models there are."""

    mode: Literal["live", "replay"] = Field(description="replay never asks: a missing reply is an error")
    budget_usd: Weight = Field(description="all stored replies and open requests together never cost more")
    batch: bool = Field(description="vendors' batch APIs where a model has them; false: one by one")
    max_in_flight: Positive = Field(description="most requests that wait for an answer at once")
    models: dict[ModelName, LlmModel]


class Teaching(Section):
    """Demonstrations of an LLM teacher; the symbolic teacher asks nobody."""

    requests_per_trace: float = Field(ge=1, description="some more than needed, as not all can be used")
    requests_per_wrong_trace: float = Field(
        ge=1, description="for the negative sets, which use what ends wrong alone"
    )
    temperature: Weight | None = Field(description="of sampling; null: the vendor's own")
    max_tokens: Positive = Field(description="a reply is cut off here")
    max_failed_rate: Share = Field(description="share of requests that may stay without a reply")


class Judging(Section):
    """How an LLM judge counts behaviors; with ``judge: none`` nobody is asked."""

    samples: Positive = Field(description="rollouts of each checkpoint that are judged")
    seed: int = Field(description="of their choice")
    calls: Literal["joint", "separate"] = Field(
        description="one call a rollout with quoted evidence, or one a behavior as in the paper"
    )
    temperature: Weight | None = Field(description="of sampling; null: the vendor's own")
    max_tokens: Positive = Field(description="a reply is cut off here")
    max_failed_rate: Share = Field(description="share of a run's judgements that may fail")


class Calibration(Section):
    """How the judge is compared with the oracle and with people."""

    gold: Positive = Field(description="problems of a checkpoint whose gold labels correct the judge")
    human_labels: str | None = Field(description="CSV of labels by people; null: none")
