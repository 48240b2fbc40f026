"""Asking one by one, through the vendors' SDKs and a socket, a server that misbehaves."""

import json
import os
import re
import signal
import sys
import time
from pathlib import Path

import children
import pytest
from asking import CANARY, QUICK, SYSTEM, VENDORS, llm_for, questions
from dvc.repo.experiments.executor.local import EXEC_TMP_DIR
from vendor_faults import Fault, first, some
from vendor_server import Asked, Said, VendorServer

from habits.llm.client import SCRATCH, MissingReplyError, ask
from habits.llm.ledger import Balance, BudgetError, Ledger
from habits.llm.pacing import Waits
from habits.llm.providers import ProviderError
from habits.llm.requests import Answer, Request
from habits.llm.segments import EXPERIMENTS, REPLIES
from habits.llm.store import ReplyStore, spent_by_rule
from habits.params import Llm

ALL = (*VENDORS, "local")
TOO_MANY = Fault("status", 429)


def ask_all(llm: Llm, model: str, count: int = 40, **fields: object) -> list[Answer]:
    return ask(llm, model, questions(llm, model, count, **fields), rule="try", waits=QUICK)


def balance(budget: float = 50.0) -> Balance:
    return Ledger(SCRATCH / "ledger.sqlite", budget, []).balance()


def assert_good(answers: list[Answer], count: int = 40) -> None:
    """Each answer is the one to its question, in the order of the questions."""
    assert [answer.status for answer in answers] == ["ok"] * count
    for answer in answers:
        assert answer.reply is not None and answer.reply.text.startswith(answer.request.user + " -> ")


# What is sent and what comes back


@pytest.mark.parametrize("model", ALL)
def test_every_request_is_answered_stored_and_counted(model: str) -> None:
    with VendorServer(key=CANARY if model != "local" else None) as server:
        llm = llm_for(server)
        answers = ask_all(llm, model)
        assert_good(answers)
        assert len(server.bill) == 40
        assert_good(ask_all(llm, model))
        assert len(server.bill) == 40, "what is stored is not asked again"
        assert balance() == Balance(50.0, pytest.approx(server.paid), 0.0, 0.0)
    (row,) = spent_by_rule().to_dict("records")
    assert (row["rule"], row["calls"], row["in_batches"]) == ("try", 40, 0)
    assert row["usd"] == pytest.approx(server.paid)


def test_a_request_to_claude_caches_its_system_block() -> None:
    bodies = []

    def answer(asked: Asked) -> str:
        bodies.append(asked.body)
        return "{}"

    with VendorServer(answer) as server:
        llm = llm_for(server, max_in_flight=1)
        answers = ask_all(llm, "claude", 3, temperature=0.5, schema={"type": "object"})
    assert bodies[0] == {
        "model": "claude-x-20260101",
        "max_tokens": 200,
        "temperature": 0.5,
        "system": [{"type": "text", "text": SYSTEM, "cache_control": {"type": "ephemeral"}}],
        "messages": [{"role": "user", "content": "question 0: 3 7 25 -> 0"}],
        "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}},
    }
    usage = [answer.reply.usage for answer in answers if answer.reply]
    assert usage[0].cache_write == usage[1].cached_input == usage[2].cached_input > 0
    assert usage[0].cached_input == usage[1].cache_write == 0


def test_a_request_to_gpt_asks_for_structured_output() -> None:
    bodies = []

    def answer(asked: Asked) -> str:
        bodies.append(asked.body)
        return "{}"

    with VendorServer(answer) as server:
        models = json.loads(llm_for(server).model_dump_json())["models"]
        models["gpt"]["options"] = {"seed": 5}
        llm = llm_for(server, models=models)
        ask_all(llm, "gpt", 1, schema={"type": "object"})
    assert bodies == [
        {
            "model": "gpt-x-2026-01-01",
            "max_tokens": 200,
            "seed": 5,
            "messages": [
                {"role": "system", "content": SYSTEM},
                {"role": "user", "content": "question 0: 3 7 25 -> 0"},
            ],
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "answer", "strict": True, "schema": {"type": "object"}},
            },
        }
    ]


