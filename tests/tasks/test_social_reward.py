"""The Social IQa reward: DeepEnlighten's executed cases, and a grammar-based adversary against it."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from habits.social_params import SOCIAL_REWARDS, SocialReward
from habits.tasks.social_iqa import Problem, compute_score, grade

from .social_adversary import OPTIONS, PROBLEMS, Adversary, Case, judge

P = PROBLEMS[1]
ANSWERED = " Tracy misses Riley. </think>\n<answer> {} </answer>"


# What DeepEnlighten's reward function paid when it was executed (format +-1), right option (B)


@pytest.mark.parametrize(
    ("response", "paid"),
    [
        pytest.param(ANSWERED.format("(B)"), 3, id="right"),
        pytest.param(ANSWERED.format("(A)"), -1, id="wrong"),
        pytest.param(ANSWERED.format("(D)"), -2, id="letter_that_is_no_option"),
        pytest.param(ANSWERED.format("B"), -2, id="no_parentheses"),
        pytest.param(" Hm. </think> so <answer> (B) </answer>", 1, id="text_between_the_tags"),
        pytest.param(ANSWERED.format("(B)") + " Done.", 1, id="text_behind"),
        pytest.param(ANSWERED.format("(B)") + " <answer> (B) </answer>", 1, id="the_same_answer_twice"),
        pytest.param(ANSWERED.format("(B)") + "<|im_end|>", 3, id="one_end_of_text"),
        pytest.param(ANSWERED.format("(B)") + "<|im_end|><|im_end|>", 1, id="two_ends_of_text"),
        pytest.param(" Tracy misses Riley, so it must", -4, id="truncated"),
        pytest.param("<answer> (B) </answer>", -4, id="thought_not_closed"),
    ],
)
def test_paid_like_the_original_where_it_is_right(response: str, paid: float) -> None:
    assert grade(response, P).score == paid


@pytest.mark.parametrize(
    ("response", "paid", "original"),
    [
        pytest.param(" </think> <answer> (B) </answer>", 1, 3, id="empty_thought"),
        pytest.param(" ... </think> <answer> (B) </answer>", 1, 3, id="thought_of_dots"),
        pytest.param(ANSWERED.format("(B) or maybe (A)"), -2, 3, id="hedging_inside_the_answer"),
        pytest.param(ANSWERED.format("(B)") + "<answer> (A) </answer>", -4, 1, id="two_different_answers"),
        pytest.param(f" Assistant: no, {ANSWERED.format('(B)')}", 3, -4, id="header_word_in_the_response"),
        pytest.param(ANSWERED.format("(b)"), 3, -2, id="lower_case"),
    ],
)
def test_paid_better_than_the_original_where_it_is_wrong(response: str, paid: float, original: float) -> None:
    assert grade(response, P).score == paid != original


@pytest.mark.parametrize("label", [2, "2", " 2\n", np.int64(2)], ids=repr)
def test_labels_count_as_numbers_and_as_text(label: Any) -> None:
    """The original compares text and marks every answer wrong when labels are numbers."""
    truth = {"label": label, "answerA": "a", "answerB": "b", "answerC": "c"}
    paid = compute_score("social_iqa", ANSWERED.format("(B)"), truth)
    assert paid == {"score": 3.0, "acc": 1.0, "reason": "correct", "format_ok": 1.0}


# Our own rules


@pytest.mark.parametrize(
    "answer",
    ["(B)", "(B).", "(B) Go home and see (B) Riley.", "(b): go home and see (b) riley", "\n(B)\n", "(B) -"],
)
def test_an_answer_is_a_letter_alone_or_with_its_option(answer: str) -> None:
    verdict = grade(ANSWERED.format(answer), P)
    assert (verdict.reason, verdict.parts.letter, verdict.parts.format_ok) == ("correct", "B", True)


@pytest.mark.parametrize(
    "answer",
    [
        *(
            "",
            "B)",
            "(B",
            "[B]",
            "((B))",
            "(AB)",
            "(2)",
            "2",
            "The answer is (B)",
            "(B) make a plan",
            "(B)(A)",
        ),
        *("(B) or C", "(B) Go home", "( B )", "(Ｂ)", "(В)", "(B)\x00", "not (A)"),
    ],
)
def test_an_answer_that_does_not_name_exactly_one_option_is_invalid(answer: str) -> None:
    verdict = grade(ANSWERED.format(answer), P)
    assert (verdict.reason, verdict.score, verdict.parts.letter) == ("unparsable", -2.0, None)
    assert verdict.parts.fault


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ("<answer> (B) </answer> </think> <answer> (A) </answer>", "wrong_option"),
        ("<answer> (B) </answer> </think> done", "no_answer"),
        (" x </think> y </think> <answer> (B) </answer>", "correct"),
        (" <think> x </think> <answer> (B) </answer>", "correct"),
        (" x </think> <answer> <answer> (B) </answer> </answer>", "unparsable"),
        (" x </think>" + " <answer> (B) </answer>" * 9, "unparsable"),
        (" x </think> <ANSWER> (B) </ANSWER>", "no_answer"),
        (" x </think> <answer> (B)", "no_answer"),
        ("", "no_answer"),
    ],
)
def test_only_the_part_behind_the_last_thought_is_read_and_tags_out_of_place_cost_the_format(
    response: str, reason: str
) -> None:
    verdict = grade(response, P)
    assert (verdict.reason, verdict.parts.format_ok) == (reason, False)


def test_a_cut_off_response_is_truncated_unless_its_answer_is_complete() -> None:
    assert grade(" Tracy is", P, stopped=False).reason == "truncated"
    assert grade(ANSWERED.format("(B)"), P, stopped=False).reason == "correct"


def test_format_weights_are_those_of_the_originals_code_and_of_its_readme() -> None:
    by_readme = SOCIAL_REWARDS["readme"]
    cases = {ANSWERED.format("(B)"): 4, ANSWERED.format("(A)"): 0, ANSWERED.format("B"): -1, "": -5}
    assert {text: grade(text, P, reward=by_readme).score for text in cases} == cases
    assert SOCIAL_REWARDS["code"] == SocialReward(format=1, correct=2, wrong=-2, invalid=-3)


def test_verl_contract_takes_weights_and_the_cut() -> None:
    truth = {"label": "1", **{f"answer{x}": text for x, text in zip("ABC", OPTIONS, strict=True)}}
    paid = compute_score("social_stories", ANSWERED.format("(B)"), truth, {"index": 1}, format=2, wrong=-1)
    assert paid == {"score": 1.0, "acc": 0.0, "reason": "wrong_option", "format_ok": 1.0}
    assert compute_score("social_iqa", " Tracy", truth, {"stopped": False})["reason"] == "truncated"


def test_verl_contract_refuses_what_it_cannot_grade() -> None:
    with pytest.raises(ValueError, match="'gsm8k'"):
        compute_score("gsm8k", "", {"label": "1"})
    options = {"answerA": "a", "answerB": "b", "answerC": "c"}
    for truth in ({"label": "1"}, options, {"label": "4", **options}, {"label": True, **options}):
        with pytest.raises(ValueError, match="ground_truth"):
            compute_score("social_iqa", "", truth)
    with pytest.raises(ValueError, match="invalid <= wrong < correct"):
        compute_score("social_iqa", "", {"label": "1", **options}, correct=-3.0)


def test_import_is_light() -> None:
    """Reward workers import this module; pandas and torch would cost each a second and more."""
    code = (
        "import sys, habits.tasks.social_iqa; print(sorted({'torch', 'pandas', 'numpy'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "answer",
    [
        "(B)" + " " * 200_000,
        "(B)" * 100_000,
        "<answer>" * 100_000,
        "<answer>(B)</answer>" * 20_000,
        "</think>" * 50_000,
        "</think><answer>" * 50_000,
    ],
    ids=lambda answer: f"{answer[:12]}...{len(answer)}",
)
def test_long_answers_are_graded(answer: str) -> None:
    """In linear time: benchmarks/hostile_text.py."""
    case = Case(ANSWERED.format(answer), P, True)
    assert grade(case.response, P).reason == judge(case).reason


@settings(max_examples=300, deadline=None)
@given(st.text(), st.text(alphabet="()ABCabcD .:-\n") | st.text(), st.booleans())
def test_any_text_gets_the_verdict_of_the_judge(thought: str, answer: str, stopped: bool) -> None:
    case = Case(f"{thought}</think><answer>{answer}</answer>", P, stopped)
    verdict = grade(case.response, P, stopped=stopped)
    judged = judge(case)
    assert (verdict.reason, verdict.parts.format_ok) == (judged.reason, judged.format_ok)


def test_adversary() -> None:
    reasons = _attack(seed=1, cases=5000)
    assert set(reasons) == {"correct", "wrong_option", "unparsable", "no_answer", "truncated"}
    assert min(reasons.values()) > 100  # every outcome is attacked, not only the easy ones


@pytest.mark.slow
def test_adversary_at_length() -> None:
    assert sum(_attack(seed=2, cases=200_000).values()) == 200_000


def _attack(seed: int, cases: int) -> Counter[str]:
    """Grade many cases: no exception, the judge's verdict, its pay. Counts the reasons."""
    adversary = Adversary(seed)
    reasons: Counter[str] = Counter()
    for number in range(cases):
        case = adversary.case()
        verdict = grade(case.response, case.problem, stopped=case.stopped)
        judged, where = judge(case), f"seed {seed}, case {number}: {case}"
        assert (verdict.reason, verdict.parts.format_ok) == (judged.reason, judged.format_ok), where
        answer = {"correct": 2.0, "wrong_option": -2.0}.get(judged.reason, -3.0)
        assert verdict.score == answer + (1.0 if judged.format_ok else -1.0), where
        reasons[verdict.reason] += 1
    return reasons


def test_published_letters_name_their_options() -> None:
    problem = Problem("x", "", "", ("yes", "no", "both"), 2)
    assert (problem.letter, problem.label) == ("C", "3")
