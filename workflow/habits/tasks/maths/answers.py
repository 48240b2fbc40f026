"""The final answer in a response: where it stands, and in which form it was given.

In this order: an ``<answer>`` block after the thought, the last ``\\boxed{...}``, the last phrase such as
"the final answer is ..." (``####`` and Chinese included), and, if none is there, the last number of the text.
The first three are forms that prompts ask for; the last is a guess of ours and marked so, as a model that
learns to obey a prompt gains in the first and not in the second. Linear in the text; no files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from habits.tasks.maths.numbers import last_number

Form = Literal["tag", "boxed", "phrase", "last_number"]
ASKED: tuple[Form, ...] = ("tag", "boxed", "phrase")
THINK_END, ANSWER, ANSWER_END = "</think>", "<answer>", "</answer>"
MAX_BOXES = 8  # openings that are tried from the end; so that a text of openings is no work
MAX_ANSWER = 300
PHRASE = re.compile(
    r"(?:final answer|the answer|answer) ?(?:is|=|:)[ :]{0,3}(?=(?P<en>[^\n]{1,300}))"
    r"|####[ ]{0,3}(?=(?P<hash>[^\n]{1,300}))"
    r"|(?:答案|结果)(?:是|为|：|:)[ ：:]{0,3}(?=(?P<zh>[^\n。；]{1,300}))",
    re.IGNORECASE,
)
WRAPPERS = (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"), ("**", "**"), ("\\boxed{", "}"))
TEXT = re.compile(r"\\(?:text|mathrm|textbf|mbox)\{([^{}]{0,100})\}")


@dataclass(frozen=True)
class Answer:
    """A final answer without what is wrapped around it, and how it was given."""

    text: str
    form: Form


def extract(response: str) -> Answer | None:
    """The final answer of a response; None when there is not even a number in it."""
    after = response[response.rfind(THINK_END) + len(THINK_END) :] if THINK_END in response else response
    for form, found in (("tag", _tag(after)), ("boxed", boxed(after)), ("phrase", _phrase(after))):
        if found is not None and (text := unwrapped(found)):
            return Answer(text, form)  # type: ignore[arg-type]
    number = last_number(after) or last_number(response)
    return Answer(unwrapped(number), "last_number") if number else None


def boxed(text: str) -> str | None:
    """What the last complete ``\\boxed{...}`` (or ``\\fbox``) holds, braces inside it balanced."""
    end = len(text)
    for _ in range(MAX_BOXES):
        start = max(text.rfind("\\boxed{", 0, end), text.rfind("\\fbox{", 0, end))
        if start < 0:
            return None
        opening = text.index("{", start)
        if (closing := _closing(text, opening)) is not None:
            return text[opening + 1 : closing]
        end = start
    return None


def unwrapped(text: str) -> str:
    """An answer without math delimiters, emphasis, a sentence's full stop, and ``\\text`` around units."""
    text = TEXT.sub(r" \1", text[: 2 * MAX_ANSWER])
    while True:
        before, text = text, text.strip().rstrip(".。,，;；").strip()
        for left, right in WRAPPERS:
            if len(text) > len(left) + len(right) and text.startswith(left) and text.endswith(right):
                text = text[len(left) : len(text) - len(right)]
        if text == before:
            return text[:MAX_ANSWER]


def _tag(text: str) -> str | None:
    start = text.rfind(ANSWER)
    end = text.find(ANSWER_END, start)
    if start < 0 or end < 0:
        return None
    inside = text[start + len(ANSWER) : end]
    return boxed(inside) or inside


def _phrase(text: str) -> str | None:
    found = None
    for match in PHRASE.finditer(text):
        found = match
    if found is None:
        return None
    rest = next(group for group in found.groups() if group is not None)
    return _first_sentence(rest)


def _first_sentence(text: str) -> str:
    """Up to a full stop that ends a sentence; a point between digits does not."""
    math = re.match(r"\s*(\$[^$]{1,300}\$|\\\([^)]{1,300}\\\))", text)
    if math:
        return math.group(1)
    return re.split(r"[.](?=\s|$)|[。！；]|, (?=[a-z])", text, maxsplit=1)[0]


def _closing(text: str, opening: int) -> int | None:
    depth = 0
    for place in range(opening, min(len(text), opening + 4 * MAX_ANSWER)):
        depth += (text[place] == "{") - (text[place] == "}")
        if depth == 0:
            return place
    return None
