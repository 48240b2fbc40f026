"""Hostile and half-right Social IQa responses from a seeded grammar, and an independent judge of them.

The judge shares no code with the reward: it reads a response by one regular expression a rule. Where the two
differ, one of them is wrong.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from habits.tasks.social_iqa import Problem

OPTIONS = ("make a plan", "Go home and see (B) Riley.", "to be a (C) good friend")
PROBLEMS = [
    Problem(f"p{answer}", "Tracy stayed away.", "What will Tracy want to do next?", OPTIONS, answer)
    for answer in range(3)
]
HOSTILE = [
    "(A)", "(B)", "(C)", "(D)", "(a)", "(b)", "(c)", "A", "B", "C", "a", "b", "( A )", "(AB)", "(1)", "((A))",
    "[A]", "（A）", "(А)", "(Ａ)", "A)", "(A", "(B", ")", "(", "or maybe", "and", ",", ".", ":", "-", "\n",
    "\r\n", "\t", "\u00a0", "\u2003", "\u200b", "\x00", "\x0b", "\x0c", "\ud800", "<think>", "</think>",
    "<answer>",
    "</answer>", "</answer", "<ANSWER>", "<|im_end|>", "<|eot_id|>", "</s>", "<|endoftext|>", "Assistant:",
    "<|im_start|>assistant", "\\", "'", '"', "{}", "%s", "make a plan", "Go home", "None", "1", "2", "3",
    "ſ", "İ",
]  # fmt: skip
FRAMES = [
    " {t} </think> <answer> {a} </answer>",
    " {t} </think>\n<answer>{a}</answer>\n",
    " {t} </think>\n\n<answer>\n{a}\n</answer><|im_end|>",
    " {t} </think> <answer> {a} </answer><|eot_id|><|eot_id|>",
    " {t} <answer> {a} </answer>",
    "<answer>{a}</answer>",
    " {t} </think> {a}",
    " {t} </think> <answer> {a}",
    " {t} </think> {a} </answer>",
    " {t} </think> so <answer> {a} </answer>",
    " {t} </think> <answer> {a} </answer> {t}",
    " {t} </think> <answer> {b} </answer> <answer> {a} </answer>",
    " {t} </think> <answer> {a} </answer> <answer> {a} </answer>",
    " <answer> {a} </answer> </think> <answer> {b} </answer>",
    " <answer> {a} </answer> </think> {t}",
    " {t} </think> {t} </think> <answer> {a} </answer>",
    " {t} </think> <answer> <answer> {a} </answer> </answer>",
    " <think> {t} </think> <answer> {a} </answer>",
    "{a}",
    "",
]


@dataclass(frozen=True)
class Case:
    """One response, the problem it is graded against, and whether it was cut off."""

    response: str
    problem: Problem
    stopped: bool


class Adversary:
    """An endless source of cases, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def case(self) -> Case:
        """One case: an answer of some kind, in a frame of some kind, sometimes damaged as a whole."""
        rng = self.rng
        problem = rng.choice(PROBLEMS)
        thought = rng.choice(["", " ", ".", "Tracy wants company.", "Assistant: no", "(A) or (B)", "\u200b"])
        text = rng.choice(FRAMES).format(t=thought, a=self._answer(problem), b=self._answer(problem))
        if rng.random() < 0.15:
            text = self._mutated(text)
        return Case(text, problem, rng.random() < 0.8)

    def _answer(self, problem: Problem) -> str:
        rng = self.rng
        letter = rng.choice("ABC")
        text = problem.options["ABC".index(letter)]
        kinds = [
            f"({letter})",
            f"({letter.lower()})",
            f"({letter}) {text}",
            f"({letter}): {text.upper()}.",
            f"({letter}) {rng.choice(problem.options)}",
            f"({letter}) {rng.choice(HOSTILE)}",
            " ".join(rng.choices(HOSTILE, k=rng.randint(1, 5))),
            self._mutated(f"({letter}) {text}"),
            self._bomb(letter),
        ]
        return rng.choices(kinds, weights=[4, 2, 2, 1, 1, 2, 2, 2, 0.3])[0]

    def _bomb(self, letter: str) -> str:
        """Something long."""
        n = self.rng.choice([10, 300, 3000])
        bombs = [
            "(" * n,
            f"({letter})" * n,
            f"({letter})" + " " * n,
            f"({letter})" + "." * n,
            " " * n + f"({letter})",
            "<answer>" * n,
            f"<answer>({letter})</answer>" * n,
            "</think>" * n,
            "<think>" * n,
        ]
        return self.rng.choice(bombs)

    def _mutated(self, text: str) -> str:
        rng = self.rng
        i = rng.randint(0, len(text))
        j = min(len(text), i + rng.randint(0, 4))
        edits = [
            text[:i] + rng.choice(HOSTILE) + text[i:],
            text[:i] + rng.choice(HOSTILE) + text[j:],
            text[:i] + text[j:],
            text[:i] + text[i:j] * 2 + text[j:],
            text.replace(" ", ""),
            text.swapcase(),
        ]
        return rng.choice(edits)


@dataclass(frozen=True)
class Judgement:
    """The reason that the reward should give, and whether the format is kept."""

    reason: str
    format_ok: bool


def judge(case: Case) -> Judgement:
    """What the reward should say."""
    text = case.response
    tidy = re.fullmatch(
        r"(.*?)</think>[ \t\r\n]*<answer>(.*?)</answer>[ \t\r\n]*"
        r"(<\|endoftext\|>|<\|im_end\|>|<\|eot_id\|>|<\|end_of_text\|>|</s>)?[ \t\r\n]*",
        text,
        re.DOTALL,
    )
    tags = re.findall(r"</?(?:think|answer)>", text)
    format_ok = (
        bool(tidy) and tags == ["</think>", "<answer>", "</answer>"] and bool(re.search(r"[^\W_]", tidy[1]))
    )
    *thoughts, region = re.split("</think>", text)
    blocks = re.findall("<answer>(.*?)</answer>", region, re.DOTALL) if thoughts else []
    if not blocks:
        return Judgement("no_answer" if case.stopped else "truncated", False)
    named = {_named(block, case.problem) for block in blocks}
    if len(blocks) > 8 or len(named) > 1 or None in named:
        return Judgement("unparsable", format_ok)
    right = "abc"[case.problem.answer]
    return Judgement("correct" if named == {right} else "wrong_option", format_ok)


def _named(block: str, problem: Problem) -> str | None:
    """The letter that a block names in lower case; None when it names none or says more."""
    for letter, option in zip("abc", problem.options, strict=True):
        wanted = r"\s+".join(map(re.escape, re.sub(r"^[\s.:,-]+|[\s.:,-]+$", "", option.lower()).split()))
        head = re.match(rf"[ \t\r\n]*\(([{letter}{letter.upper()}])\)", block)
        if head and re.fullmatch(rf"[\s.:,-]*(?:{wanted})?[\s.:,-]*", block[head.end() :].lower()):
            return letter
    return None
