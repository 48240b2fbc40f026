"""The bill before the run: right sums, nothing billed twice, stored replies free, no network, no key."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
import yaml
from asking import CANARY, llm_for
from vendor_server import VendorServer

from habits.cli import PRESETS
from habits.llm.plan import Errand, Plan, examples_of, plan_errands
from habits.llm.requests import Reply, Request, Usage
from habits.llm.store import Record, ReplyStore
from habits.llm.tokens import count_examples, estimated_tokens
from habits.params import Llm, Params, load
from habits.priming.planning import teaching_errands
from habits.tasks.countdown.sampling import sample

TODAY = date(2026, 11, 21)
SYSTEM = "word " * 1200

# Ends the process at the first connection or look-up of a name.
OFFLINE = """
import sys

def forbid(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo"):
        raise SystemExit(f"{event} {arguments}")

sys.addaudithook(forbid)
from habits.cli import app
app(sys.argv[1:])
"""


@pytest.fixture
def store(tmp_path: Path) -> ReplyStore:
    return ReplyStore(tmp_path / "replies")


@pytest.fixture(scope="module")
def params() -> Params:
    return load(PRESETS / "laptop.yaml")


@pytest.fixture
def llm(params: Params) -> Llm:
    price = {"as_of": str(TODAY), "input": 3, "cached_input": 0.3, "cache_write": 3.75, "output": 15}
    entry = params.llm.models["claude"].model_dump(mode="json") | {"model": "sonnet"}
    entry["price"] = price | {"cached_from": 1024, "batch_discount": 0.5}
    local = params.llm.models["local"].model_dump(mode="json")
    raw = params.llm.model_dump(mode="json") | {"models": {"claude": entry, "local": local}}
    return Llm.model_validate(raw)


def errand(llm: Llm, numbers: Sequence[int], name: str = "claude", system: str = SYSTEM) -> Errand:
    requests = [Request.to(llm, name, system=system, user=f"question {n}", max_tokens=100) for n in numbers]
    return Errand("teaching", "a set", name, requests, len(requests), 50)


def paid(request: Request, *, read: int = 1210, written: int = 60, usd: float = 0.01) -> Record:
    reply = Reply("text", "end_turn", Usage(input=read, output=written), request.key, "sonnet")
    return Record(request, reply, request.key, 1.0, "teaching", usd, False)


def bill(llm: Llm, errands: Sequence[Errand], store: ReplyStore) -> Plan:
    return plan_errands(llm, errands, store, TODAY)


def test_the_sum_is_calls_times_tokens_times_price(llm: Llm, store: ReplyStore) -> None:
    (line,) = bill(llm, [errand(llm, range(1000))], store).lines
    assert (line.calls, line.stored) == (1000, 0)
    assert (line.input_tokens, line.output_tokens) == (1_202_000, 50_000)
    assert line.sync_usd == pytest.approx(1.202 * 3 + 0.05 * 15)
    assert line.batch_usd == pytest.approx(line.sync_usd / 2)
    # The system block is written to the cache once and read 999 times.
    assert line.cache_usd == pytest.approx((1.2 * 3) - (1200 * 3.75 + 999 * 1200 * 0.3) / 1e6)
    assert line.sync_usd < line.most_usd * 2 and line.batch_usd < line.most_usd


def test_a_short_system_block_is_never_cached(llm: Llm, store: ReplyStore) -> None:
    (line,) = bill(llm, [errand(llm, range(1000), system="word " * 1000)], store).lines
    assert line.cache_usd == 0.0


def test_what_is_stored_costs_nothing_and_tells_how_long_replies_are(llm: Llm, store: ReplyStore) -> None:
    work = errand(llm, range(100))
    store.add(paid(request) for request in work.requests[:40])
    store.close()
    plan = bill(llm, [work], store)
    (line,) = plan.lines
    assert (line.stored, line.measured, line.output_tokens) == (40, True, 60 * 60)
    assert line.input_tokens == pytest.approx(60 * 1210)
    assert plan.spent_usd == pytest.approx(0.4)
    store.add(paid(request) for request in work.requests[40:])
    (line,) = bill(llm, [work], store).lines
    assert (line.stored, line.usd, line.most_usd) == (100, 0.0, 0.0)


def test_a_request_that_two_steps_make_is_billed_once(llm: Llm, store: ReplyStore) -> None:
    first, second = bill(llm, [errand(llm, range(100)), errand(llm, range(300))], store).lines
    assert (first.calls, second.calls) == (100, 200)
    assert second.sync_usd == pytest.approx(2 * first.sync_usd, rel=0.01)


def test_examples_stand_for_requests_that_cannot_be_written_yet(llm: Llm, store: ReplyStore) -> None:
    whole = errand(llm, range(500))
    (exact,), (guessed,) = (
        bill(llm, [work], store).lines
        for work in (whole, replace(whole, requests=whole.requests[:5], examples=True))
    )
    assert guessed.calls == exact.calls
    assert guessed.sync_usd == pytest.approx(exact.sync_usd, rel=0.01)


def test_batches_are_chosen_as_the_settings_say(llm: Llm, store: ReplyStore) -> None:
    for batch, name, usd in ((True, "claude", "batch_usd"), (False, "claude", "sync_usd")):
        settings = llm.model_copy(update={"batch": batch})
        (line,) = bill(settings, [errand(settings, range(10), name)], store).lines
        assert line.usd == getattr(line, usd) > 0
        assert (line.seconds is None) == batch
    (local,) = bill(llm, [errand(llm, range(10), "local")], store).lines
    assert (local.batch_usd, local.usd) == (None, 0.0) and local.seconds


def test_the_text_says_whether_the_budget_holds_it(llm: Llm, store: ReplyStore) -> None:
    work = errand(llm, range(1000))
    rich, poor = (llm.model_copy(update={"budget_usd": usd}) for usd in (50, 1))
    assert "which fits" in bill(rich, [work], store).to_text()
    assert "does NOT fit" in bill(poor, [work], store).to_text()
    assert "Nothing is asked" in bill(llm, [], store).to_text()


def test_an_old_price_is_told(llm: Llm, store: ReplyStore) -> None:
    work = [errand(llm, range(3))]
    assert "check it" not in bill(llm, work, store).to_text()
    assert "days old, check it" in plan_errands(llm, work, store, date(2027, 12, 1)).to_text()


def test_json_holds_what_the_table_shows(llm: Llm, store: ReplyStore) -> None:
    plan = bill(llm, [errand(llm, range(1000))], store)
    values = json.loads(plan.to_json())
    assert values["usd"] == plan.usd == values["lines"][0]["usd"]
    assert values["left_usd"] == values["budget_usd"] - values["spent_usd"]


@pytest.mark.parametrize(
    ("text", "claude", "gpt"),
    [
        ("", 0, 0),
        ("3 + 7 = 10 ;", 6, 8),
        ("check 28 no", 3, 4),
        ("incomprehensibilities", 3, 3),
        ("1234", 2, 2),
        ("a\n", 2, 2),
    ],
)
def test_tokens_are_words_numbers_and_signs(text: str, claude: int, gpt: int) -> None:
    assert estimated_tokens(text, "anthropic") == claude and estimated_tokens(text, "openai") == gpt


def test_vendors_count_if_they_are_asked_and_free_of_charge(store: ReplyStore) -> None:
    with VendorServer(tokens_per_byte=0.5, key=CANARY) as server:
        llm = llm_for(server)
        gone = llm.models["local"].model_copy(update={"base_url": "http://127.0.0.1:9"})
        llm = llm.model_copy(update={"models": {**llm.models, "local": gone}})
        errands = [errand(llm, range(100), name) for name in ("claude", "gpt", "local")]
        counted = count_examples(llm, examples_of(errands))
        assert not server.bill and server.asked == 0 and sum(server.calls.values()) == 16
    plan = plan_errands(llm, errands, store, TODAY, counted)
    size = sum(len(r.system + r.user) for r in errands[0].requests)
    assert [line.input_tokens for line in plan.lines[:2]] == [pytest.approx(0.5 * size, rel=0.01)] * 2
    assert plan.lines[2].input_tokens == bill(llm, errands, store).lines[2].input_tokens
    assert "by the vendor on examples (of teaching by claude, of teaching by gpt)" in plan.to_text()
    assert "Tokens of local are estimated, as its server did not count them" in plan.to_text()


def test_the_bill_of_the_papers_size_is_the_one_that_arithmetic_gives(params: Params, llm: Llm) -> None:
    """Six sets of 1,050 calls in English at $3 and $15 a million: tens of dollars, half in batches."""
    models = {
        name: spec.model_copy(update={"prompt_template": "paper_base"})
        for name, spec in params.models.items()
    }
    english = params.model_copy(update={"teacher": "claude", "llm": llm, "models": models})
    errands = [e for e in teaching_errands(english, sample(params.countdown)["train"]) if e.calls == 1050]
    assert len(errands) == 6
    plan = bill(llm, errands, ReplyStore(Path("nowhere")))
    sync, batch = (sum(getattr(line, key) for line in plan.lines) for key in ("sync_usd", "batch_usd"))
    assert 30 < sync < 70 and batch == pytest.approx(sync / 2)


def test_the_command_needs_no_network_no_key_and_no_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = yaml.safe_load((PRESETS / "smoke.yaml").read_text()) | {"teacher": "claude"}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(raw))
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    run = subprocess.run(
        [sys.executable, "-c", OFFLINE, "plan"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert "backtracking_verification" in run.stdout and "Budget: $50.00" in run.stdout
