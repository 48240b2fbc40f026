"""Replies of judges: only what was asked for is read, whatever else a model or server may send."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from habits.behaviors.counts import Span
from habits.behaviors.judgements import Judgement, joint_schema, locate, read_count, read_joint
from habits.priming.language import BEHAVIORS

SPACE = st.text(" \t\n\r", max_size=5)
JUDGEMENT = st.fixed_dictionaries(
    {"evidence": st.lists(st.text(max_size=12), max_size=4), "number": st.integers(0, 999)}
)
JOINT = st.fixed_dictionaries({behavior: JUDGEMENT for behavior in BEHAVIORS})
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


# <count> tags


@given(st.integers(0, 999), SPACE, SPACE, st.text(max_size=40), st.text(max_size=40))
def test_a_count_is_read_with_any_white_space_and_words_around(
    count: int, before: str, after: str, head: str, tail: str
) -> None:
    text = f"{head}<count>{before}{count}{after}</count>{tail}"
    if "<count" not in head + tail:
        assert read_count(text) == Judgement(evidence=[], number=count)


@given(st.text(max_size=60))
@example("<count></count>")
@example("<count> </count>")
@example("<count>-1</count>")
@example("<count>1.0</count>")
@example("<count>1 2</count>")
@example("<count>1000</count>")
@example("<count>three</count>")
@example("<count>٣</count>")
@example("<count>3")
@example("<count>3</ count>")
@example("<COUNT>3</COUNT>")
@example("<count>2</count> <count>3</count>")
@example("<count>3</count> <count>many</count>")
@example('<count value="3"/>')
@example("3")
def test_anything_else_is_unparsable(text: str) -> None:
    assert read_count(text) is None


def test_the_same_count_twice_is_one_count() -> None:
    assert read_count("<count>3</count>, so <count> 3 </count>") == Judgement(evidence=[], number=3)


# JSON


@given(
    JOINT, st.sampled_from([None, 0, 2]), st.sampled_from(["{}", " {}\n", "```json\n{}\n```", "```\n{}```"])
)
def test_a_joint_answer_is_read_as_it_was_written(
    answer: dict[str, dict], indent: int | None, around: str
) -> None:
    text = around.replace("{}", json.dumps(answer, indent=indent))
    read = read_joint(text)
    assert read is not None
    assert {behavior: read[behavior].model_dump() for behavior in BEHAVIORS} == answer


@given(JSON | st.text(max_size=80))
@example({behavior: 1 for behavior in BEHAVIORS})
@example({behavior: {"evidence": [], "number": "1"} for behavior in BEHAVIORS})
@example({behavior: {"evidence": [], "number": True} for behavior in BEHAVIORS})
@example({behavior: {"evidence": [], "number": 1.0} for behavior in BEHAVIORS})
@example({behavior: {"evidence": [], "number": -1} for behavior in BEHAVIORS})
@example({behavior: {"evidence": [], "number": 1000} for behavior in BEHAVIORS})
@example({behavior: {"evidence": "check", "number": 1} for behavior in BEHAVIORS})
@example({behavior: {"evidence": [], "number": 1, "why": ""} for behavior in BEHAVIORS})
@example({behavior: {"evidence": [], "number": 1} for behavior in BEHAVIORS[1:]})
@example({behavior: {"evidence": [], "number": 1} for behavior in (*BEHAVIORS, "joy")})
def test_json_of_another_form_is_unparsable(value: object) -> None:
    assert read_joint(value if isinstance(value, str) else json.dumps(value)) is None


@given(JOINT, st.integers(1, 40))
def test_a_cut_off_answer_is_unparsable(answer: dict[str, dict], cut: int) -> None:
    assert read_joint(json.dumps(answer)[:-cut]) is None


@pytest.mark.parametrize(
    "text", ["[" * 90_000, '{"a":' * 20_000, "{" * 200_000, " " * 90_000, "```" + "\n" * 90_000]
)
def test_a_hostile_reply_is_refused(text: str) -> None:
    """In linear time: benchmarks/hostile_text.py."""
    assert read_joint(text) is None and read_count(text.replace("[", "<count> ")) is None


def test_the_schema_is_one_that_both_vendors_take_and_asks_for_quotes_before_numbers() -> None:
    schema = json.loads(json.dumps(joint_schema(), sort_keys=True))
    assert set(schema["properties"]) == set(schema["required"]) == set(BEHAVIORS)
    for inner in schema["properties"].values():
        assert inner["additionalProperties"] is False
        assert list(inner["properties"]) == ["evidence", "number"] == inner["required"]


# Quotes


@given(st.text("ab \n", min_size=1, max_size=40), st.data())
def test_a_quote_is_found_where_it_stands(response: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(response) - 1))
    quote = response[start : data.draw(st.integers(start + 1, len(response)))]
    (span,) = locate([quote], response)
    assert (span is None) == (not quote.strip())
    if span is not None:
        assert response[span.start : span.end].split() == quote.split()


@given(st.lists(st.text("ab.*+(\\", max_size=6), max_size=6), st.text("ab.*+(\\ ", max_size=30))
def test_spans_are_inside_and_show_the_quote(quotes: list[str], response: str) -> None:
    for quote, span in zip(quotes, locate(quotes, response), strict=True):
        assert span is None or response[span.start : span.end] == quote
        assert span is not None or quote == "" or response.count(quote) < quotes.count(quote)


def test_equal_quotes_are_one_occurrence_each() -> None:
    response = "check 21 no back check 21\nno"
    assert locate(["check 21 no"] * 3, response) == [Span(0, 11), Span(17, 28), None]
    assert locate(["", " ", "never", "NO"], response) == [None] * 4
