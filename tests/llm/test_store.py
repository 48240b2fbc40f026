"""The response store: nothing that was paid for is ever lost, whoever writes, reads, dies or links."""

import os
import resource
import shutil
import signal
import time
from pathlib import Path

import children
import pytest
from asking import llm_for, questions

from habits.llm.requests import Reply, Request, Usage
from habits.llm.store import Record, ReplyStore, StoreError, spent_by_rule

REQUESTS = questions(llm_for("http://localhost:1"), "gpt", 50)
FOLDER = Path("data/replies")


def record(number: int, text: str = "", paid_at: float = 0.0, payment: str = "") -> Record:
    reply = Reply(text or f"reply {number} \u2028 \x00 ☃", "end_turn", Usage(10, 2, 3, number), "id", "m")
    payment = payment or f"payment {number}"
    return Record(REQUESTS[number], reply, payment, paid_at or 1e9 + number, "rule", 0.001 * number, False)


def keys(*numbers: int) -> list[str]:
    return [REQUESTS[number].key for number in numbers]


def stored() -> set[int]:
    with ReplyStore(FOLDER) as store:
        found = store.get(keys(*range(len(REQUESTS))))
    return {number for number, request in enumerate(REQUESTS) if request.key in found}


def write(start: int, count: int, pause: float = 0.0) -> None:
    """A process that stores replies and prints their numbers."""
    with ReplyStore(FOLDER) as store:
        for number in range(start, start + count):
            store.add([record(number)])
            print(number, flush=True)
            time.sleep(pause)


def test_what_was_added_is_found_by_key_now_and_later() -> None:
    with ReplyStore(FOLDER) as store:
        store.add([record(1), record(2)])
        assert REQUESTS[1].key in store and REQUESTS[3].key not in store
        assert store.get(keys(1, 3)) == {REQUESTS[1].key: record(1).reply}
    with ReplyStore(FOLDER) as later:
        assert later.get(keys(2, 1, 3)) == {REQUESTS[n].key: record(n).reply for n in (1, 2)}


def test_reading_writes_nothing_and_needs_no_folder() -> None:
    assert stored() == set()
    assert not FOLDER.exists()


def test_a_closed_store_is_segments_named_by_their_content() -> None:
    for folder in (FOLDER, Path("other")):
        with ReplyStore(folder) as store:
            store.add([record(2), record(1)])
    (here,), (there,) = FOLDER.iterdir(), Path("other").iterdir()
    assert here.name == there.name and here.read_bytes() == there.read_bytes()


def test_every_reply_is_on_disk_before_the_next_line_runs() -> None:
    """Another process sees it at once, in the journal of the living writer."""
    with ReplyStore(FOLDER) as store:
        store.add([record(4)])
        assert stored() == {4}
        assert list(FOLDER.glob("*.journal")), "a living process keeps its journal"


def test_a_journal_cut_at_any_byte_loses_only_what_was_not_whole() -> None:
    store = ReplyStore(FOLDER)
    for number in range(3):
        store.add([record(number)])
    (journal,) = FOLDER.glob("*.journal")
    content = journal.read_bytes()
    ends = [i for i, byte in enumerate(content) if byte == 10]
    for size in {0, 1, *range(0, len(content), 97), *ends, *(e + 1 for e in ends), len(content)}:
        shutil.rmtree("data")
        FOLDER.mkdir(parents=True)
        (FOLDER / "host-1-dead.journal").write_bytes(content[:size])
        assert stored() == set(range(sum(end < size for end in ends))), size
        assert not list(FOLDER.glob("*.journal")), "a dead process's journal is sealed"


def test_a_damaged_line_inside_a_journal_is_told_and_nothing_is_deleted() -> None:
    FOLDER.mkdir(parents=True)
    journal = FOLDER / "host-1-dead.journal"
    journal.write_bytes(b'{"key": "a"\n{}\n')
    with pytest.raises(StoreError, match=r"host-1-dead\.journal: damaged"):
        ReplyStore(FOLDER)
    assert journal.exists()


def test_sealing_that_was_killed_half_way_is_repeated_without_harm() -> None:
    with ReplyStore(FOLDER) as store:
        store.add([record(5)])
        (journal,) = FOLDER.glob("*.journal")
        content = journal.read_bytes()
    (segment,) = FOLDER.glob("*.parquet")
    journal.write_bytes(content)  # As if the kill came after the segment and before the journal's end.
    (FOLDER / "host-2-dead.part").write_bytes(b"half a segment")
    assert stored() == {5}
    assert list(FOLDER.glob("*.parquet")) == [segment]
    assert [amount for _, amount in ReplyStore(FOLDER).payments()] == [record(5).usd]


def test_processes_that_write_at_once_lose_nothing() -> None:
    writers = [children.start(write, first, 10) for first in (0, 10, 20, 30)]
    assert children.finish(*writers) == [0] * 4
    assert stored() == set(range(40))
    assert len(list(FOLDER.glob("*.parquet"))) == 4


