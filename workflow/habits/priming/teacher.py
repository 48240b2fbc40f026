"""The symbolic teacher: readable traces of its own random search, with chosen behaviors.

The search is a depth-first walk in random order under a random token budget. An *attempt* is a path
of steps down to two values; then one or two last steps are tried (each a *leaf*, one final value),
mostly the most promising first, as a person would, and then the search goes back to the given numbers.
A *backward* attempt sets a number aside, asks which value would reach the target together with it, and
tries to make that value from the others.
Traces are unfiltered: a search that finds the target answers rightly, one whose budget runs out gives
up and answers its last attempt. A *slip* ends by a false equation that seems to reach the target.

Reads and writes no files; everything is decided by the random generator that is passed in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Literal, TypeVar

from habits.priming.language import Draft, Mark, StopReason, Trace, answer_tokens, response_of
from habits.tasks.countdown import Move, Problem, Step, expression_of, moves

Ending = Literal["any", "gave_up", "slip"]
State = tuple[int, ...]
Path = tuple[Step, ...]
T = TypeVar("T")

TRIES = 200  # searches per trace before a problem counts as unwritable
OPTIONS = 2  # last steps tried at most before going back to the given numbers
PROMISE = 0.75  # chance that last steps are tried in order of their distance to what is wanted
ATTEMPTS = 500  # attempts per search at most; only a budget far beyond any real one gets there


class TeacherError(ValueError):
    """The teacher's limits leave no room for a trace; the message names the keys of params.yaml."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Which behaviors the traces of a priming set show besides backtracking, which is in all of them.

    Args:
        verification: every leaf is compared with the target.
        subgoal: chance that a forward attempt names a goal before a step.
        backward: chance that an attempt works backwards from the target.
    """

    verification: bool = False
    subgoal: float = 0.0
    backward: float = 0.0


RECIPES: dict[str, Recipe] = {
    "all_strategies": Recipe(verification=True, subgoal=0.5, backward=0.35),
    "backtracking_verification": Recipe(verification=True),
    "backtracking_subgoal": Recipe(subgoal=1.0),
    "backtracking_backward": Recipe(backward=1.0),
    "only_backtracking": Recipe(),
}


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a trace and how large a step's result may be.

    Args:
        max_tokens: longest response in tokens, without end-of-text token.
        min_search: smallest search budget in tokens.
        max_result: largest result of a step; None: no limit.
    """

    max_tokens: int
    min_search: int
    max_result: int | None = None

    def longest_thought(self, numbers: int) -> int:
        """Tokens that a thought may have so that its answer still fits."""
        return self.max_tokens - answer_tokens(numbers)

    def budget(self, rng: Random, numbers: int) -> int:
        """A random search budget that leaves room for the attempt under way when it runs out."""
        largest = self.longest_thought(numbers) - (6 * numbers - 4)
        if largest < self.min_search:
            least = self.min_search + self.max_tokens - largest
            raise TeacherError(
                f"priming.max_trace_tokens is {self.max_tokens}: too short for {numbers} numbers and "
                f"priming.min_search_tokens {self.min_search}; set it to {least} or more"
            )
        return rng.randint(self.min_search, largest)


def write_trace(
    rng: Random, problem: Problem, recipe: Recipe, limits: Limits, ending: Ending = "any"
) -> Trace | None:
    """One trace of the teacher's search for ``problem``.

    Args:
        rng: decides everything.
        problem: with its numbers in prompt order; the order does not influence the search.
        recipe: the behaviors to show.
        limits: lengths and sizes.
        ending: ``any`` takes the search as it comes out, right or wrong. ``gave_up`` and ``slip`` are
            wrong by construction and hold at least one backtracking.

    Returns:
        The trace, or None when no search in 200 was short enough or ended that way.

    Raises:
        TeacherError: the limits leave no room for any trace of this many numbers.
    """
    for _ in range(TRIES):
        search = Search(rng, problem, recipe, limits)
        search.run(limits.budget(rng, len(problem.numbers)))
        stop_reason = search.close(ending)
        if stop_reason is None or len(search.draft) > limits.longest_thought(len(problem.numbers)):
            continue
        response = response_of(search.draft.text, expression_of(search.last))
        return Trace(problem, response, stop_reason, tuple(search.draft.spans))
    return None


