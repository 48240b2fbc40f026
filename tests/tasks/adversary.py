"""Hostile and half-right Countdown responses from a seeded grammar, and an independent judge of them.

The judge shares no code with the reward: it reads tags by regular expressions and answers by Python's
``ast`` and ``Fraction``. Where the two differ, one of them is wrong.
"""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from habits.tasks.countdown import Problem, solutions

PROBLEMS = [
    Problem((14, 7, 3), 21),
    Problem((2, 5, 10), 25),
    Problem((2, 5), 32),
    Problem((7, 2), 9),
    Problem((8, 3, 8, 3), 24),
    Problem((1, 1, 1, 1), 4),
    Problem((99, 98, 97), 98),
    Problem((4, 6, 1, 25), 26),
    Problem((10, 5, 5), 10),
    Problem((1, 2, 3, 4, 5), 30),
]
HOSTILE = [
    "**", "//", ".", "!", "^", "%", "=", "= 24", "×", "÷", "−", "·", "２", "٣", "²", "½", "x", "e3", "0x1f",
    "1_0", "05", "0", "-", "+", "--", "(", ")", "()", "((", "))", "[", "{", ",", ";", ":", "# c", "'", '"',
    "\n", "\r\n", "\t", "\u00a0", "\u2003", "\x00", "\x0b", "\x0c", "\u200b", "\ud800", "\\", "abs", "<", ">",
    "factorial(4)", "lambda: 1", "__import__('os')", "99999999999999999999", "9**9**9**9", "<answer>", "/0",
    "</answer>", "</answer", "<ANSWER>", "<think>", "</think>", "&", "|", "~", "@", "if", "True", "1e308",
    "/ (1 - 1)",
]  # fmt: skip
FRAMES = [
    " {t} </think> <answer> {a} </answer>",
    " {t} </think>\n<answer>{a}</answer>\n",
    " {t} </think>\n<answer>\n{a}\n</answer>",
    " {t} <answer> {a} </answer>",
    "<answer>{a}</answer>",
    " {t} </think> {a}",
    " {t} </think> <answer> {a}",
    " {t} </think> {a} </answer>",
    " {t} </think> <answer> {a} </answer> {t}",
    " {t} </think> <answer> {b} </answer> <answer> {a} </answer>",
    " {t} </think> <answer> {a} </answer> <answer> {a} </answer>",
    " <answer> {a} </answer> </think> <answer> {b} </answer>",
    " <answer> {a} </answer> </think> {t}",
    " {t} </think> {t} </think> <answer> {a} </answer>",
    " {t} </think> <answer> <answer> {a} </answer> </answer>",
    " {t} </think> </answer> <answer> {a} </answer>",
    " {t} </think> <answer> {a} </think> {b} </answer>",
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
        self.gold = {p: [s.expression for s in solutions(p, integer_only=False)] for p in PROBLEMS}

    def case(self) -> Case:
        """One case: an answer of some kind, in a frame of some kind, sometimes damaged as a whole."""
        rng = self.rng
        problem = rng.choice(PROBLEMS)
        thought = rng.choice(["", "14 - 7 = 7 ;", "so", self._answer(problem)])
        text = rng.choice(FRAMES).format(t=thought, a=self._answer(problem), b=self._answer(problem))
        if rng.random() < 0.1:
            text = self._mutated(text)
        return Case(text, problem, rng.random() < 0.8)

    def _answer(self, problem: Problem) -> str:
        kinds: list[Callable[[Problem], str]] = [
            self._gold,
            self._edited,
            self._grown,
            self._soup,
            self._bomb,
        ]
        return self.rng.choices(kinds, weights=[3, 4, 3, 1, 0.3])[0](problem)

    def _gold(self, problem: Problem) -> str:
        texts = self.gold[problem]
        text = self.rng.choice(texts) if texts else " + ".join(map(str, problem.numbers))
        return self._respaced(text)

    def _edited(self, problem: Problem) -> str:
        text = self._gold(problem)
        for _ in range(self.rng.randint(1, 3)):
            text = self._mutated(text)
        return text

    def _grown(self, problem: Problem) -> str:
        """A random expression, mostly over the right numbers."""
        rng = self.rng
        numbers = [str(n) for n in problem.numbers]
        rng.shuffle(numbers)
        if rng.random() < 0.2:
            numbers[rng.randrange(len(numbers))] = str(rng.choice([0, 1, 24, 100, problem.target]))
        while len(numbers) > 1:
            i = rng.randrange(len(numbers) - 1)
            joined = f"{numbers[i]} {rng.choice('+-*/')} {numbers[i + 1]}"
            numbers[i : i + 2] = [f"({joined})" if rng.random() < 0.7 else joined]
        return self._respaced(numbers[0])

    def _soup(self, problem: Problem) -> str:
        pieces = [*map(str, problem.numbers), *"+-*/()", *self.rng.sample(HOSTILE, 3)]
        return self.rng.choice(["", " "]).join(self.rng.choices(pieces, k=self.rng.randint(1, 14)))

    def _bomb(self, problem: Problem) -> str:
        """Something that is long, deep or large."""
        rng = self.rng
        n = rng.choice([10, 60, 300, 3000])
        gold = self._gold(problem)
        bombs = [
            "(" * n + gold + ")" * n,
            "(" * n,
            " + ".join(["9"] * n),
            "/".join(["7"] * n),
            "**".join(["9"] * n),
            "9" * n,
            " " * n + gold,
            "<answer>" * n,
            f"<answer>{gold}</answer>" * n,
            "</think>" * n,
            "<answer>" * n + "</answer>" * n,
        ]
        return rng.choice(bombs)

    def _mutated(self, text: str) -> str:
        rng = self.rng
        i = rng.randint(0, len(text))
        j = min(len(text), i + rng.randint(0, 3))
        edits = [
            text[:i] + rng.choice(HOSTILE) + text[i:],
            text[:i] + rng.choice(HOSTILE) + text[j:],
            text[:i] + text[j:],
            text[:i] + text[i:j] * 2 + text[j:],
            text[:i] + rng.choice("0123456789+-*/() ") + text[i:],
            text.replace(" ", ""),
            text.replace("*", "**", 1),
            text.replace("/", "//", 1),
        ]
        return rng.choice(edits)

    def _respaced(self, text: str) -> str:
        return text.replace(" ", self.rng.choice([" ", "", "  ", " ", "\t", "\n"]))


def judge(case: Case) -> str:
    """The reason that the reward should give."""
    region = re.split("</think>", case.response)[-1]
    blocks = re.findall("<answer>(.*?)</answer>", region, re.DOTALL)
    if not blocks:
        return "no_answer" if case.stopped else "truncated"
    if len(blocks) > 8 or len({tuple(re.findall(r"[0-9]+|[^0-9 \t\r\n]", block)) for block in blocks}) > 1:
        return "unparsable"
    try:
        tree = ast.parse(_plain(blocks[0]), mode="eval").body
        numbers: list[int] = []
        value = _value(tree, numbers)
    except (SyntaxError, ValueError, ZeroDivisionError, MemoryError, RecursionError):
        return "unparsable"
    if sorted(numbers) != sorted(case.problem.numbers):
        return "wrong_numbers"
    return "correct" if value == case.problem.target else "wrong_value"


def _plain(block: str) -> str:
    """The answer on one line; ValueError for what the reward's documentation rules out by its spelling."""
    text = re.sub("[ \t\r\n]+", " ", block).strip(" ")
    if len(block.strip(" \t\r\n")) > 256 or re.search(r"[^0-9+\-*/() ]", text):
        raise ValueError("too long, or a character that is not allowed")
    if re.search(r"\*\s*\*|/\s*/", text) or re.search(r"(?<![0-9])0[0-9]|[0-9]{10}", text):
        raise ValueError("a double operator, a leading zero or a long number")
    return text


def _value(node: ast.expr, numbers: list[int]) -> Fraction:
    if isinstance(node, ast.Constant) and type(node.value) is int:
        numbers.append(node.value)
        return Fraction(node.value)
    if not isinstance(node, ast.BinOp):
        raise ValueError(f"{type(node).__name__} is no number and no operation")
    left, right = _value(node.left, numbers), _value(node.right, numbers)
    if isinstance(node.op, ast.Add):
        return left + right
    if isinstance(node.op, ast.Sub):
        return left - right
    if isinstance(node.op, ast.Mult):
        return left * right
    if isinstance(node.op, ast.Div):
        return left / right
    raise ValueError(f"{type(node.op).__name__} is not allowed")
