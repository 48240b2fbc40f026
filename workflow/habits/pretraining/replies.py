"""What a model's reply says of a document: counts with quotes, problem, solution, domain.

Replies are text from outside: one that does not say exactly what was asked for is unparsable (None), never a
zero. Reads and writes no files.
"""

from __future__ import annotations

from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from habits.behaviors.judgements import LONGEST_REPLY, Judgement
from habits.pretraining.labelled import DOMAINS
from habits.priming.language import BEHAVIORS

Domain = Literal["number_puzzles", "algebra", "geometry", "number_theory", "calculus", "probability", "other"]
Read = TypeVar("Read", bound=BaseModel)
_FENCE = "```"


class Kind(BaseModel):
    """What kind of document it is."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    domain: Domain
    is_problem: bool
    is_solution: bool


class JointLabel(Kind):
    """The answer of a joint call."""

    verification: Judgement
    backtracking: Judgement
    subgoal_setting: Judgement
    backward_chaining: Judgement


def joint_schema() -> dict[str, object]:
    """The JSON schema of `JointLabel` as both vendors take it: strict, without bounds and references."""
    quotes: dict[str, object] = {"type": "array", "items": {"type": "string"}}
    judgement = _closed({"evidence": quotes, "number": {"type": "integer"}})
    return _closed({**{behavior: judgement for behavior in BEHAVIORS}, **_KIND})


def kind_schema() -> dict[str, object]:
    """The JSON schema of `Kind`."""
    return _closed(_KIND)


_KIND: dict[str, object] = {
    "domain": {"type": "string", "enum": list(DOMAINS)},
    "is_problem": {"type": "boolean"},
    "is_solution": {"type": "boolean"},
}


def _closed(properties: dict[str, object]) -> dict[str, object]:
    required = list(properties)
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def read_json(text: str, form: type[Read]) -> Read | None:
    """One JSON object of a form, alone or in a code fence; None for anything else."""
    if len(text) > LONGEST_REPLY:
        return None
    text = text.strip()
    if text.startswith(_FENCE) and text.endswith(_FENCE):
        text = text.removeprefix(_FENCE).removeprefix("json").removesuffix(_FENCE)
    try:
        return form.model_validate_json(text)
    except ValidationError:
        return None
