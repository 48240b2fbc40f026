"""The solver against brute force over every expression tree, with rationals and negative values."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest

from habits.tasks.countdown import Problem, Step, difficulty, expression_of, moves, solutions
from habits.tasks.countdown.batches import can_batch, reach_targets
from habits.tasks.countdown.expressions import parse
from habits.tasks.countdown.reachable import Multiset, Reachable, Rules, splits

RULES = [Rules(True, None), Rules(True, 60), Rules(False, None), Rules(False, 40)]


@dataclass(frozen=True)
class Brute:
    """An expression of the reference: value, canonical form, depth, and all its intermediate values."""

    value: Fraction
    form: object
    depth: int
    divides: bool
    made: tuple[Fraction, ...]


def brute_force(numbers: Multiset) -> Iterator[Brute]:
    """Every expression over ordered numbers in every order; negative values in between are made too."""
    for order in set(permutations(numbers)):
        yield from _trees(order)


def _trees(numbers: Multiset) -> Iterator[Brute]:
    if len(numbers) == 1:
        yield Brute(Fraction(numbers[0]), numbers[0], 0, False, ())
    for cut in range(1, len(numbers)):
        for left in _trees(numbers[:cut]):
            for right in _trees(numbers[cut:]):
                for op in "+-*/" if right.value else "+-*":
                    yield _joined(left, op, right)


def _joined(left: Brute, op: str, right: Brute) -> Brute:
    a, b = left.value, right.value
    value = a + b if op == "+" else a - b if op == "-" else a * b if op == "*" else a / b
    kind = "sum" if op in "+-" else "product"
    plus, minus = _terms(left, kind)
    right_plus, right_minus = _terms(right, kind)
    if op in "-/":
        right_plus, right_minus = right_minus, right_plus
    form = (kind, _sorted(plus + right_plus), _sorted(minus + right_minus))
    depth = 1 + max(left.depth, right.depth)
    divides = op == "/" or left.divides or right.divides
    return Brute(value, form, depth, divides, (*left.made, *right.made, value))


def _terms(tree: Brute, kind: str) -> tuple[tuple[object, ...], tuple[object, ...]]:
    if isinstance(tree.form, tuple) and tree.form[0] == kind:
        return tree.form[1], tree.form[2]
    return (tree.form,), ()


def _sorted(forms: tuple[object, ...]) -> tuple[object, ...]:
    return tuple(sorted(forms, key=repr))


def keeps(tree: Brute, rules: Rules) -> bool:
    """Whether all values in between keep to the rules."""
    low = 1 if rules.integer_only else 0
    high = rules.max_intermediate
    whole = not rules.integer_only or all(value.denominator == 1 for value in tree.made)
    return whole and all(value >= low and (high is None or value <= high) for value in tree.made)


def some_numbers(seed: int, count: int, sizes: tuple[int, ...], high: int) -> list[Multiset]:
    """Sorted number sets; half of them small numbers, so that repeats, ones and zeros come up."""
    rng = random.Random(seed)
    tops = [high if i % 2 else 4 for i in range(count)]
    return [tuple(sorted(rng.choices(range(1, top + 1), k=rng.choice(sizes)))) for top in tops]


@pytest.mark.parametrize("rules", RULES, ids=str)
def test_values_are_those_of_brute_force(rules: Rules) -> None:
    reachable = Reachable(rules)
    for numbers in some_numbers(seed=1, count=24, sizes=(1, 2, 3, 3, 4), high=20):
        made = {tree.value for tree in brute_force(numbers) if keeps(tree, rules)}
        assert reachable.values(numbers) == made, numbers
        targets = [int(value) for value in sorted(made) if value.denominator == 1 and 3 <= value <= 30]
        assert reachable.targets(numbers, 3, 30) == targets
        for target in range(1, 40):
            assert reachable.reaches(numbers, target) == (target in made), (numbers, target)


def test_negative_values_in_between_add_no_positive_target() -> None:
    """What the reward can pay is what the rational rules reach, though these never go below zero."""
    reachable = Reachable(Rules(integer_only=False))
    for numbers in some_numbers(seed=2, count=12, sizes=(2, 3, 4), high=12):
        payable = {tree.value for tree in brute_force(numbers) if tree.value >= 0}
        assert reachable.values(numbers) == payable


@pytest.mark.parametrize("rules", RULES, ids=str)
def test_solutions_are_those_of_brute_force(rules: Rules) -> None:
    for numbers in some_numbers(seed=3, count=16, sizes=(2, 3, 3, 4), high=15):
        by_target: dict[Fraction, dict[object, list[Brute]]] = {}
        for tree in brute_force(numbers):
            if keeps(tree, rules) and tree.value > 0 and tree.value.denominator == 1:
                by_target.setdefault(tree.value, {}).setdefault(tree.form, []).append(tree)
        for target in list(by_target)[:40]:
            forms = by_target[target]
            problem = Problem(numbers, int(target))
            found = solutions(problem, rules.integer_only, rules.max_intermediate)
            hardness = difficulty(problem, rules.integer_only, rules.max_intermediate)
            assert len(found) == hardness.n_solutions == len(forms), problem
            assert sorted(s.depth for s in found) == sorted(min(t.depth for t in ts) for ts in forms.values())
            assert hardness.depth == min(s.depth for s in found)
            assert hardness.needs_division == all(ts[0].divides for ts in forms.values())


@pytest.mark.parametrize("rules", RULES, ids=str)
def test_solutions_are_solutions(rules: Rules) -> None:
    rng = random.Random(4)
    for numbers in some_numbers(seed=4, count=60, sizes=(2, 3, 4), high=25):
        problem = Problem(tuple(rng.sample(numbers, len(numbers))), rng.randint(1, 40))
        found = solutions(problem, rules.integer_only, rules.max_intermediate)
        assert len({s.expression for s in found}) == len(found)
        for solution in found:
            expression = parse(solution.expression)
            assert expression.value == problem.target
            assert sorted(expression.numbers) == list(numbers)
            assert ("/" in solution.expression) == solution.divides
            if solution.steps or rules.integer_only:
                assert parse(expression_of(solution.steps)).value == problem.target
                assert playable(solution.steps, numbers, rules.max_intermediate)


def playable(steps: tuple[Step, ...], numbers: Multiset, limit: int | None) -> bool:
    """Whether the steps are moves from the numbers, one after the other, down to one value."""
    state = numbers
    for step in steps:
        after = [move.rest for move in moves(state, limit) if move.step == step]
        if len(after) != 1:
            return False
        state = after[0]
    return len(state) == 1


def test_moves_reach_what_the_solver_reaches() -> None:
    for numbers in some_numbers(seed=5, count=30, sizes=(2, 3, 4), high=15):
        for limit in (None, 50):
            ends = {state for state in played(numbers, limit) if len(state) == 1}
            assert {state[0] for state in ends} == Reachable(Rules(True, limit)).values(numbers)


def played(state: Multiset, limit: int | None) -> Iterator[Multiset]:
    """Every state that moves lead to."""
    yield state
    for move in moves(state, limit):
        assert move.rest == tuple(sorted(move.rest))
        assert parse(f"{move.step.left} {move.step.op} {move.step.right}").value == move.step.result
        yield from played(move.rest, limit)


def test_moves_without_duplicates() -> None:
    steps = [move.step.text for move in moves((6, 3, 3))]
    assert steps == [
        "3 + 3 = 6",
        "3 * 3 = 9",
        "3 / 3 = 1",
        "6 + 3 = 9",
        "6 - 3 = 3",
        "6 * 3 = 18",
        "6 / 3 = 2",
    ]
    assert [move.step.text for move in moves((9, 2), max_result=11)] == ["9 + 2 = 11", "9 - 2 = 7"]


def test_known_problem() -> None:
    problem = Problem((3, 14, 7), 21)
    assert problem.key == "3-7-14=21"
    (solution,) = solutions(problem)
    assert solution.expression == "( 14 - 7 ) * 3"
    assert [step.text for step in solution.steps] == ["14 - 7 = 7", "7 * 3 = 21"]
    assert (solution.depth, solution.divides) == (2, False)


def test_rational_problem_needs_rationals() -> None:
    problem = Problem((8, 3, 8, 3), 24)
    assert solutions(problem) == []
    (solution,) = solutions(problem, integer_only=False)
    assert (solution.expression, solution.steps) == ("8 / ( 3 - ( 8 / 3 ) )", ())
    with pytest.raises(ValueError, match="3-3-8-8=24"):
        difficulty(problem)


def test_same_solution_is_counted_once() -> None:
    """(3+4)-5 is 3-(5-4) and so on; with 1 among the numbers a product and a quotient stay two."""
    expected = ["3 - ( 5 - 4 )", "( 5 + 3 ) / 4", "4 / ( 5 - 3 )"]
    assert [s.expression for s in solutions(Problem((3, 4, 5), 2))] == expected
    assert len(solutions(Problem((3, 20, 50), 73))) == 1
    assert len(solutions(Problem((3, 3, 5), 11))) == 1
    assert [s.expression for s in solutions(Problem((7, 1), 7))] == ["7 * 1", "7 / 1"]


def test_limit_takes_the_first_solutions() -> None:
    problem = Problem((1, 2, 3, 4), 10)
    found = solutions(problem)
    assert len(found) > 5
    assert solutions(problem, limit=3) == found[:3]
    assert [s.divides for s in found] == sorted(s.divides for s in found)


def test_targets_below_one_have_no_solution() -> None:
    assert solutions(Problem((3, 3), 0), integer_only=False) == []
    assert solutions(Problem((3, 5), -2), integer_only=False) == []


def test_expression_of_equal_values() -> None:
    steps = [Step(4, "+", 3, 7), Step(7, "*", 2, 14), Step(14, "+", 7, 21)]
    expression = parse(expression_of(steps))
    assert (sorted(expression.numbers), expression.value) == ([2, 3, 4, 7], 21)
    with pytest.raises(ValueError, match="more than one value"):
        expression_of([Step(4, "+", 3, 7), Step(5, "*", 2, 10)])
    with pytest.raises(ValueError, match="no steps"):
        expression_of([])


@pytest.mark.parametrize("size", [2, 3, 4])
@pytest.mark.parametrize("limit", [None, 60])
def test_batches_answer_as_the_exact_sets(size: int, limit: int | None) -> None:
    rng = np.random.default_rng(size)
    numbers = rng.integers(1, 40, (size, 1500))
    targets = rng.integers(1, 101, 1500)
    reachable = Reachable(Rules(True, limit))
    expected = [
        reachable.reaches(tuple(sorted(c)), t) for c, t in zip(numbers.T.tolist(), targets, strict=True)
    ]
    assert 10 < sum(expected) < 1400
    assert reach_targets(numbers, targets, limit).tolist() == expected


def test_batches_know_their_bounds() -> None:
    assert can_batch(4, 99, 1000)
    assert not can_batch(5, 99, 100)
    assert not can_batch(4, 10**5, 10**4)
    largest = np.full((4, 1), 1000)
    assert reach_targets(largest, np.array([1000 * 1000])).tolist() == [True]  # 1000 * 1000 * (1000 / 1000)


def test_splits_are_complete_and_unique() -> None:
    assert [(s.part, s.rest) for s in splits((1, 2, 3))] == [((1,), (2, 3)), ((2,), (1, 3)), ((3,), (1, 2))]
    assert len(splits((1, 2, 3, 4))) == 7
    assert len(splits((1, 2, 3, 4, 5, 6))) == 31
    assert len({tuple(sorted((s.part, s.rest))) for s in splits((5, 5, 5, 5))}) == 2