class Search:
    """One random search as it is written down.

    ``last`` is the latest complete attempt (the solution once ``found``); ``leaf`` is the place in the
    draft where its last step begins, or None when that step was not written out.
    """

    def __init__(self, rng: Random, problem: Problem, recipe: Recipe, limits: Limits) -> None:
        self.rng, self.recipe, self.limits = rng, recipe, limits
        self.target = problem.target
        self.start: State = tuple(sorted(problem.numbers))
        self.draft = Draft()
        self.found = False
        self.last: Path = ()
        self.leaf: Mark | None = None
        # First steps in random order, each used by one forward attempt; with two numbers there are none.
        self.open: list[Move | None] = [*self._moves(self.start)] if len(self.start) > 2 else [None]
        rng.shuffle(self.open)

    def run(self, budget: int) -> None:
        """Search until the target is found, the budget is spent or no first step is left."""
        for _ in range(ATTEMPTS):
            if self.found or not self.open or len(self.draft) >= budget:
                return
            if self.recipe.backward and self.rng.random() < self.recipe.backward:
                self._backward(budget)
            else:
                self._forward(budget)

    def close(self, ending: Ending) -> StopReason | None:
        """End the thought as asked; None when this search can't end that way."""
        if self.found:
            return "found" if ending == "any" else None
        if not self.last:
            return None
        if ending != "any" and not any(span.behavior == "backtracking" for span in self.draft.spans):
            return None
        if ending == "slip":
            return self._slip()
        if self.draft.words[-1] != "no":
            self.draft.say("no")
        return "gave_up"

    def _slip(self) -> StopReason | None:
        """Let the last leaf, whose true result is not the target, claim that it is."""
        if self.leaf is None:
            return None
        self.draft.cut(self.leaf)
        step = self.last[-1]
        self._try(Step(step.left, step.op, step.right, self.target))
        return "slip"

    def _forward(self, budget: int) -> None:
        """A path down to two values, then one to three last steps."""
        first = self.open.pop()
        path, state = self._walk(self.start, first, len(self.start) - 2)
        options = [move.step for move in self._moves(state)] if len(state) == 2 else []
        if not options:
            return
        self._begin()
        named = self.rng.randrange(len(path)) if path and self._chance(self.recipe.subgoal) else None
        for index, step in enumerate(path):
            if index == named:
                self.draft.show("subgoal_setting", "goal", str(step.result))
                self.draft.say(";")
            self.draft.say(*step.text.split(), ";")
        for index, step in enumerate(self._some(options, lambda step: abs(step.result - self.target))):
            if index:
                self.draft.backtrack("back")
            self.last, self.leaf = (*path, step), self.draft.mark()
            self._try(step)
            self.found = step.result == self.target
            if self.found or len(self.draft) >= budget:
                return

    def _try(self, step: Step) -> None:
        """Write a step that leaves one value, compared with the target if the recipe says so."""
        self.draft.say(*step.text.split())
        if self.recipe.verification:
            verdict = "yes" if step.result == self.target else "no"
            self.draft.show("verification", "check", str(self.target), verdict)

    def _backward(self, budget: int) -> None:
        """Ask which value would reach the target with one number, and try to make it from the others."""
        kept = self.rng.choice(self.start)
        rest = list(self.start)
        rest.remove(kept)
        needs = self._inverse_steps(kept)
        path, state = self._walk(tuple(rest), None, len(rest) - 2)
        ways: list[Path] = [(*path, move.step) for move in self._moves(state)] if len(rest) > 1 else [()]
        if not needs or len(state) > 2 or not ways:
            return
        self._begin()
        need = self.rng.choice(needs)

        def made(way: Path) -> int:
            return way[-1].result if way else state[0]

        self.draft.show("backward_chaining", "need", *need.text.split())
        self.draft.say(";")
        for step in path:
            self.draft.say(*step.text.split(), ";")
        for index, way in enumerate(self._some(ways, lambda way: abs(made(way) - need.result))):
            if index:
                self.draft.backtrack("back")
            self._reach(way, made(way), need, kept)
            if self.found or len(self.draft) >= budget:
                return

    def _reach(self, way: Path, value: int, need: Step, kept: int) -> None:
        """Write the step that makes ``value``, and the last one if it is what was needed."""
        if way:
            self.draft.say(*way[-1].text.split())
        finals = [move.step for move in self._moves(tuple(sorted((value, kept))))]
        hits = [step for step in finals if step.result == self.target]
        misses = [step for step in finals if step.result != self.target]
        if value == need.result and hits:
            if way:
                self.draft.say(";")
            self.last, self.leaf, self.found = (*way, hits[0]), self.draft.mark(), True
            self._try(hits[0])
        elif misses:
            # What a trace answers that gives up here; the last step is not part of the thought.
            self.last, self.leaf = (*way, self.rng.choice(misses)), None

    def _begin(self) -> None:
        if self.draft.words:
            self.draft.backtrack("restart")

    def _walk(self, state: State, first: Move | None, steps: int) -> tuple[Path, State]:
        """Up to ``steps`` random steps from ``state``, ``first`` in front; fewer where none is possible."""
        path: list[Step] = []
        while len(path) < steps:
            choices = self._moves(state)
            move = first if first and not path else self.rng.choice(choices) if choices else None
            if move is None:
                break
            path.append(move.step)
            state = move.rest
        return tuple(path), state

    def _inverse_steps(self, kept: int) -> list[Step]:
        """Steps ``target op kept = r`` such that one more step on r and ``kept`` gives the target."""
        target, limit = self.target, self.limits.max_result
        steps = [Step(target, "+", kept, target + kept), Step(target, "*", kept, target * kept)]
        steps = [step for step in steps if limit is None or step.result <= limit]
        if target > kept:
            steps.append(Step(target, "-", kept, target - kept))
        if target % kept == 0:
            steps.append(Step(target, "/", kept, target // kept))
        return steps

    def _some(self, options: list[T], distance: Callable[[T], int]) -> list[T]:
        """One or two of the options, mostly the ones with the smallest distance."""
        self.rng.shuffle(options)
        if self._chance(PROMISE):
            options.sort(key=distance)
        return options[: self.rng.randint(1, OPTIONS)]

    def _chance(self, probability: float) -> bool:
        return probability > 0 and self.rng.random() < probability

    def _moves(self, state: State) -> tuple[Move, ...]:
        return _moves(state, self.limits.max_result)


@lru_cache(maxsize=50_000)
def _moves(state: State, max_result: int | None) -> tuple[Move, ...]:
    return tuple(moves(state, max_result))
