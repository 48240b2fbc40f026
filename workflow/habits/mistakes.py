"""Mistakes in the settings, told as key, value and fix.

Turns pydantic's errors into lines such as ``rl.algorithm is 'pppo'; choose 'ppo', 'grpo' or ...``.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

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
    key = prefix + ".".join(str(part) for part in loc if part != "[key]")
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
    """Setting names of the section at ``loc`` in ``model``; list positions and dict keys are passed over."""
    for part in loc:
        field = model.model_fields.get(str(part))
        if field is not None:
            model = section_in(field.annotation) or model
    return list(model.model_fields)


def section_in(annotation: Any) -> Any:
    """The section inside ``Section``, ``list[Section]`` or ``dict[str, Section]``; None if there is none."""
    candidates = (annotation, *getattr(annotation, "__args__", ()))
    return next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), None)