@pytest.mark.parametrize("model", VENDORS)
def test_stop_reasons_and_refusals_have_one_name_for_all_vendors(model: str) -> None:
    def answer(asked: Asked) -> Said:
        reason = ["end_turn", "max_tokens", "refusal"][int(asked.user.split()[1][:-1]) % 3]
        return Said(f"{asked.user} -> said", reason)

    with VendorServer(answer) as server:
        answers = ask_all(llm_for(server), model, 3)
    assert [a.status for a in answers] == ["ok", "ok", "refused"]
    assert [a.reply.stop_reason for a in answers if a.reply] == ["end_turn", "max_tokens", "refusal"]
    assert answers[2].reply is not None and answers[2].reply.text.endswith("said")
    assert len(ReplyStore().payments()) == 3, "a refusal is paid for and stored"


def test_equal_requests_are_asked_once_and_samples_are_told_apart() -> None:
    with VendorServer() as server:
        llm = llm_for(server)
        same = questions(llm, "gpt", 2) * 3
        samples = [Request.to(llm, "gpt", user="u", max_tokens=9, sample=n) for n in range(4)]
        answers = ask(llm, "gpt", same + samples, rule="try", waits=QUICK)
    assert [a.request for a in answers] == same + samples
    assert len(server.bill) == 2 + 4


def test_hostile_text_arrives_as_it_is() -> None:
    text = "\x00\u2028 </script> \ud83d\ude00 \\ud800 ☃ " + "x" * 100_000
    with VendorServer(lambda asked: Said(text + "\ud800", output_tokens=5)) as server:
        (answer,) = ask_all(llm_for(server), "gpt", 1)
    assert (
        answer.reply is not None
        and answer.reply.text == text.encode("utf-16", "surrogatepass").decode("utf-16") + "\ufffd"
    )
    assert ReplyStore().get([answer.request.key])[answer.request.key] == answer.reply


def test_no_more_than_max_in_flight_at_once_and_progress_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    with VendorServer(latency=0.05) as server:
        assert_good(ask_all(llm_for(server, max_in_flight=5), "gpt"))
        assert server.most_at_once == 5
    line = capfd.readouterr().err.splitlines()[-1]
    assert re.fullmatch(r"\[try gpt\] 40/40  usd [\d.e-]+  per_second [\d.]+  in_flight 0  0s left", line)


