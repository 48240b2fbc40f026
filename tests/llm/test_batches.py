"""Batches through the vendors' SDKs and a socket: all that can be wrong with one, and what it costs."""

import json
import re
import time
from pathlib import Path

import children
import pytest
from asking import QUICK, VENDORS, llm_for, questions
from vendor_faults import BatchFaults, Fault, first
from vendor_server import Asked, Said, VendorServer

from habits.llm.client import SCRATCH, ask
from habits.llm.intents import IntentError, alone, write_intent
from habits.llm.ledger import Balance, BudgetError, Ledger
from habits.llm.providers import ProviderError
from habits.llm.requests import Answer
from habits.llm.store import ReplyStore, spent_by_rule
from habits.params import Llm

BATCHES = SCRATCH / "batches"
pytestmark = pytest.mark.parametrize("model", VENDORS)


def batched(server: VendorServer | str, **changes: object) -> Llm:
    return llm_for(server, batch=True, **changes)


def ask_all(llm: Llm, model: str, count: int = 30, **fields: object) -> list[Answer]:
    return ask(llm, model, questions(llm, model, count, **fields), rule="try", waits=QUICK)


def assert_good(answers: list[Answer]) -> None:
    for answer in answers:
        assert answer.reply is not None and answer.reply.text.startswith(answer.request.user + " -> ")


def assert_nothing_left(lost: bool = False) -> None:
    """No batch is under way, no money reserved; what was stored is what was spent."""
    assert {path.name for path in BATCHES.iterdir()} <= {"lock"}
    now = balance()
    assert now.reserved == 0.0 and (now.lost > 0) == lost
    assert now.spent == pytest.approx(sum(usd for _, usd in ReplyStore().payments()))


def balance() -> Balance:
    return Ledger(SCRATCH / "ledger.sqlite", 50.0, []).balance()


def test_a_batch_costs_half_and_comes_back_in_the_order_of_the_requests(model: str) -> None:
    with VendorServer(batch_seconds=0.1) as server:
        assert_good(ask_all(batched(server), model))
        in_batch = server.paid
        assert len(server.batches) == 1 and len(server.bill) == 30
        ask_all(llm_for(server), model, max_tokens=201)
        assert server.paid - in_batch == pytest.approx(2 * in_batch, rel=0.1)
    assert_nothing_left()
    (row,) = spent_by_rule().to_dict("records")
    assert (row["calls"], row["in_batches"]) == (60, 30)


def test_a_model_without_batches_is_asked_one_by_one(model: str) -> None:
    del model
    with VendorServer() as server:
        assert_good(ask_all(batched(server), "local"))
        assert not server.batches


def test_equal_requests_are_sent_once(model: str) -> None:
    with VendorServer() as server:
        llm = batched(server)
        assert_good(ask(llm, model, questions(llm, model, 5) * 3, rule="try", waits=QUICK))
        assert len(server.bill) == 5


