"""Every distinct solution of a Countdown problem, and from them how hard it is.

Two expressions are *the same solution* when they agree after flattening: a chain of + and - is a multiset
of added and one of subtracted terms, a chain of * and / a multiset of factors and one of divisors, and a
given number is its value. So ``(3 + 4) - 5`` is the same as ``3 - (5 - 4)``, but ``7 * 1`` is not ``7 / 1``.
An expression is counted when all its intermediate values keep to the rules (see ``reachable``); one with
a negative value in between stands for the same expression with the signs moved outward.

Reads and writes no files.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import NamedTuple

from habits.tasks.countdown.arithmetic import Operation, Problem, Step
from habits.tasks.countdown.reachable import Multiset, Reachable, Rules, Value, splits

KEPT = 50_000  # values of sub-multisets whose trees are kept


@dataclass(frozen=True, slots=True)
class Solution:
    """One way to reach the target.

    Args:
        steps: the steps, in an order in which they can be done; empty when a value in between is not a
            positive integer (happens only without ``integer_only``).
        expression: the same in tokens separated by single spaces: ``( 14 - 7 ) * 3``.
        depth: operations on the longest way from a number to the result; the least among the
            expressions that count as this solution.
        divides: whether it divides anywhere.
    """

    steps: tuple[Step, ...]
    expression: str
    depth: int
    divides: bool


@dataclass(frozen=True, slots=True)
class Difficulty:
    """How hard a problem is.

    Args:
        n_solutions: distinct solutions.
        needs_division: all of them divide.
        depth: the least depth of one.
        solution: the first of them.
    """

    n_solutions: int
    needs_division: bool
    depth: int
    solution: Solution


def solutions(
    problem: Problem,
    integer_only: bool = True,
    max_intermediate: int | None = None,
    limit: int | None = None,
) -> list[Solution]:
    """The distinct solutions of a problem, in a fixed order: without division first, then by depth.

    Args:
        problem: its target is a positive integer; [] when it cannot be reached.
        integer_only: every value in between is a positive integer.
        max_intermediate: no step makes more than this; None: no limit.
        limit: the first so many only; None: all.
    """
    trees = _solver(Rules(integer_only, max_intermediate)).solve(problem)
    return [_solution(tree) for tree in trees[:limit]]


def difficulty(
    problem: Problem, integer_only: bool = True, max_intermediate: int | None = None
) -> Difficulty:
    """How hard a problem is under the rules; ValueError when it has no solution."""
    trees = _solver(Rules(integer_only, max_intermediate)).solve(problem)
    if not trees:
        raise ValueError(f"problem {problem.key} has no solution under these rules")
    depth = min(tree.depth for tree in trees)
    return Difficulty(len(trees), trees[0].divides, depth, _solution(trees[0]))


@dataclass(frozen=True, slots=True)
class Tree:
    """An expression. ``form`` names its solution: trees that count as the same have the same.

    Args:
        plus: forms of the added terms, sorted; the tree itself when its last operation is not + or -.
        minus: forms of the subtracted terms.
        times: forms of the factors; the tree itself when its last operation is not * or /.
        over: forms of the divisors.
    """

    value: Value
    form: str
    plus: tuple[str, ...]
    minus: tuple[str, ...]
    times: tuple[str, ...]
    over: tuple[str, ...]
    depth: int
    divides: bool
    join: Join | None = None


@dataclass(frozen=True, slots=True)
class Join:
    """The last operation of a tree."""

    left: Tree
    op: Operation
    right: Tree


class Goal(NamedTuple):
    """A value to be made from all of some numbers."""

    numbers: Multiset
    value: Value


Grove = dict[str, Tree]  # form -> the shallowest tree of that form


class Solver:
    """Solves under one set of rules, backward from the target; remembers the trees of sub-multisets."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.reachable = Reachable(rules)
        self._known: dict[Goal, Grove] = {}

    def solve(self, problem: Problem) -> list[Tree]:
        """One tree for each distinct solution, in the order of ``solutions``."""
        if problem.target < 1:
            return []
        grove = self._grow(Goal(tuple(sorted(problem.numbers)), problem.target))
        return sorted(grove.values(), key=lambda tree: (tree.divides, tree.depth, tree.form))

    def _trees(self, goal: Goal) -> Grove:
        known = self._known.get(goal)
        if known is None:
            if len(self._known) >= KEPT:
                self._known.clear()
            known = self._known[goal] = self._grow(goal)
        return known

    def _grow(self, goal: Goal) -> Grove:
        if len(goal.numbers) == 1:
            leaf = _leaf(goal.numbers[0])
            return {leaf.form: leaf} if leaf.value == goal.value else {}
        grove: Grove = {}
        for split in splits(goal.numbers):
            rest = self.reachable.values(split.rest)
            for a in self.reachable.values(split.part):
                for b in self.reachable.partners(a, goal.value, rest):
                    self._plant(grove, goal.value, Goal(split.part, a), Goal(split.rest, b))
                    self._plant(grove, goal.value, Goal(split.rest, b), Goal(split.part, a))
        return grove

    def _plant(self, grove: Grove, value: Value, left: Goal, right: Goal) -> None:
        """Add every tree of ``value`` with these sides; of one form the shallowest stays."""
        for op in self._operations(left.value, right.value, value):
            for left_tree, right_tree in product(self._trees(left).values(), self._trees(right).values()):
                tree = _join(left_tree, op, right_tree, value)
                known = grove.get(tree.form)
                if known is None or tree.depth < known.depth:
                    grove[tree.form] = tree

    def _operations(self, left: Value, right: Value, value: Value) -> list[Operation]:
        """Operations that make ``value`` under the rules; + and * with the larger value on the left only."""
        found: list[Operation] = []
        limit = self.rules.max_intermediate
        if limit is not None and value > limit:
            return found
        if left >= right:
            if left + right == value:
                found.append("+")
            if left * right == value:
                found.append("*")
        if left - right == value:
            found.append("-")
        if right and right * value == left:
            found.append("/")
        return found


