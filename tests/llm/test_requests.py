"""Requests: their keys name replies for ever, so they must not move."""

import json

import pytest
from asking import llm_for, questions
from hypothesis import given
from hypothesis import strategies as st

from habits.llm.prices import cost, most_input_tokens, worst_case
from habits.llm.requests import Answer, Reply, Request, Usage, printable
from habits.params import ParamsError

LLM = llm_for("http://localhost:1")
TEXT = st.text(max_size=60)
# Keys as they were when the first replies were stored. A change here loses all that was paid for.
KEPT = {
    Request("anthropic", "m-20260101", "Question", 100): (
        "406167fcdaf36d3cb266a6aeb3b2906dff72f0e40f76abf6a0ced873005df3bd"
    ),
    Request("openai", "m", "é ☃", 7, "System", 0.5, '{"type":"object"}', '{"seed":1}', 3): (
        "10f57c0bf2da7f358a33fc7b7577506caadfee104a9d9266cadfab0b95d1665c"
    ),
}


@pytest.mark.parametrize("request_", KEPT, ids=["plain", "full"])
def test_keys_do_not_move(request_: Request) -> None:
    assert request_.key == KEPT[request_]


def test_the_key_covers_what_is_asked_and_of_whom() -> None:
    asked = {"user": "u", "max_tokens": 9, "system": "s", "temperature": 0.5, "schema": {"a": 1}, "sample": 1}
    same = Request.to(LLM, "gpt", **asked)
    others = {
        "user": "v",
        "max_tokens": 8,
        "system": "t",
        "temperature": 0.6,
        "schema": {"a": 2},
        "sample": 2,
    }
    keys = {Request.to(LLM, "gpt", **(asked | {name: value})).key for name, value in others.items()}
    keys |= {Request.to(LLM, "claude", **asked).key, same.key}
    assert len(keys) == len(others) + 2


def test_the_key_is_blind_to_server_price_and_name_of_the_entry() -> None:
    elsewhere = llm_for("http://other:2")
    price = {**json.loads(LLM.models["gpt"].price.model_dump_json()), "input": 99.0}
    models = {"renamed": {**json.loads(elsewhere.models["gpt"].model_dump_json()), "price": price}}
    renamed = llm_for("http://other:2", models=models)
    keys = {
        Request.to(llm, name, user="u", max_tokens=1).key
        for llm, name in ((LLM, "gpt"), (elsewhere, "gpt"), (renamed, "renamed"), (LLM, "local"))
    }
    assert len(keys) == 1


def test_options_of_the_entry_are_part_of_the_request() -> None:
    models = json.loads(LLM.model_dump_json())["models"]
    models["gpt"]["options"] = {"reasoning_effort": "low"}
    assert questions(llm_for("http://x", models=models), "gpt", 1) != questions(LLM, "gpt", 1)


def test_an_unknown_model_is_told_with_the_choices() -> None:
    with pytest.raises(ParamsError, match="'cloud' is not in llm.models; choose claude, gpt, local"):
        Request.to(LLM, "cloud", user="u", max_tokens=1)


@given(
    st.builds(
        Request,
        provider=st.sampled_from(["anthropic", "openai"]),
        model=TEXT,
        user=TEXT,
        max_tokens=st.integers(1, 10**6),
        system=TEXT,
        temperature=st.none() | st.floats(0, 2),
        schema=st.none() | st.just('{"type":"object"}'),
        sample=st.integers(0, 9),
    )
)
def test_requests_survive_json(request_: Request) -> None:
    assert Request.from_json(request_.to_json()) == request_


@given(st.text(st.characters(), max_size=50), st.integers(0, 10**9))
def test_replies_survive_json_whatever_the_model_wrote(text: str, tokens: int) -> None:
    reply = Reply(printable(text), "end_turn", Usage(tokens, 1, 2, 3), "id", "m")
    assert Reply.from_json(reply.to_json()) == reply
    reply.text.encode()


def test_half_a_surrogate_pair_becomes_printable() -> None:
    assert printable("a\ud800b \U0001f600") == "a\ufffdb \U0001f600"


def test_a_refusal_is_an_answer_with_a_reply() -> None:
    (request,) = questions(LLM, "gpt", 1)
    assert Answer.of(request, Reply("no", "refusal", Usage(), "id", "m")).status == "refused"
    assert Answer.of(request, Reply("yes", "max_tokens", Usage(), "id", "m")).status == "ok"


def test_cost_by_kind_of_token_and_in_batches() -> None:
    price = LLM.models["claude"].price  # 1, 0.1, 1.25 and 5 dollars per million
    usage = Usage(input=1000, cached_input=10_000, cache_write=800, output=400)
    assert cost(price, usage, batch=False) == pytest.approx(0.005)
    assert cost(price, usage, batch=True) == pytest.approx(0.0025)


@given(st.text(max_size=200), st.text(max_size=200), st.integers(1, 4000))
def test_no_reply_costs_more_than_the_worst_case(system: str, user: str, most: int) -> None:
    """The tokenizer that makes most tokens makes one of each byte."""
    request = Request.to(LLM, "claude", user=user, system=system, max_tokens=most)
    price = LLM.models["claude"].price
    system_tokens, user_tokens = len(system.encode()), len(user.encode())
    for usage in (
        Usage(input=system_tokens + user_tokens, output=most),
        Usage(cache_write=system_tokens, input=user_tokens, output=most),
    ):
        assert cost(price, usage, batch=False) <= worst_case(price, request, batch=False)
        assert cost(price, usage, batch=True) <= worst_case(price, request, batch=True)
    assert most_input_tokens(request) >= system_tokens + user_tokens
