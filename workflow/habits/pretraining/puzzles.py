"""Number puzzles in words: a puzzle, and what somebody writes who solves it with or without the four
behaviors.

The search is the symbolic teacher's, told in English sentence by sentence. A solution without behaviors is a
path of operations, told the same way. Reads and writes no files.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from random import Random

from habits.priming.language import THINK_END, Behavior, Trace
from habits.priming.prose import CLAUSE
from habits.priming.teacher import Limits, Recipe, write_trace
from habits.tasks.countdown import Problem, Step, expression_of, moves

LARGEST_NUMBER, LARGEST_RESULT = 20, 100
OPERANDS = (3, 3, 3, 3, 4)
RESTATED_MOST = 7  # equations that a straight path says again, which makes it as long as a search
LONGEST, SHORTEST_SEARCH = 66, 8  # words of the trace language
TRIES_TO_SOLVE = 4
WRONG = 0.15  # share of straight paths that miss the target
STATEMENTS = (
    "Use the numbers {numbers} to make {target}.",
    "Given {numbers}. Target: {target}.",
    "From {numbers} one should get {target}.",
    "How can you reach {target} with {numbers}?",
    "The numbers are {numbers} and the target is {target}.",
)
FIRST = ("Take {0}.", "I compute {0}.", "We have {0}.", "{0}.")
AGAIN = ("In other words, {0}.", "Put differently, {0}.", "To repeat, {0}.")
STEPS = ("Then {0}.", "Next, {0}.", "{0}.", "After that, {0}.", "This gives {0}.")
HIT = ("That is {0}, as wanted.", "Check: this is exactly {0}.", "And that equals {0}, so it works.")
MISS = ("That is not {0}.", "Checking against {0}: no.", "This misses {0}.", "Not equal to {0}.")
BACK = ("Let me undo the last step.", "I go back one step.", "Scrap that last step.")
RESTART = ("Let me start over.", "Back to the given numbers.", "Wait, begin again from {numbers}.")
GOAL = ("First I want to make {0}.", "Let's aim for {0} first.", "An intermediate goal is {0}.")
NEED = ("Working backwards, {0} gives {1}, so I need {1}.", "From the target: {0}, hence {1} is needed.")
ANSWERS = ("So the answer is {0}.", "Answer: {0}.", "Result: {0}.", "Therefore {0}.")


@dataclass(frozen=True)
class Told:
    """A puzzle and its solution in words.

    Attributes:
        statement: the puzzle.
        solution: sentences, in order.
        planted: instances of each behavior in them.
    """

    statement: str
    solution: list[str]
    planted: Counter[Behavior]


def searched(rng: Random) -> Told:
    """A puzzle solved by a search with backtracking and, now and then, the other behaviors."""
    recipe = Recipe(
        verification=rng.random() < 0.85,
        subgoal=0.5 if rng.random() < 0.3 else 0.0,
        backward=0.5 if rng.random() < 0.25 else 0.0,
    )
    limits = Limits(LONGEST, SHORTEST_SEARCH, LARGEST_RESULT)
    while True:
        problem = _puzzle(rng, rng.choice(OPERANDS))
        for _ in range(TRIES_TO_SOLVE):
            trace = write_trace(rng, problem, recipe, limits)
            if trace is not None and (trace.stop_reason == "found" or rng.random() < WRONG):
                return _tell(rng, trace)


def straight(rng: Random) -> Told:
    """A puzzle solved in one go, at more or less length: equations are said again, some turned round."""
    while True:
        numbers = _numbers(rng, rng.choice(OPERANDS))
        steps = _path(rng, numbers)
        if steps and 10 <= steps[-1].result <= LARGEST_RESULT:
            break
    target = steps[-1].result
    if rng.random() < WRONG:
        target = max(1, min(LARGEST_RESULT, target + rng.choice((-10, -2, -1, 1, 2, 10))))
    again = Counter(rng.choices(range(len(steps)), k=rng.randint(0, RESTATED_MOST)))
    sentences = []
    for place, step in enumerate(steps):
        sentences.append(_pick(rng, STEPS if place else FIRST, step.text))
        sentences += [_pick(rng, AGAIN, _said_again(rng, step).text) for _ in range(again[place])]
    sentences.append(_pick(rng, ANSWERS, expression_of(steps)))
    return Told(_statement(rng, Problem(numbers, target)), sentences, Counter())


def _numbers(rng: Random, size: int) -> tuple[int, ...]:
    return tuple(rng.randint(1, LARGEST_NUMBER) for _ in range(size))


def _puzzle(rng: Random, size: int) -> Problem:
    """A puzzle that has a solution."""
    while True:
        numbers = _numbers(rng, size)
        steps = _path(rng, numbers)
        if steps and 10 <= steps[-1].result <= LARGEST_RESULT:
            return Problem(numbers, steps[-1].result)


def _path(rng: Random, numbers: tuple[int, ...]) -> list[Step]:
    """A random path that uses every number once; empty when it gets stuck."""
    values, steps = tuple(sorted(numbers)), list[Step]()
    while len(values) > 1:
        choices = moves(values, LARGEST_RESULT)
        if not choices:
            return []
        move = rng.choice(choices)
        steps.append(move.step)
        values = move.rest
    return steps


def _said_again(rng: Random, step: Step) -> Step:
    turned = step.op in "+*" and rng.random() < 0.5
    return Step(step.right, step.op, step.left, step.result) if turned else step


def _statement(rng: Random, problem: Problem) -> str:
    *most, last = map(str, problem.numbers)
    return rng.choice(STATEMENTS).format(numbers=f"{', '.join(most)} and {last}", target=problem.target)


def _tell(rng: Random, trace: Trace) -> Told:
    """A search of the teacher, clause by clause in English."""
    sentences: list[str] = []
    planted: Counter[Behavior] = Counter()
    fresh, position, thought = True, 0, trace.thought
    numbers = ", ".join(map(str, trace.problem.numbers))
    while position < len(thought):
        match = CLAUSE.match(thought, position)
        if match is None:
            raise ValueError(f"not in the trace language: {thought[position : position + 40]!r}")
        position = match.end() + 1
        groups = match.groups()
        if groups[0]:
            planted["backward_chaining"] += 1
            left, op, right, result = groups[:4]
            sentences.append(_pick(rng, NEED, f"{left} {op} {right} = {result}", result))
        elif groups[4]:
            planted["subgoal_setting"] += 1
            sentences.append(_pick(rng, GOAL, groups[4]))
        elif groups[5]:
            planted["verification"] += 1
            sentences.append(_pick(rng, HIT if groups[6] == "yes" else MISS, groups[5]))
        elif groups[8] or groups[9]:
            planted["backtracking"] += 1
            fresh = fresh or bool(groups[9])
            sentences.append(rng.choice(BACK if groups[8] else RESTART).format(numbers=numbers))
        elif groups[10]:
            sentences.append(_pick(rng, FIRST if fresh else STEPS, groups[10]))
            fresh = False
    sentences.append(_pick(rng, ANSWERS, _answer_of(trace)))
    return Told(_statement(rng, trace.problem), sentences, planted)


def _answer_of(trace: Trace) -> str:
    answer = trace.response.partition(THINK_END)[2]
    return re.sub(r"</?answer>", "", answer).strip()


def _pick(rng: Random, phrases: tuple[str, ...], *words: str) -> str:
    return rng.choice(phrases).format(*words)