def test_queued_experiments_share_replies_and_budget_with_their_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DVC runs them in copies of the project, and deletes those that fail."""
    assert EXPERIMENTS == (".dvc", "tmp", EXEC_TMP_DIR)
    copy = tmp_path.joinpath(*EXPERIMENTS, "tmp8a7b")
    copy.mkdir(parents=True)
    monkeypatch.chdir(copy)
    with VendorServer() as server:
        assert_good(ask_all(llm_for(server), "gpt"))
        monkeypatch.chdir(tmp_path)
        assert balance().spent == pytest.approx(server.paid)
        assert_good(ask_all(llm_for(server), "gpt"))
        assert len(server.bill) == 40
    assert list(copy.iterdir()) == []


def ask_slowly(url: str) -> None:
    ask_all(llm_for(url), "gpt", 500)


def test_an_interrupted_step_seals_what_it_has() -> None:
    with VendorServer(latency=0.02) as server:
        process = children.start(ask_slowly, server.url, log=Path("log"))
        while len(server.bill) < 100:
            time.sleep(0.005)
        os.kill(process.pid or 0, signal.SIGINT)
        assert children.finish(process) == [1] and "KeyboardInterrupt" in Path("log").read_text()
        assert not list(REPLIES.glob("*.journal"))
        assert len(ReplyStore().payments()) >= len(server.bill) - 16


# Faults. Every one ends with all answers, none stored twice.

FAULTS = {
    "429 storm": (first(30, Fault("status", 429, {"retry-after": "0.05"})), 0),
    "429 now and then, in milliseconds": (some(0.3, Fault("status", 429, {"retry-after-ms": "20"})), 0),
    "429 without a word when": (some(0.3, TOO_MANY), 0),
    "overloaded": (some(0.3, Fault("status", 529)), 0),
    "down for a while": (first(25, Fault("status", 503, {"retry-after": "0.1"})), 0),
    "internal errors": (some(0.2, Fault("status", 500)), 0),
    "resets": (some(0.2, Fault("reset")), 1),
    "truncated bodies": (some(0.2, Fault("truncated")), 1),
    "no JSON": (some(0.2, Fault("garbled")), 1),
    "slow bodies": (some(0.2, Fault("slow", seconds=0.2)), 0),
    "gateway timeouts": (some(0.2, Fault("late_status", 504)), 1),
}


@pytest.mark.parametrize("model", VENDORS)
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_costs_time_and_no_answer(name: str, model: str) -> None:
    fault, billed = FAULTS[name]
    with VendorServer(fault=fault, key=CANARY) as server:
        assert_good(ask_all(llm_for(server), model))
        lost = len(server.bill) - 40
        assert (lost > 0) == bool(billed), "on the bill though the reply never arrived"
    assert len(ReplyStore().payments()) == 40
    now = balance()
    assert now.spent == pytest.approx(sum(usd for _, usd in ReplyStore().payments()))
    assert now.reserved == 0.0
    assert now.spent + now.lost >= server.paid - 1e-9, "what may have been billed stays counted"
    assert (now.lost > 0) == bool(billed)


@pytest.mark.parametrize("status, asked, others", [(429, 2.0, 1.0), (529, 1.0, 1.0)])
@pytest.mark.parametrize("unit", ["retry-after", "retry-after-ms"])
def test_everybody_waits_as_the_server_asks(unit: str, status: int, asked: float, others: float) -> None:
    """After a 429, the refused request in full; the others but for the second it may be rounded by."""
    header = {unit: f"{asked * (1000 if unit.endswith('ms') else 1):.0f}"}
    came: list[tuple[str, float]] = []

    def answer(question: Asked) -> str | Fault:
        came.append((question.user, time.monotonic()))
        return Fault("status", status, header) if len(came) == 8 else f"{question.user} -> fine"

    with VendorServer(answer, latency=0.01) as server:
        assert_good(ask_all(llm_for(server, max_in_flight=4), "gpt"))
    refused, at = came[7]
    after = [when - at for _, when in came[8:]]
    assert sum(wait < others - 0.01 for wait in after) <= 4, "only those on their way came earlier"
    assert [when - at >= asked - 0.01 for user, when in came[8:] if user == refused] == [True]


def test_concurrency_shrinks_when_the_server_says_so_and_grows_again() -> None:
    """A server that bears three at once."""
    refused = []

    def fault(number: int, path: str) -> Fault | None:
        refused.append(server.at_once >= 3)
        return Fault("status", 429, {"retry-after-ms": "10"}) if refused[-1] else None

    with VendorServer(fault=fault, latency=0.02) as server:
        assert_good(ask_all(llm_for(server, max_in_flight=64), "gpt", 300), 300)
        assert server.most_at_once == 3
    assert sum(refused[-100:]) < 50, "at the end it mostly asks what the server bears"


@pytest.mark.parametrize("number", [7, 39])
def test_a_poisonous_request_becomes_an_error_and_the_others_are_answered(number: int) -> None:
    """Also when it is the last that is left."""

    def answer(asked: Asked) -> str | Fault:
        poisonous = f"question {number}:" in asked.user and not healed
        return Fault("status", 500) if poisonous else f"{asked.user} -> fine"

    healed = False
    with VendorServer(answer) as server:
        answers = ask_all(llm_for(server), "gpt")
        assert [n for n, a in enumerate(answers) if a.status == "error"] == [number]
        assert answers[number].reply is None and "500" in answers[number].reason
        healed = True
        assert_good(ask_all(llm_for(server), "gpt"))
        assert len(server.bill) == 40


def test_rejected_requests_are_errors_with_the_vendors_words() -> None:
    def fault(number: int, path: str) -> Fault | None:
        return Fault("status", 400, message="prompt is too long") if number in (5, 6) else None

    with VendorServer(fault=fault, latency=0.01) as server:
        answers = ask_all(llm_for(server), "claude")
    bad = [a for a in answers if a.status == "error"]
    assert len(bad) == 2 and all("400: prompt is too long" in a.reason for a in bad)
    assert balance().lost == 0.0


def test_when_every_request_is_rejected_it_stops() -> None:
    with VendorServer(fault=first(1000, Fault("status", 400, message="temperature is deprecated"))) as server:
        with pytest.raises(ProviderError, match="temperature is deprecated"):
            ask_all(llm_for(server), "claude", 500)
        assert server.asked < 60


def test_it_gives_up_on_a_server_that_never_answers() -> None:
    waits = Waits(first=0.01, longest=0.05, patience=0.5)
    with VendorServer(fault=first(10**6, Fault("status", 503))) as server:
        llm = llm_for(server)
        with pytest.raises(ProviderError, match="try gpt: no answer for 0 s; .* run it again later"):
            ask(llm, "gpt", questions(llm, "gpt", 5), rule="try", waits=waits)
    assert balance().room == 50.0


def test_nobody_is_there() -> None:
    waits = Waits(first=0.01, longest=0.05, patience=0.5)
    llm = llm_for("http://127.0.0.1:9")
    with pytest.raises(ProviderError, match="no answer"):
        ask(llm, "claude", questions(llm, "claude", 5), rule="try", waits=waits)
    assert balance().room == 50.0, "what never arrived was not billed"


# Errors that the user can mend


@pytest.mark.parametrize("model", VENDORS)
def test_a_retired_model_says_how_to_replay_or_replace(model: str) -> None:
    retired = ["claude-x-20260101", "gpt-x-2026-01-01"]
    with VendorServer(retired=retired) as server, pytest.raises(ProviderError) as error:
        ask_all(llm_for(server), model)
    for words in ("404", "-x-2026", "llm.mode: replay", "another model in its entry of llm.models"):
        assert words in str(error.value)


@pytest.mark.parametrize("model", VENDORS)
def test_a_wrong_key_stops_at_once_and_is_never_repeated(
    model: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CANARY_KEY", "sk-wrong-8d7a5b")
    with VendorServer(key=CANARY) as server, pytest.raises(ProviderError, match=r"401.*CANARY_KEY") as error:
        ask_all(llm_for(server), model)
    assert "8d7a5b" not in str(error.value) + "".join(capfd.readouterr())
    assert error.value.__cause__ is None


@pytest.mark.parametrize("padding", [0, 480, 485])
def test_a_key_is_not_told_where_a_long_message_is_cut_off(padding: int) -> None:
    fault = first(99, Fault("status", 403, message="x" * padding + CANARY + "y" * 100))
    with VendorServer(fault=fault) as server, pytest.raises(ProviderError, match="403") as error:
        ask_all(llm_for(server), "gpt")
    assert CANARY[:12] not in str(error.value)


def test_a_missing_key_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CANARY_KEY")
    with pytest.raises(ProviderError, match=r"CANARY_KEY is not set.*replay"):
        ask_all(llm_for("http://localhost:1"), "claude")


def test_no_credit_is_not_a_reason_to_wait() -> None:
    fault = first(99, Fault("status", 429, code="insufficient_quota"))
    with VendorServer(fault=fault) as server, pytest.raises(ProviderError, match="a key with credit"):
        ask_all(llm_for(server), "gpt")


# Replay


def ask_without_network(llm: Llm, requests: list[Request]) -> None:
    def hook(event: str, _: object) -> None:
        assert not event.startswith("socket."), event

    sys.addaudithook(hook)
    del children.os.environ["CANARY_KEY"]
    answers = ask(llm, "claude", requests, rule="try")
    print([answer.reply.text for answer in answers if answer.reply])


def test_replay_needs_no_network_and_no_key() -> None:
    with VendorServer() as server:
        llm = llm_for(server)
        answers = ask_all(llm, "claude")
    replay, log = llm_for("http://replay.invalid", mode="replay"), Path("log")
    requests = [answer.request for answer in answers]
    assert children.finish(children.start(ask_without_network, replay, requests, log=log)) == [0]
    assert log.read_text().strip() == str([answer.reply.text for answer in answers if answer.reply])


def test_replay_names_the_reply_that_is_missing() -> None:
    with VendorServer() as server:
        ask_all(llm_for(server), "claude", 3)
        llm = llm_for(server, mode="replay")
        requests = questions(llm, "claude", 5)
        with pytest.raises(MissingReplyError) as error:
            ask(llm, "claude", requests, rule="teaching")
        assert len(server.bill) == 3
    for words in ("teaching: llm.mode is replay", "2 of 5", "claude-x-20260101", requests[3].key, "dvc pull"):
        assert words in str(error.value)
    assert not list(REPLIES.glob("*.journal"))


# The budget


@pytest.mark.parametrize("model", VENDORS)
def test_the_budget_stops_before_it_is_exceeded_and_a_larger_one_goes_on(model: str) -> None:
    """Tokens of one byte each and answers of full length: the server bills what was reserved, nearly."""
    answer = lambda asked: Said(f"{asked.user} -> fine", output_tokens=asked.max_tokens)  # noqa: E731
    with VendorServer(answer, tokens_per_byte=1.0) as server:
        with pytest.raises(BudgetError, match="try: llm.budget_usd is 0.02"):
            ask_all(llm_for(server, budget_usd=0.02), model)
        assert 0.015 < server.paid <= 0.02
        before = len(server.bill)
        assert len(ReplyStore().payments()) == before, "all that was paid for is stored"
        assert_good(ask_all(llm_for(server), model))
        assert len(server.bill) == 40


def ask_a_share(url: str, number: int, budget: float) -> None:
    llm = llm_for(url, budget_usd=budget, max_in_flight=32)
    requests = questions(llm, "gpt", 400)[number::4]
    try:
        ask(llm, "gpt", requests, rule=f"share {number}", waits=QUICK)
    except BudgetError:
        print("stopped")


def test_several_processes_together_do_not_overspend_by_one_request() -> None:
    """Faults that bill without a reply included, by the server's own account."""
    answer = lambda asked: Said("x" * 50, output_tokens=asked.max_tokens)  # noqa: E731
    fault = some(0.05, Fault("reset"))
    with VendorServer(answer, tokens_per_byte=1.0, latency=0.01, fault=fault) as server:
        logs = [Path(f"log{number}") for number in range(4)]
        processes = [children.start(ask_a_share, server.url, n, 0.2, log=log) for n, log in enumerate(logs)]
        assert children.finish(*processes) == [0] * 4
        assert 0.18 < server.paid <= 0.2
        stored = sum(usd for _, usd in ReplyStore().payments())
        assert stored <= server.paid + 1e-9 < stored + balance(0.2).lost
    assert any(
        "stopped" in log.read_text() for log in logs
    )  # Not all: one may be done before the others start.


def test_nothing_of_the_key_is_written_anywhere(capfd: pytest.CaptureFixture[str]) -> None:
    with VendorServer(key=CANARY, fault=some(0.2, Fault("reset"))) as server:
        for model in VENDORS:
            assert_good(ask_all(llm_for(server), model))
            assert_good(ask_all(llm_for(server, batch=True), model, max_tokens=77))
    for path in Path().rglob("*"):
        assert not path.is_file() or CANARY.encode() not in path.read_bytes(), path
    assert CANARY not in "".join(capfd.readouterr())
