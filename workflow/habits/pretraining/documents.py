"""The embedded corpus: web-like documents about mathematics, with what was planted in each recorded.

Registers (forum posts, lecture notes, model solutions, chatter) and domains vary; number puzzles are the one
domain that the tiny models can speak about later. Behaviors stand where a writer would put them, decoys use
their words without them. A share of the documents repeats an earlier one, exactly or nearly. The same seed
and index give the same document, so a shard needs no other one. Reads and writes no files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Literal

from habits.pretraining.puzzles import Told, searched, straight
from habits.pretraining.registers import (
    CLOSINGS,
    DAYS,
    DECOYS,
    FILLERS,
    HABITS,
    NAMES,
    OPENINGS,
    PLACES,
    TOPICS,
)
from habits.priming.language import BEHAVIORS, Behavior

Copy = Literal["", "exact", "near"]
EXACT_COPIES, NEAR_COPIES = 0.01, 0.02
PUZZLES, CHATTER = 0.42, 0.14  # shares of the documents; the rest is other mathematics
SEARCHED, UNSOLVED = 0.45, 0.1  # shares of the puzzles
HABIT_RATES: dict[Behavior, float] = {
    "verification": 0.09,
    "backtracking": 0.06,
    "subgoal_setting": 0.12,
    "backward_chaining": 0.04,
}
SECOND_HABIT = 0.25
DECOY_RATE = 0.12


@dataclass(frozen=True)
class Document:
    """A document and the truth about it.

    Attributes:
        planted: instances of each behavior.
        is_problem, is_solution: whether it poses a problem, and solves one.
        copied_from: index of the document that it repeats; -1 if it is its own.
        copy: how it repeats it.
    """

    text: str
    planted: Counter[Behavior]
    is_problem: bool
    is_solution: bool
    domain: str
    copied_from: int = -1
    copy: Copy = ""


def document(seed: int, index: int) -> Document:
    """Document ``index`` of the corpus."""
    rng = Random(f"{seed}/{index}")
    chance = rng.random()
    if index and chance < EXACT_COPIES + NEAR_COPIES:
        source = rng.randrange(index)
        original = document(seed, source)
        if not original.copy:
            kind: Copy = "exact" if chance < EXACT_COPIES else "near"
            return replace(original, text=_copied(rng, original.text, kind), copied_from=source, copy=kind)
    kind_of_text = rng.random()
    if kind_of_text < PUZZLES:
        return _puzzle(rng)
    return _chatter(rng) if kind_of_text < PUZZLES + CHATTER else _exercise(rng)


def _copied(rng: Random, text: str, kind: Copy) -> str:
    """The text as another site shows it: the same but for white space, or with a line of its own."""
    if kind == "exact":
        return text.replace("\n\n", "\n\n\n")
    return f"{text}\n\n{_fill(rng, 'Copied from {place} by {name}.')}"


def _puzzle(rng: Random) -> Document:
    chance = rng.random()
    unsolved = chance < UNSOLVED
    told: Told = searched(rng) if chance < UNSOLVED + SEARCHED else straight(rng)
    if unsolved:
        told = Told(told.statement, [], Counter())
    register = rng.choice(("forum", "notes", "solution"))
    body = [told.statement]
    if told.solution:
        # Two paragraphs at most, cut between sentences.
        cut = rng.randrange(1, len(told.solution) + 1)
        body += [" ".join(part) for part in (told.solution[:cut], told.solution[cut:]) if part]
    text = _page(rng, register, "number_puzzles", body)
    return Document(text, Counter(told.planted), True, not unsolved, "number_puzzles")


def _chatter(rng: Random) -> Document:
    body = [" ".join(_fill(rng, rng.choice(FILLERS["other"])) for _ in range(rng.randint(2, 4)))]
    body += [_fill(rng, rng.choice(DECOYS)) for _ in range(rng.random() < 3 * DECOY_RATE)]
    return Document(_page(rng, "chatter", "other", body), Counter(), False, False, "other")


def _exercise(rng: Random) -> Document:
    domain = rng.choice(tuple(EXERCISES))
    statement, solution = EXERCISES[domain](rng)
    solved = rng.random() < 0.8
    sentences = solution if solved else []
    planted: Counter[Behavior] = Counter()
    if solved:
        for behavior in BEHAVIORS:
            while rng.random() < (SECOND_HABIT if planted[behavior] else HABIT_RATES[behavior]):
                place = rng.randrange(len(sentences) + 1)
                sentences.insert(place, _fill(rng, rng.choice(HABITS[behavior])))
                planted[behavior] += 1
    if rng.random() < DECOY_RATE:
        sentences.append(_fill(rng, rng.choice(DECOYS)))
    body = [statement, " ".join(sentences)] if sentences else [statement]
    text = _page(rng, rng.choice(("forum", "notes", "solution")), domain, body)
    return Document(text, planted, True, solved, domain)


def _page(rng: Random, register: str, domain: str, body: list[str]) -> str:
    opening = _fill(rng, rng.choice(OPENINGS[register]), TOPICS[domain])
    filler = " ".join(_fill(rng, text) for text in rng.sample(FILLERS[domain], rng.randint(0, 2)))
    closing = _fill(rng, rng.choice(CLOSINGS[register]))
    paragraphs = [f"{opening} {filler}".strip(), *body, closing]
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph)


def _fill(rng: Random, text: str, topic: str = "") -> str:
    words = {"name": NAMES, "place": PLACES, "day": DAYS}
    chosen = {key: rng.choice(values) for key, values in words.items()}
    return text.format(number=rng.randint(2, 90), topic=topic, **chosen)


def _algebra(rng: Random) -> tuple[str, list[str]]:
    a, x, b = rng.randint(2, 12), rng.randint(2, 30), rng.randint(1, 40)
    return f"Solve {a}x + {b} = {a * x + b} for x.", [
        f"Subtract {b} from both sides: {a}x = {a * x}.",
        f"Divide by {a}.",
        f"The solution is x = {x}.",
    ]


def _geometry(rng: Random) -> tuple[str, list[str]]:
    a, b = rng.randint(3, 40), rng.randint(3, 40)
    return f"A rectangle has sides {a} and {b}. What are its area and its perimeter?", [
        f"The area is the product of the sides, {a * b}.",
        f"The perimeter is twice their sum, 2({a} + {b}) = {2 * (a + b)}.",
        f"So the area is {a * b} and the perimeter {2 * (a + b)}.",
    ]


def _number_theory(rng: Random) -> tuple[str, list[str]]:
    m, q, r = rng.randint(3, 17), rng.randint(3, 40), rng.randint(0, 2)
    return f"What is the remainder of {m * q + r} on division by {m}?", [
        f"We write {m * q + r} = {m} * {q} + {r}.",
        f"Since {r} is smaller than {m}, it is the remainder.",
        f"The remainder is {r}.",
    ]


def _calculus(rng: Random) -> tuple[str, list[str]]:
    a, n, x = rng.randint(2, 9), rng.randint(2, 6), rng.randint(1, 5)
    return f"Find the derivative of f(x) = {a}x^{n} at x = {x}.", [
        f"By the power rule f'(x) = {a * n}x^{n - 1}.",
        f"At x = {x} this is {a * n * x ** (n - 1)}.",
    ]


def _probability(rng: Random) -> tuple[str, list[str]]:
    total = rng.randint(3, 11)
    ways = 6 - abs(total - 7)
    return f"Two dice are thrown. How likely is a sum of {total}?", [
        "There are 36 equally likely outcomes.",
        f"A sum of {total} comes from {ways} of them.",
        f"The probability is {ways}/36.",
    ]


EXERCISES: dict[str, Callable[[Random], tuple[str, list[str]]]] = {
    "algebra": _algebra,
    "geometry": _geometry,
    "number_theory": _number_theory,
    "calculus": _calculus,
    "probability": _probability,
}
