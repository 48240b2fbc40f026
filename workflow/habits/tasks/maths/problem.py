"""A maths problem: a question and its final answer as published. Reads and writes no files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Language = Literal["en", "zh", "short"]  # short: the tiny models' words


@dataclass(frozen=True)
class Problem:
    """A question with one right answer.

    Args:
        key: its id, unique in its set.
        question: the text that is asked.
        gold: the final answer: a number such as ``1,250`` or LaTeX such as ``\\frac{1}{2}``.
        language: in what it is asked; picks prompts and worked examples.
    """

    key: str
    question: str
    gold: str
    language: Language
