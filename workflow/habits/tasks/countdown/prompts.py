"""Prompt templates of Countdown, a registry by name, and the gold response that goes with each.

``paper_base`` asks a real base model for what the paper's base prompt asks for, in our own words.
``short`` is the one of the tiny models, whose vocabulary has some forty words and the integers.
Both end in an opened ``<think>``, so that a response starts inside the thought.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from habits.tasks.countdown.arithmetic import Problem

PAPER_BASE = (
    "The following is a conversation between User and Assistant. User poses a problem and Assistant "
    "solves it, first reasoning it through and then stating the answer.\n"
    "User: With the numbers [{numbers}], write an equation that equals {target}. Use only the basic "
    "arithmetic operations (+, -, *, /), and use each number exactly once. Show your work inside "
    "<think> </think> tags. Then give the final answer inside <answer> </answer> tags, as in "
    "<answer> (1 + 2) / 3 </answer>.\n"
    "Assistant: I will work through this step by step.\n"
    "<think>"
)
SHORT = "nums {numbers} target {target} <think>"


@dataclass(frozen=True)
class PromptTemplate:
    """How a problem is shown to a model.

    Args:
        name: its key in ``TEMPLATES``.
        text: the prompt with places for ``numbers`` and ``target``.
        separator: what stands between two numbers.
        gold: text of a response whose answer is the expression it is given.
    """

    name: str
    text: str
    separator: str
    gold: Callable[[str], str]

    def render(self, problem: Problem, shuffled_numbers: Sequence[int] | None = None) -> str:
        """The prompt of ``problem``, with ``shuffled_numbers`` in place of the problem's own order."""
        numbers = problem.numbers if shuffled_numbers is None else tuple(shuffled_numbers)
        if sorted(numbers) != sorted(problem.numbers):
            raise ValueError(f"shuffled_numbers {list(numbers)} are not the numbers of {problem.key}")
        return self.text.format(numbers=self.separator.join(map(str, numbers)), target=problem.target)

    def gold_response(self, expression: str) -> str:
        """What a model that knows the answer would write after the prompt, without end-of-text token."""
        return self.gold(expression)


def _gold_short(expression: str) -> str:
    return f" </think> <answer> {expression} </answer>"


def _gold_paper(expression: str) -> str:
    return f" The answer follows. </think>\n<answer> {expression} </answer>"


TEMPLATES: dict[str, PromptTemplate] = {
    template.name: template
    for template in (
        PromptTemplate("paper_base", PAPER_BASE, ", ", _gold_paper),
        PromptTemplate("short", SHORT, " ", _gold_short),
    )
}