def test_what_a_killed_process_said_it_stored_is_there() -> None:
    log = Path("said.txt")
    for first in (0, 10, 20):
        process = children.start(write, first, 10, 0.02, log=log)
        while not log.exists() or log.read_text().count("\n") < first / 2 + 3:
            time.sleep(0.005)
        process.kill()
        assert children.finish(process) == [-9]
        said = {int(line) for line in log.read_text().splitlines()}
        assert said <= stored() and len(stored()) < first + 10
    assert not list(FOLDER.glob("*.journal"))


def test_a_store_takes_note_of_what_others_add() -> None:
    store, other = ReplyStore(FOLDER), ReplyStore(FOLDER)
    other.add([record(1)])
    assert REQUESTS[1].key not in store
    store.refresh()
    assert store.get(keys(1)) == {REQUESTS[1].key: record(1).reply}
    other.close()  # The journal is gone, its segment is there.
    store.refresh()
    assert store.get(keys(1)) == {REQUESTS[1].key: record(1).reply}


def test_segments_may_be_read_only_hard_links() -> None:
    """As DVC leaves them: a write into one would go through to its cache."""
    with ReplyStore(FOLDER) as store:
        store.add([record(1)])
    (segment,) = FOLDER.glob("*.parquet")
    cache = Path("cached")
    os.link(segment, cache)
    segment.chmod(0o444)
    before = (cache.read_bytes(), cache.stat().st_mtime_ns)
    with ReplyStore(FOLDER) as store:
        store.add([record(2)])
    assert stored() == {1, 2}
    assert (cache.read_bytes(), cache.stat().st_mtime_ns) == before


def test_stores_are_merged_by_copying_files() -> None:
    for folder, numbers in ((FOLDER, (1, 2)), (Path("theirs"), (2, 3))):
        with ReplyStore(folder) as store:
            store.add(
                record(number, text=f"{folder} {number}", payment=f"{folder}{number}") for number in numbers
            )
    for file in Path("theirs").glob("*.parquet"):
        shutil.copy(file, FOLDER)
    assert stored() == {1, 2, 3}
    assert len(ReplyStore(FOLDER).payments()) == 4, "both paid for the second"


def test_of_two_replies_the_older_one_stays() -> None:
    """So an answer does not change when another store is merged in later, whatever its files are called."""
    for number, (text, paid_at) in enumerate([("second", 20.0), ("first", 10.0), ("third", 30.0)]):
        with ReplyStore(FOLDER) as store:
            store.add([record(1, text, paid_at, payment=f"p{number}")])
        with ReplyStore(FOLDER) as store:
            text = store.get(keys(1))[REQUESTS[1].key].text
            assert text == ("second" if number == 0 else "first")


def test_a_damaged_segment_is_named_with_the_fix() -> None:
    FOLDER.mkdir(parents=True)
    (FOLDER / "00ff.parquet").write_bytes(b"no parquet")
    with pytest.raises(StoreError, match=r"00ff\.parquet: not a segment.*dvc checkout --force data/replies"):
        ReplyStore(FOLDER)


def fill_disk() -> None:
    """The limit on the size of files stands in for the disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    store, free = ReplyStore(FOLDER), resource.RLIM_INFINITY
    store.add([record(0)])
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, free))
    with pytest.raises(OSError, match="File too large"):
        store.add([record(1, text="x" * 5000)])
    resource.setrlimit(resource.RLIMIT_FSIZE, (free, free))
    store.add([record(2)])
    store.close()


def test_a_full_disk_leaves_no_half_line_behind() -> None:
    assert children.finish(children.start(fill_disk)) == [0]
    assert stored() == {0, 2}


def test_spending_by_rule_and_model() -> None:
    assert spent_by_rule(FOLDER).empty
    with ReplyStore(FOLDER) as store:
        store.add([record(1), record(2)])
    with ReplyStore(FOLDER) as store:
        store.add([Record(REQUESTS[3], record(3).reply, "p", 1.0, "other", 0.5, True)])
        table = spent_by_rule(FOLDER)  # What a living process has stored counts too.
    assert table.to_dict("records") == [
        {"rule": "other", "model": "gpt-x-2026-01-01", "calls": 1, "in_batches": 1, "input": 10}
        | {"cached_input": 2, "cache_write": 3, "output": 3, "usd": 0.5},
        {"rule": "rule", "model": "gpt-x-2026-01-01", "calls": 2, "in_batches": 0, "input": 20}
        | {"cached_input": 4, "cache_write": 6, "output": 3, "usd": pytest.approx(0.003)},
    ]


def bytes_read() -> int:
    """By this process until now, from whatever file."""
    return int(Path("/proc/self/io").read_text().split()[1])


def test_keys_are_looked_up_without_reading_bodies() -> None:
    """Opening a store reads a fraction of what reading it does."""
    many = []
    for number in range(2_000):
        reply = Reply(os.urandom(1000).hex(), "end_turn", Usage(), "id", "m")
        request = Request("openai", "m", f"{number}", 5)
        many.append(Record(request, reply, f"p{number}", 1.0, "rule", 0.0, False))
    with ReplyStore(FOLDER) as store:
        store.add(many)
    before = bytes_read()
    opened = ReplyStore(FOLDER)
    opening = bytes_read() - before
    assert len(opened.get(r.request.key for r in many)) == len(many)
    assert opening < (bytes_read() - before - opening) / 3
