"""The teacher's traces: planted spans stand where they say, endings end as named, sizes two to six."""

import re
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from habits.models.vocabulary import WORDS
from habits.priming.language import BEHAVIORS, Draft, Trace, answer_tokens
from habits.priming.teacher import RECIPES, Limits, TeacherError, write_trace
from habits.tasks.countdown import Problem, expression_of, grade, moves

FORMS = {
    "verification": r"check \d+ (yes|no)",
    "backtracking": r"back|restart",
    "subgoal_setting": r"goal \d+",
    "backward_chaining": r"need \d+ [-+*/] \d+ = \d+",
}
EQUATION = re.compile(r"(?<!need )\b(\d+) ([-+*/]) (\d+) = (\d+)\b")
LIMITS = {size: Limits(max_tokens=60 + 12 * size, min_search=12, max_result=100) for size in range(2, 7)}


def walk(rng: Random, size: int) -> Problem:
    """A solvable problem: numbers, and a target that random steps reach."""
    while True:
        numbers = tuple(rng.randint(1, 15) for _ in range(size))
        state, steps = numbers, []
        while len(state) > 1 and (options := moves(state, 100)):
            move = rng.choice(options)
            steps.append(move.step)
            state = move.rest
        if len(state) == 1 and state[0] not in numbers:
            assert grade(f"</think> <answer> {expression_of(steps)} </answer>", Problem(numbers, state[0]))
            return Problem(numbers, state[0])


def is_true(left: str, op: str, right: str, result: str) -> bool:
    a, b, c = int(left), int(right), int(result)
    return {"+": a + b == c, "-": a - b == c, "*": a * b == c, "/": b * c == a}[op]


def written(seed: int, size: int, name: str, ending: str = "any") -> Trace:
    rng = Random(seed)
    while True:
        trace = write_trace(rng, walk(rng, size), RECIPES[name], LIMITS[size], ending)
        if trace is not None:
            return trace


@settings(max_examples=400)
@given(st.integers(0, 10**9), st.integers(2, 6), st.sampled_from(sorted(RECIPES)))
def test_spans_verdict_and_length_hold_for_every_set_and_size(seed: int, size: int, name: str) -> None:
    trace = written(seed, size, name)
    for span in trace.spans:
        assert re.fullmatch(FORMS[span.behavior], trace.response[span.start : span.end])
    for behavior in BEHAVIORS:
        assert len(re.findall(rf"\b(?:{FORMS[behavior]})(?![^ ])", trace.thought)) == trace.planted[behavior]
    assert all(is_true(*step) for step in EQUATION.findall(trace.thought))
    verdict = grade(trace.response, trace.problem)
    assert verdict.reason == {"found": "correct", "gave_up": "wrong_value"}[trace.stop_reason]
    assert verdict.parts.format_ok
    assert len(trace.response.split()) <= LIMITS[size].max_tokens
    assert set(trace.response.split()) <= set(WORDS)
    assert trace.stop_reason == "found" or trace.thought.endswith(" no")


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_set_shows_only_its_behaviors(name: str) -> None:
    recipe = RECIPES[name]
    totals = dict.fromkeys(BEHAVIORS, 0)
    for seed in range(150):
        for behavior, count in written(seed, 3, name).planted.items():
            totals[behavior] += count
    assert totals["backtracking"] > 150
    assert (totals["verification"] > 0) == recipe.verification
    assert (totals["subgoal_setting"] > 0) == (recipe.subgoal > 0)
    assert (totals["backward_chaining"] > 0) == (recipe.backward > 0)


@pytest.mark.parametrize("size", [3, 4, 5])
def test_a_slip_ends_by_one_false_equation_that_claims_the_target(size: int) -> None:
    for seed in range(60):
        trace = written(seed, size, "backtracking_verification", "slip")
        target = str(trace.problem.target)
        steps = EQUATION.findall(trace.thought)
        assert trace.stop_reason == "slip"
        assert [is_true(*step) for step in steps] == [True] * (len(steps) - 1) + [False]
        assert steps[-1][3] == target
        assert trace.thought.endswith(f"= {target} check {target} yes")
        assert grade(trace.response, trace.problem).reason == "wrong_value"
        assert trace.planted["backtracking"] >= 1
        assert trace.planted["verification"] >= 2


def test_backward_steps_invert_the_last_step() -> None:
    inverse = {"+": "-", "-": "+", "*": "/", "/": "*"}
    seen = set()
    for seed in range(200):
        trace = written(seed, 3, "backtracking_backward")
        for target, op, kept, need in re.findall(r"need (\d+) ([-+*/]) (\d+) = (\d+)", trace.thought):
            seen.add(op)
            assert int(target) == trace.problem.target
            assert int(kept) in trace.problem.numbers
            assert is_true(need, inverse[op], kept, target)
    assert seen == set("+-*/")


def test_goals_are_reached_by_the_step_that_follows() -> None:
    for seed in range(100):
        trace = written(seed, 4, "backtracking_subgoal")
        goals = re.findall(r"goal (\d+) ; \d+ [-+*/] \d+ = (\d+)", trace.thought)
        assert len(goals) == trace.planted["subgoal_setting"]
        assert all(goal == result for goal, result in goals)


def test_same_generator_same_trace() -> None:
    assert written(5, 4, "all_strategies") == written(5, 4, "all_strategies")


def test_a_problem_on_which_every_attempt_hits_has_no_wrong_trace() -> None:
    one_way = Problem((1, 1), 2)
    limits = Limits(60, 12, max_result=100)
    assert (
        write_trace(Random(1), Problem((90, 80), 10), RECIPES["only_backtracking"], limits, "gave_up") is None
    )
    assert write_trace(Random(1), one_way, RECIPES["only_backtracking"], limits) is not None


def test_too_short_a_limit_names_the_keys_and_a_value_that_works() -> None:
    problem = Problem((3, 5, 7), 26)
    with pytest.raises(
        TeacherError, match=r"priming\.max_trace_tokens is 30.* set it to (\d+) or more"
    ) as info:
        write_trace(Random(1), problem, RECIPES["only_backtracking"], Limits(30, 12, 100))
    least = int(re.search(r"set it to (\d+)", str(info.value)).group(1))
    assert Limits(least, 12, 100).budget(Random(1), 3) == 12
    with pytest.raises(TeacherError):
        Limits(least - 1, 12, 100).budget(Random(1), 3)


@pytest.mark.parametrize(
    ("size", "expression"), [(2, "1 + 2"), (3, "( 1 + 2 ) + 3"), (4, "( ( 1 + 2 ) + 3 ) + 4")]
)
def test_answer_tokens_bounds_the_answer(size: int, expression: str) -> None:
    assert answer_tokens(size) == len(f"</think> <answer> {expression} </answer>".split())


def test_a_draft_cut_back_goes_on_as_if_nothing_had_been_written() -> None:
    draft, plain = Draft(), Draft()
    for each in (draft, plain):
        each.say("3", "+", "4", "=", "7")
    mark = draft.mark()
    draft.show("verification", "check", "9", "no")
    draft.backtrack("back")
    draft.cut(mark)
    for each in (draft, plain):
        each.backtrack("restart")
    assert (draft.text, draft.spans, draft.length) == (plain.text, plain.spans, plain.length)
    assert draft.text == "3 + 4 = 7 no restart"
