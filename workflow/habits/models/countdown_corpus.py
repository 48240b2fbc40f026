"""The generated corpus of the tiny base models.

Four kinds of documents, in shares from params:

- worksheets: steps that combine given numbers, with no goal (``nums 14 7 3 ; 14 - 7 = 7 ; 7 * 3 = 21``);
- facts: arithmetic, some of it compared with a number (``target 78 ; 88 - 10 = 78 check 78 yes``);
- attempts: one attempt at a Countdown problem and an answer, right or wrong;
- searches: Countdown traces with search behaviors, from the symbolic teacher. None of these for the
  plain base; their share is what makes the searching base one.

Numbers may be compared in facts, but only searches act on a comparison: without that skill a primed
model confirms wrong results, and RL then unlearns the check together with the search.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from pathlib import Path

from habits.models.vocabulary import BOS, EOS, LARGEST_NUMBER, WORDS
from habits.params import BaseModelSpec, Countdown, Params
from habits.priming.teacher import RECIPES, Limits, write_trace
from habits.tasks.countdown import TEMPLATES, Move, Problem, Step, expression_of, moves, solutions
from habits.tasks.countdown.table import read_problems

FACTS_WITH_COMPARISON = 0.6
COMPARISONS_THAT_HIT = 0.4
COMPARISONS_THAT_NAME_THE_TARGET = 0.7
SEARCHES = ("all_strategies", "backtracking_verification")  # what a searching base has read, half each
SearchDocument = Callable[[random.Random, Problem], str | None]


def make_corpus(params: Params, spec: BaseModelSpec, problems: Path) -> Corpus:
    """What a tiny base model of Countdown reads; ``problems`` is the parquet of the training problems."""
    return Corpus(spec, params.countdown, read_problems(problems), search_document(params))


def settings_of(params: Params) -> dict[str, object]:
    """Settings besides the model's own that decide what it reads."""
    return {"teacher": params.priming.model_dump()}


def search_document(params: Params) -> SearchDocument:
    """Writes search documents of the corpus with the symbolic teacher, unfiltered like its priming sets."""
    limits = Limits(
        params.priming.max_trace_tokens, params.priming.min_search_tokens, params.countdown.max_intermediate
    )

    def write(rng: random.Random, problem: Problem) -> str | None:
        trace = write_trace(rng, problem, RECIPES[rng.choice(SEARCHES)], limits)
        return None if trace is None else trace.response

    return write


