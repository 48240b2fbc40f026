"""Rewritten rows: question, thought and answer of a document, and the checks that a row has to pass.

Reads and writes no files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from habits.behaviors.oracle import count_behaviors_in
from habits.pretraining.cues import find_behaviors
from habits.priming.controls import KNOWN_WORDS
from habits.priming.language import BEHAVIORS, THINK_END, Behavior, response_of
from habits.priming.traces import LANGUAGES
from habits.tasks.countdown import TEMPLATES, Problem, grade

Set = Literal["pretraining_curated", "pretraining_negative"]
CURATED, NEGATIVE = SETS = ("pretraining_curated", "pretraining_negative")
QUESTION = (
    "The following is a conversation between User and Assistant. User asks a question and Assistant "
    "answers it, first reasoning it through and then stating the answer.\n"
    "User: {question} Show your work inside <think> </think> tags. Then give the final answer inside "
    "<answer> </answer> tags.\n"
    "Assistant: I will work through this step by step.\n"
    "<think>"
)
SCHEMA = pa.schema(
    [
        ("row", pa.string()),
        ("pair", pa.int64()),
        ("set", pa.string()),
        ("corpus", pa.string()),
        ("document", pa.int64()),
        ("domain", pa.string()),
        ("question", pa.string()),
        ("prompt", pa.string()),
        ("response", pa.string()),
        ("numbers", pa.list_(pa.int64())),
        ("target", pa.int64()),
        ("verdict", pa.string()),
        ("n_tokens", pa.int64()),
        *((f"labelled_{behavior}", pa.int64()) for behavior in BEHAVIORS),
        *((behavior, pa.int64()) for behavior in BEHAVIORS),
        ("rewriter", pa.string()),
        ("reply", pa.string()),
    ]
)


@dataclass(frozen=True)
class Origin:
    """The document that a row is made from.

    Attributes:
        labelled: instances of each behavior that the labels say.
    """

    corpus: str
    document: int
    domain: str
    text: str
    labelled: Mapping[Behavior, int]


@dataclass(frozen=True)
class Row:
    """A row, or why there is none.

    Attributes:
        status: ``ok``, or the first check that failed.
        problem: of a number puzzle; else None.
        counts: instances of each behavior in the thought, counted again after the rewrite.
        verdict: the reward's reason for a number puzzle; else ``not_graded``.
    """

    origin: Origin
    status: str
    question: str = ""
    prompt: str = ""
    response: str = ""
    problem: Problem | None = None
    n_tokens: int = 0
    counts: Mapping[Behavior, int] | None = None
    verdict: str = ""
    reply: str = ""

    def record(self, name: str, pair: int, rewriter: str) -> dict[str, Any]:
        """The row in the columns of ``SCHEMA``."""
        origin, counts = self.origin, self.counts or {}
        return {
            "row": f"{name}/{origin.corpus}/{origin.document}",
            "pair": pair,
            "set": name,
            "corpus": origin.corpus,
            "document": origin.document,
            "domain": origin.domain,
            "question": self.question,
            "prompt": self.prompt,
            "response": self.response,
            "numbers": list(self.problem.numbers) if self.problem else [],
            "target": self.problem.target if self.problem else 0,
            "verdict": self.verdict,
            "n_tokens": self.n_tokens,
            **{f"labelled_{behavior}": origin.labelled[behavior] for behavior in BEHAVIORS},
            **{behavior: counts.get(behavior, 0) for behavior in BEHAVIORS},
            "rewriter": rewriter,
            "reply": self.reply,
        }


@dataclass(frozen=True)
class Checks:
    """What a row of a set has to be.

    Attributes:
        name: the set.
        template: the prompt template of the models that will read it.
        max_tokens: longest response.
        forbidden: sorted numbers of the evaluation problems, which no row may have.
    """

    name: str
    template: str
    max_tokens: int
    forbidden: frozenset[tuple[int, ...]]

    def row(
        self,
        origin: Origin,
        question: str,
        thought: str,
        answer: str,
        problem: Problem | None,
        reply: str = "",
    ) -> Row:
        """The row of a document with the status that it earns."""
        if self.template == "short" and problem is not None:
            prompt, response = TEMPLATES["short"].render(problem), response_of(thought, answer)
            if not KNOWN_WORDS.issuperset(f"{prompt} {response}".split()):
                return Row(origin, "unknown_words", reply=reply)
        else:
            prompt = QUESTION.format(question=question)
            response = f" {thought} {THINK_END}\n<answer> {answer} </answer>"
        tokens = LANGUAGES[self.template].count(response)
        counts = _counts(thought, problem)
        status = self._status(origin, answer, problem, tokens, sum(counts.values()))
        verdict = grade(response, problem).reason if problem else "not_graded"
        return Row(origin, status, question, prompt, response, problem, tokens, counts, verdict, reply)

    def _status(self, origin: Origin, answer: str, problem: Problem | None, tokens: int, shown: int) -> str:
        if tokens > self.max_tokens:
            return "too_long"
        if not grounded(answer, origin.text):
            return "ungrounded"
        if self.name == CURATED and not shown:
            return "behaviors_lost"
        if self.name == NEGATIVE and shown:
            return "behaviors_shown"
        if problem is not None and tuple(sorted(problem.numbers)) in self.forbidden:
            return "leaked"
        return "ok"


def _counts(thought: str, problem: Problem | None) -> dict[Behavior, int]:
    """The oracle's counts in the thought about a puzzle, those of the rules in any other."""
    if problem is not None:
        return count_behaviors_in(thought, problem.numbers, problem.target).counts
    return {behavior: len(found) for behavior, found in find_behaviors(thought).items()}


def grounded(answer: str, text: str) -> bool:
    """Whether an answer says nothing that the text does not: its numbers, or else its words, stand there."""
    numbers = re.findall(r"\d+", answer)
    if numbers:
        return set(numbers) <= set(re.findall(r"\d+", text))
    return bool(answer.strip()) and " ".join(answer.lower().split()) in " ".join(text.lower().split())
