"""The ledger: the budget holds against every thread, process and kill."""

import os
import random
import threading
import time
from pathlib import Path

import children
import pytest

from habits.llm.ledger import Balance, BudgetError, Ledger, LedgerError

FILE = Path("scratch/llm/ledger.sqlite")


def ledger(budget: float = 1.0, *stored: tuple[str, float]) -> Ledger:
    return Ledger(FILE, budget, stored)


def test_a_reservation_gives_way_to_the_true_cost() -> None:
    book = ledger()
    assert book.reserve([("a", 0.6)])
    assert not book.reserve([("b", 0.5)]), "0.6 + 0.5 > 1"
    book.settle([("a", 0.2)])
    assert book.balance() == Balance(budget=1.0, spent=0.2, reserved=0.0, lost=0.0)
    assert book.reserve([("b", 0.5)])


def test_a_reservation_is_all_or_nothing() -> None:
    book = ledger()
    assert not book.reserve([("a", 0.6), ("b", 0.5)])
    assert book.balance().room == 1.0


def test_the_last_cent_can_be_spent_and_no_more() -> None:
    book = ledger(0.3)
    assert book.reserve([("a", 0.1), ("b", 0.2)]), "though 0.1 + 0.2 > 0.3 in floating point"
    assert not book.reserve([("c", 1e-9)])


def test_what_was_not_billed_is_given_back_and_what_may_have_been_is_not() -> None:
    book = ledger()
    assert book.reserve([("released", 0.3), ("lost", 0.3)])
    book.release(["released"])
    book.lose(["lost"])
    assert book.balance() == Balance(1.0, 0.0, 0.0, 0.3)
    book.release(["lost"])
    assert book.balance().room == 1.0, "when it turns out that it was not"


def test_paid_is_paid() -> None:
    book = ledger()
    book.settle([("a", 0.4)])
    book.release(["a"])
    book.lose(["a"])
    assert book.reserve([("a", 0.1)])
    assert book.balance().spent == 0.4


def test_a_new_ledger_knows_what_the_store_cost() -> None:
    assert ledger(1.0, ("a", 0.25), ("b", 0.5)).balance() == Balance(1.0, 0.75, 0.0, 0.0)
    assert ledger(1.0, ("a", 0.25), ("c", 0.125)).balance().spent == 0.875, "each counts once"


def test_a_reply_that_was_stored_before_a_kill_settles_its_reservation() -> None:
    assert ledger().reserve([("a", 0.5)])
    assert ledger(1.0, ("a", 0.1)).balance() == Balance(1.0, 0.1, 0.0, 0.0)


def test_the_refusal_says_what_is_spent_and_which_key_to_raise() -> None:
    book = ledger(0.5)
    book.settle([("a", 0.3)])
    assert book.reserve([("b", 0.1), ("c", 0.05)])
    book.lose(["c"])
    error = book.refusal("judging", 7, 0.2)
    assert isinstance(error, BudgetError)
    for words in ("judging: llm.budget_usd is 0.50", "0.3000 spent", "0.1000 reserved", "0.0500 perhaps"):
        assert words in str(error)
    assert "7 more may cost up to 0.2000" in str(error) and "Raise llm.budget_usd" in str(error)


def reserve_and_die(name: str, usd: float) -> None:
    ledger().reserve([(name, usd)])
    os._exit(1)


def test_reservations_of_dead_processes_stay_and_are_shown_as_lost() -> None:
    assert children.finish(children.start(reserve_and_die, "dead", 0.3)) == [1]
    book = ledger()
    assert book.reserve([("mine", 0.5)])
    assert book.balance() == Balance(1.0, 0.0, reserved=0.5, lost=0.3)
    assert not book.reserve([("more", 0.3)])


def spend(seed: int) -> None:
    """A process with four threads that reserve and settle until nothing fits any more."""

    def work(number: int) -> None:
        dice, book, turn = random.Random(f"{seed} {number}"), ledger(), 0
        for turn in range(200):
            name, most = f"{seed} {number} {turn}", dice.uniform(0.001, 0.02)
            if not book.reserve([(name, most)]):
                break
            if dice.random() < 0.1:
                book.lose([name])
            else:
                book.settle([(name, most * dice.random())])
        book.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_many_threads_of_many_processes_never_exceed_the_budget() -> None:
    book, highest = ledger(), 0.0
    spenders = [children.start(spend, seed) for seed in range(3)]
    while any(spender.is_alive() for spender in spenders):
        highest = max(highest, book.budget - book.balance().room)
        time.sleep(0.02)
    assert children.finish(*spenders) == [0] * 3
    now = book.balance()
    assert 0.9 < 1.0 - now.room <= 1.0 and highest <= 1.0
    assert now.spent > 0 and now.lost > 0


def reserve_until_killed() -> None:
    book = ledger(1000.0)
    for number in range(100_000):
        book.reserve([(f"{os.getpid()} {number}", 0.001)])
        book.settle([(f"{os.getpid()} {number}", 0.0005)])
        print(number, flush=True)


def test_a_kill_in_the_middle_leaves_a_ledger_that_adds_up() -> None:
    for attempt in range(5):
        log = Path(f"log{attempt}")
        process = children.start(reserve_until_killed, log=log)
        while not log.exists() or log.stat().st_size < 50:
            time.sleep(0.001)
        time.sleep(random.uniform(0, 0.02))
        process.kill()
        children.finish(process)
        book = ledger(1000.0)
        rows = book.database.execute("SELECT SUM(nano) FROM payments").fetchone()
        assert rows == book.database.execute("SELECT nano FROM total").fetchone()
        assert len(log.read_text().splitlines()) * 0.0005 <= book.balance().spent + 1e-6


def test_a_damaged_ledger_is_told_with_the_fix() -> None:
    FILE.parent.mkdir(parents=True)
    FILE.write_bytes(b"no database" * 1000)
    with pytest.raises(LedgerError, match=r"ledger\.sqlite: .*delete the file: it is made again"):
        ledger()
