"""A multiple-choice question about a social situation, as Social IQa asks it. Reads and writes no files."""

from __future__ import annotations

from dataclasses import dataclass

LETTERS = ("A", "B", "C")


@dataclass(frozen=True)
class Problem:
    """Which of three options answers a question about a situation.

    Args:
        key: its id, unique over all splits.
        context: the situation, one or a few sentences.
        question: about a person in it.
        options: texts of the options A, B and C.
        answer: position of the right one, 0 to 2.
    """

    key: str
    context: str
    question: str
    options: tuple[str, str, str]
    answer: int

    @property
    def letter(self) -> str:
        """Letter of the right option."""
        return LETTERS[self.answer]

    @property
    def label(self) -> str:
        """The right option as the published set names it: ``1``, ``2`` or ``3``."""
        return str(self.answer + 1)
