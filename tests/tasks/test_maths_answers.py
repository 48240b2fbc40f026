"""Final answers: where they are found, what is equal to what, and what no response can do to the grader."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habits.tasks.maths import Problem, grade
from habits.tasks.maths.answers import Answer, boxed, extract, unwrapped
from habits.tasks.maths.numbers import last_number, parse_number, same
from habits.tasks.maths.reward import compare, cut_at
from habits.tasks.maths.verifier import Comparison, Verifier


class Never:
    """A comparer for what exact rules must decide alone."""

    def compare(self, gold: str, answer: str) -> Comparison:
        raise AssertionError(f"math-verify was asked about {gold!r} and {answer!r}")


@pytest.fixture(scope="module")
def verifier() -> Iterator[Verifier]:
    with Verifier(seconds=2) as made:
        yield made


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("18", 18),
        ("-3", -3),
        ("\u22123", -3),
        ("+7", 7),
        ("1,250", 1250),
        ("1,250,000.50", Fraction(2500001, 2)),
        ("$1,250", 1250),
        ("\\$18.00", 18),
        ("\uffe518", 18),
        ("0.5", Fraction(1, 2)),
        (".5", Fraction(1, 2)),
        ("5.", 5),
        ("3/4", Fraction(3, 4)),
        ("\\frac{3}{4}", Fraction(3, 4)),
        ("-\\dfrac{3}{4}", Fraction(-3, 4)),
        ("2 1/2", Fraction(5, 2)),
        ("2\\frac{1}{2}", Fraction(5, 2)),
        ("18 dollars", 18),
        ("18\u5143", 18),
        ("12 cm\u00b2", 12),
        ("12cm", 12),
        ("5 m", 5),
        ("18 pieces of cake.", 18),
        ("\uff11\uff18", 18),
        ("007", 7),
        ("9" * 40, int("9" * 40)),
    ],
)
def test_numbers_are_read_exactly(text: str, value: int | Fraction) -> None:
    found = parse_number(text)
    assert found is not None and found.value == value and not found.percent


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "x",
            "18 - 3",
            "3 + 4",
            "1,25",
            "12,34",
            "1.2.3",
            "2**9",
            *("18x = 3", "18x", "18 x", "2 pi", "2pi", "3 sqrt"),
            "1e5",
            "9" * 41,
            "3/0",
            "--3",
        ),
        *("12 13", "x = 18", "\\sqrt{2}", "(1, 2)", "1" + " " * 500, "0x10", "18 19"),
        *("5\u00b2", "2\u00bd", "\u00bd"),  # for math-verify: normalized, they would be 52 and 21/2
    ],
)
def test_what_is_not_just_a_number_is_none(text: str) -> None:
    assert parse_number(text) is None


def test_percents_are_equal_to_what_was_asked_for() -> None:
    fifty, half, percent = (parse_number(text) for text in ("50", "1/2", "50%"))
    assert fifty and half and percent
    assert same(fifty, percent) and same(percent, fifty) and same(half, percent) and same(percent, half)
    assert not same(fifty, half)


@given(st.fractions(), st.sampled_from(["{}", "${}", " {} ", "{} apples", "{}."]))
def test_a_fraction_written_out_is_itself(value: Fraction, form: str) -> None:
    found = parse_number(form.format(f"{value.numerator}/{value.denominator}".replace("/1", "/1")))
    assert found is None or found.value == value
    if abs(value.numerator) < 10**12 and form in ("{}", " {} "):
        assert found is not None


@given(st.integers(-(10**15), 10**15))
def test_separators_of_thousands_change_nothing(value: int) -> None:
    plain, grouped = parse_number(str(value)), parse_number(f"{value:,}")
    assert plain is not None and plain == grouped and plain.value == value


@pytest.mark.parametrize(
    ("response", "text", "form"),
    [
        ("so 3 </think> <answer> 18 </answer>", "18", "tag"),
        ("<answer>3</answer> no </think><answer>\n 18\n</answer>", "18", "tag"),
        ("</think> <answer> \\boxed{18} </answer>", "18", "tag"),
        ("first \\boxed{3}, then \\boxed{\\frac{1}{2}}.", "\\frac{1}{2}", "boxed"),
        ("$\\boxed{18}$ and 20 more words", "18", "boxed"),
        ("\\boxed{18} and \\boxed{unclosed", "18", "boxed"),
        ("It is 3. The final answer is $\\frac{1}{2}$. I hope", "\\frac{1}{2}", "phrase"),
        ("The answer is 18.5 dollars. Next, 7", "18.5 dollars", "phrase"),
        ("The answer is 7.\nWait. The answer is 18.", "18", "phrase"),
        ("She has 3.\n#### 1,250", "1,250", "phrase"),
        ("Final answer: **18**", "18", "phrase"),
        ("\u6240\u4ee5\u7b54\u6848\u662f18\u5143\u3002\u4e0b\u4e00\u9898 7", "18\u5143", "phrase"),
        ("\u7b54\u6848\u4e3a\uff1a 18", "18", "phrase"),
        ("3 + 15 = 18", "18", "last_number"),
        ("he pays $1,250.50 in all", "$1,250.50", "last_number"),
        ("that leaves -3", "-3", "last_number"),
        ("\u8fd8\u5269 65 \u672c\u3002", "65", "last_number"),
        ("so 18. ", "18", "last_number"),
    ],
)
def test_the_final_answer_is_found_and_how_it_was_given(response: str, text: str, form: str) -> None:
    found = extract(response)
    assert found is not None
    assert (found.text, found.form) == (text, form)


@pytest.mark.parametrize(
    "response", ["", "no number", "</think> <answer> </answer>", "\\boxed{}", "the answer is"]
)
def test_without_an_answer_there_is_none(response: str) -> None:
    assert extract(response) is None


@given(st.text())
def test_any_text_is_searched(text: str) -> None:
    found = extract(text)
    assert found is None or 0 < len(found.text) <= 300
    assert unwrapped(unwrapped(text)) == unwrapped(text)


@given(st.text(alphabet="{}\\boxed0 1$", max_size=200))
def test_a_box_has_balanced_braces(text: str) -> None:
    found = boxed(text)
    assert found is None or found.count("{") == found.count("}")


@pytest.mark.parametrize(
    ("gold", "answer", "equal"),
    [
        ("18", "18.0", True),
        ("1250", "1,250", True),
        ("0.75", "\\frac{3}{4}", True),
        ("18", "18 dollars", True),
        ("18", "19", False),
        ("18", "180", False),
        ("18", "-18", False),
        ("3.14", "3.1416", False),
        ("\\frac{1}{2}", "\\dfrac{1}{2}", True),
        ("x^2 + 1", "x^2+1", True),
        ("(A)", "( a )", True),
    ],
)
def test_exact_rules_decide_alone(gold: str, answer: str, equal: bool) -> None:
    assert compare(gold, answer, Never()) == ("correct" if equal else "wrong_value")


@pytest.mark.parametrize(
    ("gold", "answer", "reason"),
    [
        ("\\sqrt{8}", "2\\sqrt{2}", "correct"),
        ("x^2+1", "1+x^2", "correct"),
        ("(1, 2)", "(1,2)", "correct"),
        ("\\{1, 2\\}", "\\{2,1\\}", "correct"),
        ("18", "x = 18", "correct"),
        ("1,250", "2 \\cdot 625", "correct"),
        ("\\frac{1}{2}", "0.5", "correct"),
        ("[0,1)", "[0,1]", "wrong_value"),
        ("\\pi", "3.14159", "wrong_value"),
        ("2\\sqrt{2}", "2\\sqrt{3}", "wrong_value"),
        ("18", "\\frac{1}{", "unparsable"),
        ("18", "1" * 400, "unparsable"),
    ],
)
def test_math_verify_decides_the_rest(gold: str, answer: str, reason: str, verifier: Verifier) -> None:
    assert compare(gold, answer, verifier) == reason


def test_a_bomb_is_timed_out_and_the_next_question_is_answered() -> None:
    with Verifier(seconds=1) as verifier:
        assert verifier.compare("99^{99^{99}}", "5") == "timed_out"
        assert verifier.compare("x+1", "1+x") == "equal"


@pytest.mark.parametrize(
    "answer",
    [
        "__import__('os').system('touch {0}')",
        "exec(\"open('{0}','w')\")",
        "\\text{{__import__('os').system('touch {0}')}}",
        "x = __import__('os').system('touch {0}')",
    ],
)
def test_nothing_of_an_answer_is_run(answer: str, verifier: Verifier, tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    for wrapped in (answer, f"\\boxed{{{answer}}}", f"The answer is {answer}"):
        grade(wrapped.replace("{0}", str(trace)), PROBLEM, verifier)
    assert not trace.exists()


def test_a_dead_worker_is_replaced(verifier: Verifier) -> None:
    assert verifier.compare("x+2", "2+x") == "equal"
    worker = verifier._worker
    assert worker is not None
    os.kill(worker.pid, 9)
    worker.wait()
    assert verifier.compare("x+1", "1+x") == "unparsable"
    assert verifier.compare("x+1", "1+x") == "equal"


PROBLEM = Problem("p", "How many?", "18", "en")


@pytest.mark.parametrize(
    ("response", "stopped", "reason", "format_ok"),
    [
        ("The final answer is 18.", True, "correct", True),
        ("so \\boxed{18}", True, "correct", True),
        ("3 + 15 = 18", True, "correct", False),
        ("The final answer is 19.", True, "wrong_value", True),
        ("3 + 15 = 19", True, "wrong_value", False),
        ("I do not know", True, "no_answer", False),
        ("3 + 15 = 18", False, "truncated", False),  # cut off in the middle of a thought
        ("I do not", False, "truncated", False),
        ("The final answer is 18. And now", False, "correct", True),
    ],
)
def test_a_verdict_has_a_reason_and_says_whether_the_asked_form_was_kept(
    response: str, stopped: bool, reason: str, format_ok: bool
) -> None:
    verdict = grade(response, PROBLEM, Never(), stopped=stopped)
    assert (verdict.reason, verdict.parts.format_ok) == (reason, format_ok)
    assert verdict.score == (1.0 if reason == "correct" else 0.0)


def test_a_response_ends_where_the_next_question_begins() -> None:
    response = " 3 + 15 = 18. The final answer is 18.\n\nQuestion: And now?\nAnswer: The final answer is 7."
    assert grade(cut_at(response, ("\nQuestion:",)), PROBLEM, Never()).reason == "correct"
    assert grade(response, PROBLEM, Never()).reason == "wrong_value"
    assert cut_at(response, ()) == response
    assert cut_at("a b c", ("b", "a")) == ""


@pytest.mark.parametrize(
    "text",
    [
        *("\\boxed{", "\\boxed{{", "<answer>", "the answer is ", "#### ", "1,", "1/", "9", "$", "**", "1 "),
        *("\u7b54\u6848\u662f", "{", "}", "\\text{", "-1.", "the answer is ,"),
    ],
)
def test_a_long_hostile_response_is_read_to_its_end(text: str) -> None:
    """In linear time: benchmarks/hostile_text.py."""
    assert extract(text * 40_000 + " So the answer is 18.") == Answer("18", "phrase")
    assert last_number(text * 40_000 + " and 18") == "18"
