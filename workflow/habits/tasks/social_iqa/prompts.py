"""Prompt templates of Social IQa, a registry by name, and the gold response that goes with each.

``base`` is plain text for base models. ``chat`` is a system and a user message which the model's own
tokenizer turns into text (ChatML for Qwen, headers for Llama): no chat format is written by hand here.
``short`` is the one of the tiny models: a sentence, a question or an option with its letter is one word. All
end in an opened ``<think>``, so that a response starts inside the thought. Reads and writes no files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from habits.tasks.social_iqa.problem import LETTERS, Problem

THINK = "<think>"
TASK = (
    "reads about a social situation, thinks about what the people in it want, feel and know, and then "
    "selects the one option that answers the question. The reasoning stands inside <think> </think> tags. "
    "After it, the letter of the selected option stands in parentheses inside <answer> </answer> tags: "
    "<answer> (X) </answer>, with A, B or C in place of X"
)
BASE = (
    "The following is a conversation between User and Assistant. User asks a multiple-choice question. "
    "Assistant {task}.\nUser: {question}\nAssistant: {think}"
)
SYSTEM = "You are an assistant who {task}."
QUESTION = 'Situation: "{context}"\nQuestion: "{question}"\nOptions: {options}'
SHORT = "story {context} . question {question} ? options {options} {think}"
# Llama's chat template writes today's date into the prompt unless it is given one (its own fallback).
CHAT_DATE = "26 Jul 2024"


class ChatTokenizer(Protocol):
    """What a chat prompt needs of a tokenizer: transformers' ``apply_chat_template``."""

    def apply_chat_template(self, conversation: list[dict[str, str]], **options: Any) -> Any:
        """The conversation in the model's own format."""


@dataclass(frozen=True)
class PromptTemplate:
    """How a problem is shown to a model.

    Args:
        name: its key in ``TEMPLATES``.
        messages: the prompt as messages of a conversation; one user message where the text is complete.
        is_chat: whether a tokenizer's chat template makes the text.
        gold: what a model that knows the answer would write after the prompt.
    """

    name: str
    messages: Callable[[Problem], list[dict[str, str]]]
    is_chat: bool
    gold: Callable[[Problem], str]

    def render(self, problem: Problem, tokenizer: ChatTokenizer | None = None) -> str:
        """The prompt of ``problem`` as text, special tokens of a chat format included.

        Raises:
            ValueError: a chat template, and no tokenizer that has one.
        """
        if not self.is_chat:
            return self.messages(problem)[0]["content"]
        if tokenizer is None or not getattr(tokenizer, "chat_template", None):
            raise ValueError(f"prompt template {self.name!r} needs a tokenizer with a chat template")
        text = tokenizer.apply_chat_template(
            self.messages(problem), tokenize=False, add_generation_prompt=True, date_string=CHAT_DATE
        )
        return f"{text}{THINK}"

    def gold_response(self, problem: Problem) -> str:
        """What a model that knows the answer would write after the prompt, without end-of-text token."""
        return self.gold(problem)


def as_word(text: str) -> str:
    """A sentence, question or option as one word of the tiny models: ``Kai_had_to_wash_the_car``."""
    return text.strip(" .?").replace(" ", "_")


def lettered(letter: str, option: str) -> str:
    """An option with its letter as one word of the tiny models."""
    return as_word(f"({letter}) {option}")


def _question(problem: Problem) -> str:
    options = ", ".join(f"({x}) {text}" for x, text in zip(LETTERS, problem.options, strict=True))
    return QUESTION.format(context=problem.context, question=problem.question, options=options)


def _base(problem: Problem) -> list[dict[str, str]]:
    return [_user(BASE.format(task=TASK, question=_question(problem), think=THINK))]


def _chat(problem: Problem) -> list[dict[str, str]]:
    return [{"role": "system", "content": SYSTEM.format(task=TASK)}, _user(_question(problem))]


def _short(problem: Problem) -> list[dict[str, str]]:
    context = " . ".join(as_word(sentence) for sentence in problem.context.strip(" .").split(". "))
    options = " ".join(lettered(x, text) for x, text in zip(LETTERS, problem.options, strict=True))
    parts = {"context": context, "question": as_word(problem.question), "options": options}
    return [_user(SHORT.format(**parts, think=THINK))]


def _user(content: str) -> dict[str, str]:
    return {"role": "user", "content": content}


def _gold(problem: Problem) -> str:
    return f" It is option {problem.letter}. </think>\n<answer> ({problem.letter}) </answer>"


def _gold_short(problem: Problem) -> str:
    named = lettered(problem.letter, problem.options[problem.answer])
    return f" so {named} . </think> <answer> ({problem.letter}) </answer>"


TEMPLATES: dict[str, PromptTemplate] = {
    template.name: template
    for template in (
        PromptTemplate("base", _base, False, _gold),
        PromptTemplate("chat", _chat, True, _gold),
        PromptTemplate("short", _short, False, _gold_short),
    )
}