class Corpus:
    """Draws documents; the same seed and position give the same document.

    Args:
        spec: shares of the document kinds.
        countdown: the ranges of the task.
        problems: training problems only; a document never shows an evaluation problem.
        search_document: writes a response with search behaviors to a problem, or None if it can't.
    """

    words = WORDS

    def __init__(
        self,
        spec: BaseModelSpec,
        countdown: Countdown,
        problems: list[Problem],
        search_document: SearchDocument,
    ) -> None:
        self.spec, self.problems, self.search_document = spec, problems, search_document
        self.number_max = countdown.number_max
        self.template = TEMPLATES[spec.prompt_template]
        self.largest = min(countdown.max_intermediate or LARGEST_NUMBER, LARGEST_NUMBER)
        self.moves = functools.cache(lambda values: moves(values, self.largest))
        self.solutions = functools.cache(
            lambda problem: solutions(problem, integer_only=True, max_intermediate=self.largest)
        )

    def row(self, rng: random.Random, tokens: int) -> list[str]:
        """Documents joined and cut to ``tokens`` words."""
        words: list[str] = []
        while len(words) < tokens:
            words += [BOS, *self.document(rng).split(), EOS]
        return words[:tokens]

    def document(self, rng: random.Random) -> str:
        """One document of a random kind."""
        kind = rng.random()
        if kind < self.spec.corpus_worksheets:
            return self.worksheet(rng)
        if kind < self.spec.corpus_worksheets + self.spec.corpus_facts:
            return self.facts(rng)
        problem = rng.choice(self.problems)
        if rng.random() < self.spec.corpus_search and (search := self.search_document(rng, problem)):
            return f"{self.template.render(problem)} {search}"
        return self.attempt(rng, problem)

    def worksheet(self, rng: random.Random) -> str:
        """Random paths through the combinations of a problem's numbers; its target is not shown."""
        numbers = rng.choice(self.problems).numbers
        parts = ["nums " + " ".join(map(str, numbers))]
        for _ in range(rng.randint(4, 10)):
            parts += [step.text for step in self.path(rng, tuple(sorted(numbers)))]
        return " ; ".join(parts)

    def path(self, rng: random.Random, values: tuple[int, ...]) -> list[Step]:
        """Steps from the given numbers down to one value, with sometimes two last steps."""
        steps: list[Step] = []
        while len(values) > 1:
            choices: list[Move] = self.moves(values)
            if not choices:
                break
            if len(values) == 2:
                count = min(len(choices), rng.randint(1, 2))
                return steps + [move.step for move in rng.sample(choices, count)]
            move = rng.choice(choices)
            steps.append(move.step)
            values = move.rest
        return steps

    def facts(self, rng: random.Random) -> str:
        """A few equations; most documents compare each result with one number."""
        compared = rng.randint(1, self.largest) if rng.random() < FACTS_WITH_COMPARISON else None
        named = rng.random() < COMPARISONS_THAT_NAME_THE_TARGET
        parts = [] if compared is None else [f"target {compared}"]
        for _ in range(rng.randint(3, 8)):
            hit = compared is not None and rng.random() < COMPARISONS_THAT_HIT
            step = self.equation_for(rng, compared) if hit and compared else self.equation(rng)
            if step is None:
                continue
            verdict = "yes" if step.result == compared else "no"
            check = f" check {compared} {verdict}" if named else f" {verdict}"
            parts.append(step.text + (check if compared is not None else ""))
        return " ; ".join(parts)

    def equation(self, rng: random.Random) -> Step | None:
        """A random true equation; the first number may be as large as an intermediate result."""
        left = rng.randint(1, self.largest if rng.random() < 0.7 else self.number_max)
        choices = self.moves(tuple(sorted((left, rng.randint(1, self.number_max)))))
        return _turned(rng, rng.choice(choices).step) if choices else None

    def equation_for(self, rng: random.Random, result: int) -> Step | None:
        """A random true equation with a given result."""
        b = rng.randint(1, self.number_max)
        steps = [
            Step(result - b, "+", b, result),
            Step(result + b, "-", b, result),
            Step(result * b, "/", b, result),
        ]
        if result % b == 0:
            steps.append(Step(result // b, "*", b, result))
        possible = [step for step in steps if 1 <= step.left <= self.largest]
        return _turned(rng, rng.choice(possible)) if possible else None

    def attempt(self, rng: random.Random, problem: Problem) -> str:
        """One attempt and its answer: right with the share in params, else wherever a random path ends."""
        if rng.random() < self.spec.corpus_correct:
            steps = list(rng.choice(self.solutions(problem)).steps)
        else:
            steps = self.complete_path(rng, problem)
        thought = " ; ".join(step.text for step in steps)
        return f"{self.template.render(problem)} {thought}{self.template.gold_response(expression_of(steps))}"

    def complete_path(self, rng: random.Random, problem: Problem) -> list[Step]:
        """A random path that uses every number once."""
        while True:
            values, steps = tuple(sorted(problem.numbers)), []
            while len(values) > 1 and (choices := self.moves(values)):
                move = rng.choice(choices)
                steps.append(move.step)
                values = move.rest
            if len(values) == 1:
                return steps


def _turned(rng: random.Random, step: Step) -> Step:
    """Half of the sums and products the other way round."""
    if step.op in "+*" and rng.random() < 0.5:
        return Step(step.right, step.op, step.left, step.result)
    return step
