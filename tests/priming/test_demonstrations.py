"""Replies of an LLM teacher: every text gets a status, and what is usable can be trained on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habits.llm.requests import Answer, Reply, Request, Usage
from habits.models.tokenizer import build_tokenizer, encode_response
from habits.models.vocabulary import WORDS
from habits.priming.demonstrations import STATUSES, Demonstration, read_answer
from habits.tasks.countdown import Problem

PROBLEM = Problem((3, 7, 14), 28)
RIGHT = (
    "<think> 14 + 7 = 21 ; 21 + 3 = 24 no restart 14 / 7 = 2 no </think> <answer> ( 14 * 7 ) / 3 </answer>"
)
REQUEST = Request("anthropic", "claude-x", "Numbers: 3, 7, 14\nTarget: 28", 300)
TOKENIZER = build_tokenizer()


def read(text: str, stop: str = "end_turn", template: str = "short", longest: int = 60) -> Demonstration:
    answer = Answer.of(REQUEST, Reply(text, stop, Usage(), "msg_1", "claude-x"))
    return read_answer(answer, PROBLEM, template, longest)


def solved(thought: str, expression: str = "( 14 - 7 ) * 3") -> str:
    return f"<think> {thought} </think> <answer> {expression} </answer>"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (solved("14 - 7 = 7 ; 7 * 3 = 21 no"), "ok"),
        (f"\n {solved('14 - 7 = 7')}\n", "ok"),
        (solved("14 - 7 = 7").replace(" ", "\n"), "ok"),
        (solved("14 - 7 = 7", "( 14 - 7 ) * 4"), "ok"),
        (solved("14 minus 7 = 7"), "foreign_words"),
        (solved("14 - 7=7"), "foreign_words"),
        (solved("14 * 14 = 196"), "foreign_words"),
        (solved("nums 3 7 14"), "foreign_words"),
        (solved("<pad>"), "foreign_words"),
        (solved("<eos>"), "foreign_words"),
        (solved("14 - 7 = 7 ; " * 20), "too_long"),
        (solved("14 - 7 = 7", "21 = 21"), "unparsable"),
        (solved("14 - 7 = 7", "( 14 - 7"), "unparsable"),
        ("Sure! " + solved("14 - 7 = 7"), "malformed"),
        (solved("14 - 7 = 7") + " Hope this helps.", "malformed"),
        (solved("14 - 7 = 7").removeprefix("<think>"), "malformed"),
        (solved("</think>"), "malformed"),
        ("<think> 14 - 7 = 7 </think>", "malformed"),
        ("I can't help with that.", "malformed"),
        ("", "malformed"),
    ],
)
def test_a_reply_gets_the_status_that_fits(text: str, status: str) -> None:
    assert read(text).status == status


def test_refused_cut_off_and_missing_replies_are_values() -> None:
    assert read("I won't.", stop="refusal").status == "refused"
    cut = read("<think> 14 - 7", stop="max_tokens")
    assert (cut.status, cut.verdict, cut.response) == ("truncated", "truncated", "14 - 7")
    # A whole reply that happens to end at the limit is cut off all the same: nobody knows what followed.
    assert read(solved("14 - 7 = 7"), stop="max_tokens").status == "truncated"
    missing = read_answer(Answer(REQUEST, "error", None, "500"), PROBLEM, "short", 60)
    assert (missing.status, missing.reason, missing.response) == ("error", "500", None)


@pytest.mark.parametrize(
    ("thought", "expression", "verdict", "ending"),
    [
        ("14 * 7 = 98 no restart 7 - 3 = 4 ; 14 + 4 = 18 no", "14 + ( 7 - 3 )", "wrong_value", "gave_up"),
        ("7 - 3 = 4 ; 14 * 4 = 28 check 28 yes", "14 * ( 7 - 3 )", "wrong_value", "slip"),
        ("14 + 14 = 28", "14 + 14", "wrong_numbers", "slip"),
        ("", "( 14 * 7 ) - ( 3 + 67 )", "wrong_numbers", "gave_up"),
    ],
)
def test_wrong_endings_are_told_apart_by_what_they_claim(
    thought: str, expression: str, verdict: str, ending: str
) -> None:
    found = read(solved(thought, expression))
    assert (found.status, found.verdict, found.ending) == ("ok", verdict, ending)


def test_a_right_answer_is_found_whatever_the_thought_says() -> None:
    found = read_answer(
        Answer.of(REQUEST, Reply(solved("no", "( 14 / 7 ) + 3"), "end_turn", Usage(), "1", "m")),
        Problem((3, 7, 14), 5),
        "short",
        60,
    )
    assert (found.verdict, found.ending) == ("correct", "found")


def test_english_keeps_its_lines_and_has_no_foreign_words() -> None:
    text = "<think>\nFirst, 14 / 7 = 2.\nThat is not 28.\n</think>\n<answer> (14 / 7) * 3 </answer>"
    found = read(text, template="paper_base")
    assert found.status == "ok" and found.n_tokens == 23 and not found.foreign_words
    assert found.response == text.removeprefix("<think>")


words = st.lists(st.sampled_from([*WORDS, "three", "14*7", "é", "\x00", "</think>", "<answer>"]), max_size=70)


@given(
    st.one_of(st.text(), words.map(" ".join), words.map(lambda w: solved(" ".join(w)))),
    st.sampled_from(["end_turn", "max_tokens", "refusal", "something new"]),
    st.sampled_from(["short", "paper_base"]),
)
def test_any_text_gets_a_status_and_what_is_usable_can_be_trained_on(
    text: str, stop: str, template: str
) -> None:
    found = read(text, stop, template)
    assert found.status in STATUSES
    if found.status == "ok":
        assert found.response is not None and found.ending in ("found", "slip", "gave_up")
        if template == "short":
            assert len(encode_response(TOKENIZER, found.response)) == (found.n_tokens or 0) + 1 <= 61
    assert len(" ".join(found.foreign_words)) < 1000
