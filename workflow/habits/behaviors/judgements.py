"""What a judge's reply says: counts with quoted evidence, and where the quotes stand in the response.

Replies are text from outside: one that does not say exactly what was asked for is unparsable (None), never a
zero. Reads and writes no files. Linear in the length of reply and response, up to the number of quotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from habits.behaviors.counts import Span
from habits.priming.language import BEHAVIORS, Behavior

LARGEST_COUNT = 999
LONGEST_REPLY = 100_000  # characters; no reply within any sensible judging.max_tokens is a tenth of that
_FENCE = "```"
_COUNT = re.compile(r"<count>\s*([0-9]{1,3})\s*</count>")


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Judgement(_Record):
    """How many instances of one behavior, and the quotes that show them, in the order of the reply."""

    evidence: list[str] = Field(max_length=LARGEST_COUNT)
    number: Annotated[int, Field(ge=0, le=LARGEST_COUNT)]


class Joint(_Record):
    """The answer of a joint call."""

    verification: Judgement
    backtracking: Judgement
    subgoal_setting: Judgement
    backward_chaining: Judgement


def joint_schema() -> dict[str, object]:
    """The JSON schema of :class:`Joint` as both vendors take it: strict, without bounds and references.

    Vendors let a model write the keys in the order of the schema, which a request holds sorted: the quotes
    ("evidence") come before the "number", so that it counts what it has found.
    """
    quotes: dict[str, object] = {"type": "array", "items": {"type": "string"}}
    judgement = _closed({"evidence": quotes, "number": {"type": "integer"}})
    return _closed({behavior: judgement for behavior in BEHAVIORS})


def _closed(properties: dict[str, object]) -> dict[str, object]:
    required = list(properties)
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def read_joint(text: str) -> dict[Behavior, Judgement] | None:
    """The judgements of a joint reply: one JSON object, alone or in a code fence; None for anything else."""
    if len(text) > LONGEST_REPLY:
        return None
    text = text.strip()
    if text.startswith(_FENCE) and text.endswith(_FENCE):
        text = text.removeprefix(_FENCE).removeprefix("json").removesuffix(_FENCE)
    try:
        found = Joint.model_validate_json(text)
    except ValidationError:
        return None
    return {behavior: getattr(found, behavior) for behavior in BEHAVIORS}


def read_count(text: str) -> Judgement | None:
    """The count of a reply about one behavior: a whole number in <count> tags, spaces allowed, stated once
    (or again the same); None for anything else.
    """
    if len(text) > LONGEST_REPLY:
        return None
    counts = _COUNT.findall(text)
    stated = {int(count) for count in counts}
    if len(stated) != 1 or text.count("<count") != len(counts):
        return None
    return Judgement(evidence=[], number=stated.pop())


def locate(quotes: Iterable[str], response: str) -> list[Span | None]:
    """Where each quote stands in ``response``; None for one that does not occur (any more).

    White space may differ. Of equal quotes the first is the first occurrence, the second the next one.
    """
    read_to: dict[str, int] = {}
    found: list[Span | None] = []
    for quote in quotes:
        words = quote.split()
        pattern = r"\s+".join(map(re.escape, words))
        match = re.compile(pattern).search(response, read_to.get(pattern, 0)) if words else None
        if match is not None:
            read_to[pattern] = match.end()
        found.append(Span(*match.span()) if match is not None else None)
    return found
