"""Prompts of maths problems: with worked examples or without, as plain text or by the model's chat template.

Zero-shot prompts ask for ``\\boxed{}``. With worked examples, these alone show the form ("The final answer is
...") and no instruction is put on top. The examples are this project's own. No files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from habits.tasks.maths.problem import Language, Problem
from habits.tasks.maths.word_problems import PROMPT


class PromptError(ValueError):
    """A prompt that was asked for does not exist; the message says what does."""


class ChatTokenizer(Protocol):
    """What a chat prompt needs of a tokenizer: transformers' ``apply_chat_template``."""

    def apply_chat_template(self, conversation: list[dict[str, str]], **options: Any) -> Any:
        """The conversation in the model's own format."""


@dataclass(frozen=True)
class Example:
    """A worked example."""

    question: str
    reasoning: str
    answer: str


@dataclass(frozen=True)
class Words:
    """How a language asks and answers: formats of question and answer, and the zero-shot instruction."""

    question: str
    lead: str
    final: str
    instruction: str
    stop: str
    examples: tuple[Example, ...]


ENGLISH = (
    Example(
        "A ticket costs $12, and a child pays half. What do two adults and three children pay together?",
        "A child pays 12 / 2 = 6 dollars. Two adults pay 2 * 12 = 24 dollars, three children 3 * 6 = 18 "
        "dollars. Together that is 24 + 18 = 42 dollars.",
        "42",
    ),
    Example(
        "If $3x + 5 = 20$, what is $x^2$?",
        "From $3x = 15$ follows $x = 5$, so $x^2 = 25$.",
        "25",
    ),
    Example(
        "A tank is two thirds full. After a quarter of its content is used, what part of the tank is full?",
        "Three quarters of the content are left: $\\frac{3}{4} \\cdot \\frac{2}{3} = \\frac{1}{2}$.",
        "$\\frac{1}{2}$",
    ),
    Example(
        "Lena reads 15 pages on each of the five weekdays and 30 pages on each day of the weekend. In how "
        "many weeks does she read 1,080 pages?",
        "In a week she reads 5 * 15 + 2 * 30 = 135 pages. 1,080 / 135 = 8.",
        "8",
    ),
)
CHINESE = (
    Example(
        "书架上有3层书，每层28本，借走了19本，还剩多少本？", "一共有 3×28=84 本，还剩 84-19=65 本。", "65"
    ),
    Example("一根绳子长12米，剪去它的四分之一，还剩多少米？", "剪去 12×1/4=3 米，还剩 12-3=9 米。", "9"),
    Example(
        "甲每小时走5千米，乙每小时走4千米，两人相距27千米，相向而行，几小时相遇？",
        "两人每小时一共走 5+4=9 千米，27÷9=3。",
        "3",
    ),
    Example("一件衣服原价80元，打七五折后是多少元？", "打七五折就是乘以 0.75，80×0.75=60。", "60"),
)
WORDS: dict[Language, Words] = {
    "en": Words(
        "Question: {text}\n",
        "Answer:",
        " {reasoning} The final answer is {answer}.",
        "Solve the problem step by step. Put the final answer into \\boxed{}.",
        "\nQuestion:",
        ENGLISH,
    ),
    "zh": Words(
        "问题：{text}\n",
        "解答：",
        "{reasoning}答案是{answer}。",
        "请一步一步地解题，最后把答案写在 \\boxed{} 里。",
        "\n问题：",
        CHINESE,
    ),
}
MOST_SHOTS = len(ENGLISH)


@dataclass(frozen=True)
class Style:
    """How problems are put to a model.

    Args:
        shots: worked examples before the problem, 0 to `MOST_SHOTS`.
        chat_template: the tokenizer's own format for conversations, in place of plain text.
    """

    shots: int = 0
    chat_template: bool = False

    def render(self, problem: Problem, tokenizer: ChatTokenizer | None = None) -> str:
        """The prompt of a problem.

        Raises:
            PromptError: the tiny models' problems in another style than plain, too many shots, or a chat
                prompt from a tokenizer without a chat template.
        """
        if problem.language == "short":
            if self != Style():
                raise PromptError("the tiny models have one prompt: shots: 0, chat_template: false")
            return PROMPT.format(question=problem.question)
        if self.shots > MOST_SHOTS:
            raise PromptError(f"shots is {self.shots}; there are {MOST_SHOTS} worked examples")
        words = WORDS[problem.language]
        if self.chat_template:
            return _chat(self._messages(problem, words), tokenizer)
        if not self.shots:
            return words.question.format(text=f"{problem.question}\n{words.instruction}") + words.lead
        asked = words.question.format(text=problem.question) + words.lead
        return "".join(_worked(example, words) + "\n\n" for example in words.examples[: self.shots]) + asked

    def stops(self, language: Language) -> tuple[str, ...]:
        """Texts at which a response ends: after examples, a model goes on with a question of its own."""
        return () if language == "short" or self.chat_template else (WORDS[language].stop,)

    def _messages(self, problem: Problem, words: Words) -> list[dict[str, str]]:
        messages = []
        for example in words.examples[: self.shots]:
            answer = words.final.format(reasoning=example.reasoning, answer=example.answer).strip()
            messages += [
                {"role": "user", "content": example.question},
                {"role": "assistant", "content": answer},
            ]
        asked = problem.question if self.shots else f"{problem.question}\n{words.instruction}"
        return [*messages, {"role": "user", "content": asked}]


def _worked(example: Example, words: Words) -> str:
    asked = words.question.format(text=example.question) + words.lead
    return asked + words.final.format(reasoning=example.reasoning, answer=example.answer)


def _chat(messages: list[dict[str, str]], tokenizer: ChatTokenizer | None) -> str:
    if tokenizer is None or not getattr(tokenizer, "chat_template", None):
        raise PromptError("chat_template: true, but the model's tokenizer has no chat template")
    return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