@lru_cache(maxsize=8)
def _solver(rules: Rules) -> Solver:
    return Solver(rules)


def _leaf(number: int) -> Tree:
    form = str(number)
    return Tree(number, form, (form,), (), (form,), (), depth=0, divides=False)


def _join(left: Tree, op: Operation, right: Tree, value: Value) -> Tree:
    depth = 1 + max(left.depth, right.depth)
    divides = op == "/" or left.divides or right.divides
    join = Join(left, op, right)
    if op in "+-":
        ups, downs = (right.plus, right.minus) if op == "+" else (right.minus, right.plus)
        plus, minus = tuple(sorted(left.plus + ups)), tuple(sorted(left.minus + downs))
        form = f"({'+'.join(plus)}{''.join(f'-{term}' for term in minus)})"
        return Tree(value, form, plus, minus, (form,), (), depth, divides, join)
    ups, downs = (right.times, right.over) if op == "*" else (right.over, right.times)
    times, over = tuple(sorted(left.times + ups)), tuple(sorted(left.over + downs))
    form = f"({'*'.join(times)}{''.join(f'/{factor}' for factor in over)})"
    return Tree(value, form, (form,), (), times, over, depth, divides, join)


def _solution(tree: Tree) -> Solution:
    steps = tuple(_steps(tree)) if _whole(tree) else ()
    return Solution(steps, _text(tree), tree.depth, tree.divides)


def _whole(tree: Tree) -> bool:
    """Whether every value in between is a positive integer."""
    if tree.join is None:
        return True
    positive = tree.value > 0 and tree.value.denominator == 1
    return positive and _whole(tree.join.left) and _whole(tree.join.right)


def _steps(tree: Tree) -> Iterator[Step]:
    if tree.join is not None:
        left, op, right = tree.join.left, tree.join.op, tree.join.right
        yield from _steps(left)
        yield from _steps(right)
        yield Step(int(left.value), op, int(right.value), int(tree.value))


def _text(tree: Tree) -> str:
    """The expression in tokens, every inner operation in parentheses."""
    if tree.join is None:
        return tree.form
    sides = (tree.join.left, tree.join.right)
    left, right = (_text(side) if side.join is None else f"( {_text(side)} )" for side in sides)
    return f"{left} {tree.join.op} {right}"
