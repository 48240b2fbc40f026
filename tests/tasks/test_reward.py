"""The Countdown reward: every known exploit by name, and a grammar-based adversary against it."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from habits.params import Reward
from habits.tasks.countdown import Problem, Verdict, compute_score, grade
from habits.tasks.countdown.expressions import MAX_LENGTH, ExpressionError, parse

from .adversary import PROBLEMS, Adversary, Case, judge

PAID = {"correct": 1.0, "wrong_value": 0.1, "wrong_numbers": 0.1}
P = Problem((14, 7, 3), 21)
GOLD = "( 14 - 7 ) * 3"


def answered(answer: str, problem: Problem = P) -> Verdict:
    """Verdict on a tidy response with this answer."""
    return grade(f" 14 - 7 = 7 </think> <answer> {answer} </answer>", problem)


def test_right_answer_is_paid_in_full() -> None:
    verdict = answered(GOLD)
    assert verdict.reason == "correct"
    assert verdict.score == 1.0
    assert verdict.parts.format_ok
    assert verdict.parts.thought_closed
    assert verdict.parts.answer == GOLD
    assert verdict.parts.value == "21"
    assert verdict.parts.fault is None


@pytest.mark.parametrize("answer", ["(14-7)*3", "3*(14-7)", "((14) - (7)) * 3", "3 *\n( 14\t- 7 )\r\n"])
def test_spacing_order_and_extra_parentheses_are_free(answer: str) -> None:
    assert answered(answer).reason == "correct"


def test_value_is_an_exact_rational() -> None:
    assert answered("8 / (3 - 8 / 3)", Problem((8, 3, 8, 3), 24)).reason == "correct"
    third = answered("1 / 3 * 3", Problem((1, 3, 3), 1))
    assert third.reason == "correct"
    nearly = answered("1 / 99999999 + 3", Problem((1, 99999999, 3), 3))
    assert nearly.reason == "wrong_value"
    assert answered("14 / 3 - 7").parts.value == "-7/3"


def test_usual_precedence_and_left_to_right() -> None:
    assert parse("10 - 4 - 3").value == 3
    assert parse("2 + 3 * 4").value == 14
    assert parse("24 / 4 / 2").value == 3
    assert parse("2 * (3 + 4) - 10 / 5").value == 12


@pytest.mark.parametrize(
    ("answer", "numbers", "target", "reason"),
    [
        pytest.param("2.5*10", (2, 5, 10), 25, "unparsable", id="decimal_splice"),
        pytest.param("2.5*4", (2, 5, 4), 10, "unparsable", id="decimal_splice_2"),
        pytest.param(".5+2", (5, 2), 2, "unparsable", id="leading_point"),
        pytest.param("2**5", (2, 5), 32, "unparsable", id="power"),
        pytest.param("2* *5", (2, 5), 32, "unparsable", id="power_with_space"),
        pytest.param("2^5", (2, 5), 32, "unparsable", id="caret"),
        pytest.param("7//2", (7, 2), 3, "unparsable", id="floor_division"),
        pytest.param("7/ /2", (7, 2), 3, "unparsable", id="floor_division_with_space"),
        pytest.param("7%2", (7, 2), 1, "unparsable", id="modulo"),
        pytest.param("9**9**9**9", (9, 9, 9, 9), 9, "unparsable", id="huge_power"),
        pytest.param("99**98**97", (99, 98, 97), 9, "unparsable", id="huge_power_that_hung_the_original"),
        pytest.param("factorial(4)", (4,), 24, "unparsable", id="factorial"),
        pytest.param("4!", (4,), 24, "unparsable", id="factorial_sign"),
        pytest.param("٣ * 7", (3, 7), 21, "unparsable", id="arabic_digits"),
        pytest.param("３ * ７", (3, 7), 21, "unparsable", id="fullwidth_digits"),
        pytest.param("3² * 7", (3, 2, 7), 63, "unparsable", id="superscript_digit"),
        pytest.param("3 × 7", (3, 7), 21, "unparsable", id="times_sign"),
        pytest.param("21 ÷ 7", (21, 7), 3, "unparsable", id="division_sign"),
        pytest.param("21 − 7", (21, 7), 14, "unparsable", id="minus_sign_of_unicode"),
        pytest.param("3\u00a0* 7", (3, 7), 21, "unparsable", id="no_break_space"),
        pytest.param("\u20033 * 7", (3, 7), 21, "unparsable", id="em_space_at_the_edge"),
        pytest.param("3 * 7 = 21", (3, 7), 21, "unparsable", id="equals_value"),
        pytest.param("21", (3, 7), 21, "wrong_numbers", id="the_target_itself"),
        pytest.param("05 + 4", (5, 4), 9, "unparsable", id="leading_zero"),
        pytest.param("0 + 5 + 4", (5, 4), 9, "wrong_numbers", id="added_zero"),
        pytest.param("-7 + 28", (7, 28), 21, "unparsable", id="unary_minus"),
        pytest.param("+7 + 14", (7, 14), 21, "unparsable", id="unary_plus"),
        pytest.param("28 + (-7)", (7, 28), 21, "unparsable", id="unary_minus_in_parentheses"),
        pytest.param("28 - -7", (7, 28), 35, "unparsable", id="unary_minus_after_operator"),
        pytest.param("1_0 + 5", (10, 5), 15, "unparsable", id="underscore_in_number"),
        pytest.param("0x10 + 5", (16, 5), 21, "unparsable", id="hexadecimal"),
        pytest.param("1e1 + 5", (10, 5), 15, "unparsable", id="exponent"),
        pytest.param("1 2 + 3", (1, 2, 3), 15, "unparsable", id="glued_by_space"),
        pytest.param("12 + 3", (1, 2, 3), 15, "wrong_numbers", id="glued_digits"),
        pytest.param("(2)(3)", (2, 3), 6, "unparsable", id="implied_product"),
        pytest.param("2(3)", (2, 3), 6, "unparsable", id="implied_product_2"),
        pytest.param("14 + 7", (14, 7, 3), 21, "wrong_numbers", id="subset_of_the_numbers"),
        pytest.param("3 * 7 * 7 / 7", (3, 7), 21, "wrong_numbers", id="number_used_again"),
        pytest.param("3 / (7 - 7)", (3, 7, 7), 3, "unparsable", id="division_by_zero"),
        pytest.param("0 / (7 - 7)", (0, 7, 7), 0, "unparsable", id="zero_by_zero"),
        pytest.param("3 * 7)", (3, 7), 21, "unparsable", id="closing_too_many"),
        pytest.param("(3 * 7", (3, 7), 21, "unparsable", id="closing_too_few"),
        pytest.param("3) * (7", (3, 7), 21, "unparsable", id="closing_before_opening"),
        pytest.param("() + 3 * 7", (3, 7), 21, "unparsable", id="empty_parentheses"),
        pytest.param("3 *", (3,), 3, "unparsable", id="operator_at_the_end"),
        pytest.param("", (3, 7), 21, "unparsable", id="empty_answer"),
        pytest.param("three times seven", (3, 7), 21, "unparsable", id="words"),
        pytest.param("3 * 7 # 5", (3, 7), 21, "unparsable", id="comment"),
        pytest.param("3 * 7, 5", (3, 7, 5), 21, "unparsable", id="tuple"),
        pytest.param("3 * 7\x00", (3, 7), 21, "unparsable", id="null_character"),
        pytest.param("3 * 7\x0b", (3, 7), 21, "unparsable", id="vertical_tab"),
        pytest.param("__import__('os').getpid()", (3, 7), 21, "unparsable", id="code"),
        pytest.param("[3 * 7][0]", (3, 7), 21, "unparsable", id="subscript"),
        pytest.param("1/0*0", (1, 0, 0), 0, "unparsable", id="zero_division_hidden"),
    ],
)
def test_exploit_answers(answer: str, numbers: tuple[int, ...], target: int, reason: str) -> None:
    verdict = answered(answer, Problem(numbers, target))
    assert verdict.reason == reason
    assert verdict.score == PAID.get(reason, 0.0)
    assert (verdict.parts.fault is not None) == (reason == "unparsable")


@pytest.mark.parametrize(
    ("response", "reason", "format_ok"),
    [
        pytest.param(f"</think><answer>{GOLD}</answer>", "correct", True, id="no_spaces"),
        pytest.param(
            "</think>\n<answer>\n( 14 - 7 )\n* 3\n</answer>\n", "correct", True, id="tag_over_lines"
        ),
        pytest.param(
            f"</think> So it is <answer>{GOLD}</answer>", "correct", True, id="words_before_the_tag"
        ),
        pytest.param(f"</think> <answer>{GOLD}</answer> Done!", "correct", False, id="text_after_the_tag"),
        pytest.param(f"<answer>{GOLD}</answer>", "correct", False, id="missing_think_tag"),
        pytest.param(f"</think> x </think> <answer>{GOLD}</answer>", "correct", False, id="two_think_tags"),
        pytest.param(
            f"</think> <answer>{GOLD}</answer> <answer>(14-7)*3</answer>",
            "correct",
            False,
            id="same_answer_twice",
        ),
        pytest.param(
            f"</think> <answer>{GOLD}</answer> <answer>14+7</answer>", "unparsable", False, id="two_answers"
        ),
        pytest.param(
            f"</think> <answer>14+7</answer> <answer>{GOLD}</answer>",
            "unparsable",
            False,
            id="two_answers_right_last",
        ),
        pytest.param(
            "</think> <answer>14 7 3</answer> <answer>1 4 7 3</answer>",
            "unparsable",
            False,
            id="other_tokens",
        ),
        pytest.param(
            f"</think> <answer>{GOLD}</answer>" * 9, "correct", False, id="only_the_last_thought_is_left"
        ),
        pytest.param(f"</think> {f'<answer>{GOLD}</answer>' * 9}", "unparsable", False, id="nine_answers"),
        pytest.param(
            f"<answer>{GOLD}</answer> </think> 14", "no_answer", False, id="answer_in_the_thought_only"
        ),
        pytest.param(
            f"<answer>14+7+3</answer> </think> <answer>{GOLD}</answer>",
            "correct",
            True,
            id="example_in_the_thought",
        ),
        pytest.param(f"</think> <answer>{GOLD}", "no_answer", False, id="unclosed_tag"),
        pytest.param(f"</think> {GOLD} </answer>", "no_answer", False, id="unopened_tag"),
        pytest.param(f"</think> </answer> <answer>{GOLD}</answer>", "correct", False, id="stray_closing_tag"),
        pytest.param(
            f"</think> <answer><answer>{GOLD}</answer></answer>", "unparsable", False, id="nested_tags"
        ),
        pytest.param(f"</think> <ANSWER>{GOLD}</ANSWER>", "no_answer", False, id="capital_tags"),
        pytest.param(
            f"</think> <answer>{GOLD}</think></answer>", "no_answer", False, id="think_tag_in_the_answer"
        ),
        pytest.param(f"</think> \\boxed{{{GOLD}}}", "no_answer", False, id="boxed"),
        pytest.param("", "no_answer", False, id="empty_response"),
    ],
)
def test_exploit_frames(response: str, reason: str, format_ok: bool) -> None:
    verdict = grade(response, P)
    assert verdict.reason == reason
    assert verdict.score == PAID.get(reason, 0.0)
    assert verdict.parts.format_ok == format_ok
    assert verdict.parts.thought_closed == ("</think>" in response)


def test_cut_off_response_is_truncated_unless_the_answer_is_complete() -> None:
    assert grade(" 14 - 7 = 7 ; 7 *", P, stopped=False).reason == "truncated"
    assert grade(f"</think> <answer> {GOLD} </answer>", P, stopped=False).reason == "correct"


def test_answer_in_the_prompt_is_never_read() -> None:
    """A response may quote a prompt-like header; what stands before its last closed thought is not read."""
    quoted = f"Assistant: <answer> {GOLD} </answer>\nAssistant: </think> I give up."
    assert grade(quoted, P).reason == "no_answer"


@pytest.mark.parametrize(
    "answer",
    [
        "(" * 5000 + GOLD + ")" * 5000,
        "+".join(["1"] * 5000),
        "9" * 100_000,
        "(" * 40 + "9" * 9 + ")" * 200,
        "*".join(["999999999"] * 25),
        "/".join(["999999999"] * 25),
        "-".join(f"1/{n}" for n in range(100, 150)),
        " " * 100_000 + GOLD,
        "<answer>" * 100_000,
        f"<answer>{GOLD}</answer>" * 20_000,
        "</answer>" * 100_000,
        "</think><answer>" * 50_000,
    ],
    ids=lambda answer: f"{answer[:12]}...{len(answer)}",
)
def test_long_deep_and_large_answers_are_graded(answer: str) -> None:
    """In linear time: benchmarks/hostile_text.py."""
    case = Case(f"</think> <answer> {answer} </answer>", P, True)
    assert grade(case.response, P).reason == judge(case)


def test_bounds_name_what_is_too_large() -> None:
    for text, word in [
        ("1+" * MAX_LENGTH, "characters"),
        ("1234567890", "digits"),
        ("(" * 60 + "1", "not closed"),
        ("1)", "not opened"),
        ("1 2", "'2'"),
        ("1 + x", "'x'"),
        ("01", "leading zero"),
        ("1 +", "the end"),
        ("1/0", "division by zero"),
    ]:
        with pytest.raises(ExpressionError, match=word):
            parse(text)


def test_reward_settings_decide_the_pay() -> None:
    pay = Reward(correct=2.0, well_formed=0.5, malformed=-1.0)
    scores = {
        answer: grade(f"</think><answer>{answer}</answer>", P, reward=pay).score
        for answer in (GOLD, "14", "x")
    }
    assert scores == {GOLD: 2.0, "14": 0.5, "x": -1.0}
    assert grade("", P, reward=pay).score == -1.0


@pytest.mark.parametrize(
    "numbers", [[14, 7, 3], (3, 7, 14), np.array([14, 7, 3])], ids=["list", "tuple", "array"]
)
def test_verl_contract(numbers: Any) -> None:
    truth = {"target": np.int64(21), "numbers": numbers}
    paid = compute_score("countdown", f" x </think> <answer> {GOLD} </answer>", truth)
    assert paid == {"score": 1.0, "acc": 1.0, "reason": "correct", "format_ok": 1.0}
    wrong = compute_score("countdown", "<answer> 14 + 7 + 3 </answer>", truth, {"index": 3}, well_formed=0.25)
    assert wrong == {"score": 0.25, "acc": 0.0, "reason": "wrong_value", "format_ok": 0.0}
    cut = compute_score("countdown", " 14 -", truth, {"stopped": False})
    assert cut["reason"] == "truncated"


def test_verl_contract_refuses_what_it_cannot_grade() -> None:
    with pytest.raises(ValueError, match="gsm8k"):
        compute_score("gsm8k", "", {"target": 21, "numbers": [3, 7]})
    for truth in ({"target": 21}, {"target": None, "numbers": [3]}, {"target": 2.5, "numbers": [3]}):
        with pytest.raises(ValueError, match="ground_truth"):
            compute_score("countdown", "", truth)
    with pytest.raises(ValueError, match="malformed <= well_formed"):
        compute_score("countdown", "", {"target": 21, "numbers": [3]}, correct=0.0)


def test_import_is_light() -> None:
    """Reward workers import this module; pandas and torch would cost each a second and more."""
    code = (
        "import sys, habits.tasks.countdown; print(sorted({'torch', 'pandas', 'numpy'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@settings(max_examples=300)
@given(st.text(), st.text(alphabet="0123456789+-*/() ."), st.booleans())
def test_any_text_gets_the_verdict_of_the_judge(thought: str, answer: str, stopped: bool) -> None:
    case = Case(f"{thought}</think><answer>{answer}</answer>", P, stopped)
    assert grade(case.response, P, stopped=stopped).reason == judge(case)


def test_adversary() -> None:
    reasons = _attack(seed=1, cases=5000)
    assert set(reasons) == {"correct", "wrong_value", "wrong_numbers", "unparsable", "no_answer", "truncated"}
    assert min(reasons.values()) > 100  # every outcome is attacked, not only the easy ones


@pytest.mark.slow
def test_adversary_at_length() -> None:
    assert sum(_attack(seed=2, cases=200_000).values()) == 200_000


def _attack(seed: int, cases: int) -> Counter[str]:
    """Grade many cases: no exception, the judge's reason, its pay. Counts the reasons."""
    adversary = Adversary(seed)
    reasons: Counter[str] = Counter()
    for number in range(cases):
        case = adversary.case()
        verdict = grade(case.response, case.problem, stopped=case.stopped)
        where = f"seed {seed}, case {number}: {case}"
        assert verdict.reason == judge(case), where
        assert verdict.score == PAID.get(verdict.reason, 0.0), where
        reasons[verdict.reason] += 1
    return reasons


def test_the_adversary_has_answers_to_find() -> None:
    """Its problems are solvable but for those kept to tempt: a power, a floor division."""
    gold = Adversary(0).gold
    assert [p.key for p in PROBLEMS if not gold[p]] == ["2-5=32"]
