"""Mistakes in the settings, told as key, value and fix.

Turns pydantic's errors into lines such as ``rl.algorithm is 'pppo'; choose 'ppo', 'grpo' or ...``.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel


class ParamsError(ValueError):
    """params.yaml cannot be used; the message names each key and what it may be."""


class ExplainedError(ValueError):
    """Several mistakes that a validator found, each already told as key and fix."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def explain(error: Any, model: type[BaseModel], prefix: str = "") -> str:
    """One of pydantic's errors about ``model`` in words, a line a mistake.

    Args:
        error: an element of ``ValidationError.errors()``.
        model: what was validated.
        prefix: key of the validated section with a dot at its end; empty for the whole file.
    """
    loc, cause = error["loc"], error.get("ctx", {}).get("error")
    # In brackets pydantic names what is no part of a key: "[key]" itself, the kind of a section.
    key = prefix + ".".join(str(part) for part in loc if not str(part).startswith("["))
    if error["type"] == "extra_forbidden":
        return f"{key} is not a setting; {_choices(str(loc[-1]), known_keys(model, loc[:-1]))}"
    if error["type"] == "missing":
        return f"{key} is missing"
    if error["type"] == "literal_error":
        return f"{key} is {error['input']!r}; choose {error['ctx']['expected']}"
    if isinstance(cause, ExplainedError):
        return "\n".join(cause.lines)
    if error["type"] == "value_error":
        return f"{key.rstrip('.')}: {cause}" if key else str(cause)
    return f"{key} is {error['input']!r:.80}; {error['msg'][:1].lower()}{error['msg'][1:]}"


def _choices(key: str, known: list[str]) -> str:
    close = get_close_matches(key, known, n=1)
    return f"known here: {', '.join(known)}" + (f" (did you mean {close[0]}?)" if close else "")


def known_keys(model: Any, loc: tuple[int | str, ...]) -> list[str]:
    """Setting names of the section at ``loc`` in ``model``.

    List positions and dict keys are passed over; where sections of several kinds may stand, ``loc`` names
    the kind as ``[Kind]``.
    """
    kinds = [model]
    for part in loc:
        named = [kind for kind in kinds if f"[{kind.__name__}]" == part]
        field = kinds[0].model_fields.get(str(part))
        kinds = named or (sections_in(field.annotation) if field is not None else []) or kinds
    return list(kinds[0].model_fields)


def sections_in(annotation: Any) -> list[type[BaseModel]]:
    """The sections in ``Section``, ``list[Section]``, ``dict[str, Section]`` or a union of them."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [section for part in get_args(annotation) for section in sections_in(part)]