FAULTS = {
    "expired": (BatchFaults(expired=0.4), False),
    "all expired": (BatchFaults(expired=1.0, batches=2), False),
    "partial errors": (BatchFaults(errored=0.3), False),
    "duplicates": (BatchFaults(duplicate=0.5), False),
    "unknown ids": (BatchFaults(unknown=5), False),
    "missing results": (BatchFaults(missing=0.3), True),
    "garbled results": (BatchFaults(garbled=0.3), True),
    "downloads that break off": (BatchFaults(cut_downloads=2), False),
    "an answer to the creation that never arrives": (BatchFaults(lost_creations=1), False),
    "all of it": (
        BatchFaults(2, 0.1, 0.1, 0, 0.1, 0.1, 3, 0.1, lost_creations=1, cut_downloads=1),
        True,
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_costs_time_and_no_answer(name: str, model: str) -> None:
    """Nothing is paid twice, unless the vendor itself loses results that it bills."""
    faults, vendor_loses = FAULTS[name]
    with VendorServer(batch_faults=faults, batch_seconds=0.05) as server:
        assert_good(ask_all(batched(server), model))
        assert bool(server.paid_twice()) == vendor_loses
        now = balance()
        assert now.spent + now.lost >= server.paid - 1e-9
    assert len(ReplyStore().payments()) == 30
    assert_nothing_left(lost=vendor_loses)


def test_rejected_requests_are_errors_and_not_sent_again(model: str) -> None:
    with VendorServer(batch_faults=BatchFaults(batches=9, rejected=0.3)) as server:
        answers = ask_all(batched(server), model)
        assert len(server.batches) == 1
    bad = [answer for answer in answers if answer.status == "error"]
    assert 0 < len(bad) < 30 and all("rejected on demand" in answer.reason for answer in bad)
    assert_nothing_left()


def test_a_retired_model_says_how_to_replay_or_replace(model: str) -> None:
    """Anthropic answers each request so, OpenAI the batch as a whole."""
    with VendorServer(retired=["claude-x-20260101", "gpt-x-2026-01-01"]) as server:
        with pytest.raises(ProviderError) as error:
            ask_all(batched(server), model)
        assert len(server.batches) == 1
    for words in ("_not_found" if model == "gpt" else "not_found_error", "llm.mode: replay", "another model"):
        assert words in str(error.value)
    assert_nothing_left()


def test_requests_that_expire_every_time_become_errors(model: str) -> None:
    with VendorServer(batch_faults=BatchFaults(batches=9, expired=1.0)) as server:
        answers = ask_all(batched(server), model)
        assert len(server.batches) == 3
    assert {answer.status for answer in answers} == {"error"}
    assert all("expired" in answer.reason for answer in answers)
    assert_nothing_left()


def test_a_batch_that_fails_as_a_whole_is_told_and_the_next_run_begins_anew(model: str) -> None:
    with VendorServer(batch_faults=BatchFaults(fails=True)) as server:
        words = r"try \w+: batch \w+_0000: it (failed bad_line: failed on demand|was cancelled).*next run"
        with pytest.raises(ProviderError, match=words):
            ask_all(batched(server), model)
        assert_nothing_left()
        assert_good(ask_all(batched(server), model))
        assert not server.paid_twice()


def test_a_batch_without_id_that_nobody_needs_any_more_is_collected_too(model: str) -> None:
    """The vendor's answer to its creation was lost, then its process was killed."""
    with VendorServer(batch_faults=BatchFaults(lost_creations=1)) as server:
        process = children.start(ask_in_child, server.url, model, 30)
        while not server.batches:
            time.sleep(0.001)
        process.kill()
        children.finish(process)
        (state,) = BATCHES.glob("*.state.json")
        if "batch_0" in state.read_text():  # It was quicker and had found it.
            state.write_text(json.dumps({"posted_at": time.time(), "batch": None}))
        assert_good(ask_all(batched(server), model, max_tokens=99))
        assert_good(ask_all(batched(server, mode="replay"), model))
    assert_nothing_left()


@pytest.mark.parametrize("status", [429, 503])
def test_a_creation_that_is_turned_away_is_tried_again(status: int, model: str) -> None:
    fault = first(2, Fault("status", status, {"retry-after": "0.05"}))
    with VendorServer(fault=fault) as server:
        assert_good(ask_all(batched(server), model))
        assert len(server.batches) == 1 and not server.paid_twice()


def test_a_creation_that_is_rejected_stops_and_leaves_nothing(model: str) -> None:
    with VendorServer(fault=first(1, Fault("status", 400, message="bad batch"))) as server:
        with pytest.raises(ProviderError, match="400: bad batch"):
            ask_all(batched(server), model)
        assert_nothing_left()
        assert_good(ask_all(batched(server), model))


def test_polls_bear_every_fault(model: str) -> None:
    def fault(number: int, path: str) -> Fault | None:
        return Fault("status", 500 + number % 4) if path == "look" and number % 3 else None

    with VendorServer(fault=fault, batch_seconds=0.2) as server:
        assert_good(ask_all(batched(server), model))
        assert not server.paid_twice()


# Kills and other processes


def ask_in_child(url: str, model: str, count: int) -> None:
    ask_all(batched(url), model, count)


def kill_after_sending(server: VendorServer, model: str) -> None:
    process = children.start(ask_in_child, server.url, model, 30)
    while not any("batch_0" in path.read_text() for path in BATCHES.glob("*.state.json")):
        time.sleep(0.005)
    process.kill()
    children.finish(process)


def test_a_killed_runs_batch_is_picked_up(model: str, capfd: pytest.CaptureFixture[str]) -> None:
    with VendorServer(batch_seconds=0.5) as server:
        kill_after_sending(server, model)
        assert balance().lost > 0, "its process is gone, its reservation stays"
        assert_good(ask_all(batched(server), model))
        assert len(server.batches) == 1 and len(server.bill) == 30
    assert_nothing_left()


def test_a_batch_whose_id_never_came_is_found_even_if_it_turns_up_late(model: str) -> None:
    faults = BatchFaults(lost_creations=1)
    with VendorServer(batch_faults=faults, batch_visible_after=0.2) as server:
        assert_good(ask_all(batched(server), model))
        assert len(server.batches) == 1


def test_batches_of_others_are_not_taken_for_ours(model: str) -> None:
    """Same size, same time, same workspace; only the results tell."""
    with VendorServer(batch_faults=BatchFaults(lost_creations=2), batch_seconds=0.1) as server:
        llm = batched(server)
        others = questions(llm, model, 30, max_tokens=99)
        ask(llm, model, others, rule="x", replies=Path("their/replies"), scratch=Path("their"), waits=QUICK)
        assert_good(ask_all(llm, model))
        assert len(server.batches) == 2 and not server.paid_twice()


def test_an_intent_that_was_never_sent_is_dropped(model: str) -> None:
    with VendorServer() as server:
        llm = batched(server)
        with alone(BATCHES):
            write_intent(BATCHES, llm.models[model], "try", questions(llm, model, 30)[:7]).lock.close()
        assert_good(ask_all(llm, model))
        assert len(server.batches) == 1 and len(server.bill) == 30
    assert_nothing_left()


def test_two_processes_with_the_same_requests_pay_once(model: str) -> None:
    with VendorServer(batch_seconds=0.3) as server:
        processes = [children.start(ask_in_child, server.url, model, count) for count in (30, 30, 20)]
        assert children.finish(*processes) == [0, 0, 0]
        assert_good(ask_all(llm_for(server, mode="replay"), model))
        assert not server.paid_twice()
    assert_nothing_left()


def test_what_was_paid_is_collected_though_the_settings_have_changed(model: str) -> None:
    with VendorServer(batch_seconds=0.1) as server:
        kill_after_sending(server, model)
        time.sleep(0.2)
        assert_good(ask_all(batched(server), model, max_tokens=99))
        assert len(server.bill) == 60
        assert_good(ask_all(batched(server, mode="replay"), model))
    assert_nothing_left()


def test_a_batch_that_is_not_needed_and_not_ready_is_left_alone(model: str) -> None:
    with VendorServer(batch_seconds=3600.0) as server:
        kill_after_sending(server, model)
        server.batch_seconds = 0.0
        assert_good(ask_all(batched(server), model, max_tokens=99))
        (old,) = (batch for batch in server.batches.values() if not batch.ended)
        old.ready_at = 0.0
        assert_good(ask_all(batched(server), model))
        assert not server.paid_twice()
    assert_nothing_left()


def test_a_batch_that_the_server_does_not_know_is_told(model: str) -> None:
    with VendorServer(batch_seconds=0.5) as server:
        kill_after_sending(server, model)
        (state,) = BATCHES.glob("*.state.json")
        state.write_text(re.sub(r'"batch": \S+}', '"batch": "elsewhere_1"}', state.read_text()))
        with pytest.raises(ProviderError, match="404.*does not know this batch"):
            ask_all(batched(server), model)
        assert len(server.batches) == 1


def test_a_damaged_record_is_told_and_kept(model: str) -> None:
    with VendorServer(batch_seconds=0.5) as server:
        kill_after_sending(server, model)
        (intent,) = (path for path in BATCHES.glob("*.json") if not path.name.endswith(".state.json"))
        intent.write_text(intent.read_text()[:100])
        with pytest.raises(IntentError, match=f"{intent.name}: damaged"):
            ask_all(batched(server), model)
        assert intent.exists() and len(server.batches) == 1


# The budget


def full_length(asked: Asked) -> Said:
    return Said(f"{asked.user} -> fine", output_tokens=asked.max_tokens)


def test_a_budget_for_a_part_sends_a_part_and_then_what_it_still_covers(model: str) -> None:
    """Answers are shorter than they may be, so a second batch fits."""
    with VendorServer(batch_seconds=0.02) as server:
        assert_good(ask_all(batched(server, budget_usd=0.05), model, 100))
        assert len(server.batches) == 2 and server.paid <= 0.05
        assert len(server.bill) == 100 and not server.paid_twice()
    assert_nothing_left()


def test_a_budget_that_covers_next_to_nothing_sends_nothing(model: str) -> None:
    with VendorServer() as server:
        with pytest.raises(BudgetError):
            ask_all(batched(server, budget_usd=0.001), model, 100)
        assert not server.batches


def test_batches_never_exceed_the_budget(model: str) -> None:
    with VendorServer(full_length, tokens_per_byte=1.0) as server:
        with pytest.raises(BudgetError, match=r"0\.04\d+ spent, 0\.0000 reserved .* more may cost"):
            ask_all(batched(server, budget_usd=0.05), model, 100)
        assert 0.04 < server.paid <= 0.05
        assert len(ReplyStore().payments()) == len(server.bill)
        assert_good(ask_all(batched(server), model, 100))
        assert len(server.bill) == 100
