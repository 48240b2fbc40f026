"""The oracle: recovers what the teacher planted, and reads labelled English as well as was measured.

``tests/data/oracle_labelled.jsonl``: own sentences and short traces with gold counts. Split ``dev`` was
used to tune the patterns. ``held_out`` was written before the patterns it is scored with and was not used
to tune them: batch ``early`` before there were any (its author went on to write the patterns, so it
flatters them), batch ``late`` after, in deliberately different words (the honest estimate for unseen
wording). Counts match per text: precision is sum of min(found, gold) / sum of found, recall the same
over sum of gold.
"""

import json
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from habits.behaviors.bench import Bench, Stated
from habits.behaviors.dialect import is_dialect
from habits.behaviors.equations import equations, normalized
from habits.behaviors.oracle import count_behaviors_in
from habits.params import Params
from habits.priming.language import BEHAVIORS, Trace
from habits.priming.priming import LANGUAGES, Writer
from habits.priming.sets import SETS
from habits.tasks.countdown import Problem, solutions

LABELLED = Path(__file__).parents[1] / "data" / "oracle_labelled.jsonl"
NUMBERS, TARGET = (14, 7, 3), 21


@dataclass(frozen=True)
class Score:
    matched: int
    found: int
    gold: int

    @property
    def precision(self) -> float:
        return self.matched / self.found

    @property
    def recall(self) -> float:
        return self.matched / self.gold


def labelled() -> list[dict]:
    return [json.loads(line) for line in LABELLED.read_text().splitlines()]


def score(behavior: str, split: str, batch: str | None = None) -> Score:
    matched = found = gold = 0
    for item in labelled():
        if item["split"] != split or batch not in (None, item["batch"]):
            continue
        here = count_behaviors_in(item["text"], item["numbers"], item["target"]).counts[behavior]
        matched += min(here, item["gold"][behavior])
        found += here
        gold += item["gold"][behavior]
    return Score(matched, found, gold)


def counts(text: str, numbers: tuple[int, ...] = NUMBERS, target: int = TARGET) -> tuple[int, ...]:
    return tuple(count_behaviors_in(text, numbers, target).counts.values())


def traces(params: Params, sizes: tuple[int, ...], per_size: int, seed: int) -> list[Trace]:
    """Traces of every set over random solvable problems of some sizes."""
    found: list[Trace] = []
    for size in sizes:
        rng = Random(f"{seed}/{size}")
        pool: list[Problem] = []
        while len(pool) < per_size:
            numbers = tuple(rng.randint(1, 15) for _ in range(size))
            problem = Problem(numbers, rng.randint(10, 100))
            if problem.target not in numbers and solutions(problem, True, 100, limit=1):
                pool.append(problem)
        raw = params.model_dump()
        raw["priming"]["max_trace_tokens"] = 50 + 16 * size
        slots = Writer(Params.model_validate(raw), seed, LANGUAGES["short"]).slots(pool)
        for slot in islice(slots, per_size):
            assert set(slot) == set(SETS)
            found += slot.values()
    return found


@pytest.mark.parametrize("seed", [1, 2])
def test_recovers_planted_counts_and_spans_of_every_set(laptop: Params, seed: int) -> None:
    written = traces(laptop, (3, 4, 5), 90, seed)
    assert len(written) == 3 * 90 * len(SETS)
    for trace in written:
        found = count_behaviors_in(trace.response, trace.problem.numbers, trace.problem.target)
        planted = [(span.behavior, span.start, span.end) for span in trace.spans]
        read = [(b, span.start, span.end) for b in BEHAVIORS for span in found.spans(b)]
        assert sorted(read) == sorted(planted), trace.response


# Floors are what was measured when the patterns were frozen, rounded down: (precision, recall).
FLOORS = {
    ("dev", None): {
        "verification": (1.0, 1.0),
        "backtracking": (1.0, 0.95),
        "subgoal_setting": (1.0, 1.0),
        "backward_chaining": (1.0, 1.0),
    },
    ("held_out", None): {
        "verification": (1.0, 0.8),
        "backtracking": (0.95, 1.0),
        "subgoal_setting": (0.92, 0.81),
        "backward_chaining": (0.93, 0.83),
    },
    ("held_out", "early"): {
        "verification": (1.0, 0.97),
        "backtracking": (0.93, 1.0),
        "subgoal_setting": (0.91, 1.0),
        "backward_chaining": (1.0, 0.92),
    },
    ("held_out", "late"): {
        "verification": (1.0, 0.46),
        "backtracking": (1.0, 1.0),
        "subgoal_setting": (1.0, 0.4),
        "backward_chaining": (0.75, 0.6),
    },
}


@pytest.mark.parametrize("behavior", BEHAVIORS)
@pytest.mark.parametrize(("split", "batch"), FLOORS)
def test_precision_and_recall_on_labelled_text(behavior: str, split: str, batch: str | None) -> None:
    result = score(behavior, split, batch)
    precision, recall = FLOORS[split, batch][behavior]
    assert result.precision >= precision, result
    assert result.recall >= recall, result


def test_labelled_set_is_large_varied_and_well_formed() -> None:
    items = labelled()
    assert Counter((item["split"], item["batch"]) for item in items) == {
        ("dev", "early"): 81, ("dev", "middle"): 30, ("held_out", "early"): 76, ("held_out", "late"): 32,
    }  # fmt: skip
    assert len({item["id"] for item in items}) == len(
        {(item["text"], item["target"], *item["numbers"]) for item in items}
    )
    assert all(set(item["gold"]) == set(BEHAVIORS) for item in items)
    assert sum(not any(item["gold"].values()) for item in items) >= 30


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("14 is not 21, so let's try something else.", (1, 1, 0, 0)),
        ("14 + 3 = 17. This results in 17, not equal to 21.", (1, 0, 0, 0)),
        ("Working backwards, 21 is 7 times 3.", (0, 0, 0, 1)),
        ("We need 21/3 = 7.", (0, 0, 0, 1)),
        ("Let's first get to 7.", (0, 0, 1, 0)),
        ("If we can make 18, the rest is easy.", (0, 0, 1, 0)),
        ("Factors of 21 are 3 and 7.", (0, 0, 1, 0)),
        ("14 - 7 = 7 and 7 * 3 = 21.", (0, 0, 0, 0)),
        ("7 + 3 = 10 (too low), 14 + 7 = 21 (3 unused)", (1, 1, 0, 0)),
        ("Let me check out the numbers, and then get back to work.", (0, 0, 0, 0)),
    ],
)
def test_what_the_brief_asks_for(text: str, expected: tuple[int, ...]) -> None:
    assert counts(text) == expected


def test_the_same_words_count_by_the_numbers_they_are_about() -> None:
    assert counts("21 - 14 = 7", (14, 7, 3), 21)[3] == 1
    assert counts("21 - 14 = 7", (14, 21, 3), 7)[3] == 0
    assert counts("7 * 3 = 21. 14 - 3 = 11.", (14, 7, 3), 99)[1] == 1
    assert counts("7 * 3 = 21. 21 - 14 = 7.", (14, 7, 3), 99)[1] == 0
    assert counts("14 is not 21.", (14, 7, 3), 21)[0] == 1
    assert counts("14 is not 21.", (14, 7, 3), 35)[0] == 0


def test_only_the_thought_is_read() -> None:
    thought = "14 + 7 = 21 ; 21 - 3 = 18 check 21 no restart"
    after = " </think> <answer> 14 + 7 </answer> check 21 no back; let's try something else, that's too high"
    assert counts(thought + after) == counts(thought) == (1, 1, 0, 0)
    assert counts("</think> too high, start over") == (0, 0, 0, 0)


def test_unmarked_returns_and_runs_of_markers_in_the_trace_language() -> None:
    assert counts("14 - 7 = 7 ; 7 * 3 = 21 ; 14 + 7 = 21 ; 21 - 3 = 18", target=50) == (0, 1, 0, 0)
    assert counts("14 - 7 = 7 ; 7 + 3 = 10 no back back restart 14 * 3 = 42") == (0, 1, 0, 0)
    assert counts("14 - 7 = 7 ; 14 - 7 = 7 ; 7 * 3 = 21") == (0, 0, 0, 0)
    assert counts("check check 21 back 5 = goal need 3 +") == (1, 1, 0, 0)


def test_spans_are_offsets_into_the_given_text() -> None:
    text = "14 \u00d7 3 = 42. That\u2019s Too High! Let\u2019s TRY SOMETHING ELSE: 14 + 7 = 21"
    found = count_behaviors_in(text, NUMBERS, TARGET)
    assert [text[s.start : s.end] for s in found.verification] == ["Too High"]
    assert [text[s.start : s.end] for s in found.backtracking] == ["TRY SOMETHING ELSE"]


HOSTILE = {
    "digits": "1" * 20_000,
    "numbers": "1 " * 10_000,
    "parentheses": "(" * 20_000,
    "spaced parentheses": "( " * 10_000,
    "sum": "1 + " * 5_000,
    "equality": "1 = " * 5_000,
    "aims": "let's try to " * 1_600,
    "negations": "not to get " * 2_000,
    "words": "work back the " * 1_500,
    "steps": "3 + 4 = 7. 7 * 2 = 14. " * 900,
    "new steps": " ".join(f"{i} + {i} = {2 * i}." for i in range(1, 1300)),
    "new dialect steps": " ".join(f"{i} + 1 = {i + 1} ;" for i in range(1, 1300)),
    "markers": "3 + 4 = 7 back " * 1_400,
    "inverse": "24 / 3 = 8. " * 1_700,
    "unicode": "\u0130\u2260\u00d7" * 7_000,
    "blank": " " * 20_000,
    "lines": "\n" * 20_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_read_to_its_end(name: str) -> None:
    """In linear time: benchmarks/hostile_text.py."""
    found = count_behaviors_in(HOSTILE[name][:20_000] + " . Let's try something else:", (3, 4, 2), 24)
    assert found.backtracking and found.backtracking[-1].start >= len(HOSTILE[name][:20_000])


@settings(max_examples=300)
@given(st.text(max_size=400), st.lists(st.integers(1, 99), min_size=2, max_size=6), st.integers(1, 100))
def test_any_text_is_read_without_error(text: str, numbers: list[int], target: int) -> None:
    found = count_behaviors_in(text, numbers, target)
    for behavior in BEHAVIORS:
        for span in found.spans(behavior):
            assert 0 <= span.start < span.end <= len(text)


NUMBERS_AND_SIGNS = ["14", "7", "3", "21", "0", *"+-*/=()", " ", ". ", ", ", "\n"]
PHRASES = [
    "is",
    "not",
    "times",
    "minus 3 is",
    "divided by",
    "let's try",
    "something else",
    "we need",
    "get to",
]
PHRASES += ["because", "so", "what about", "working backwards", "too high", "instead", "</think>"]
MARKERS = ["back", "restart", "check 21 no", "goal 7 ;", "need"]
PIECES = [*NUMBERS_AND_SIGNS, *PHRASES, *MARKERS]


@settings(max_examples=500)
@given(st.lists(st.sampled_from(PIECES), max_size=60))
def test_any_mixture_of_its_own_phrases_is_read_without_error(pieces: list[str]) -> None:
    text = " ".join(pieces)
    found = count_behaviors_in(text, NUMBERS, TARGET)
    thought = text.partition("</think>")[0]
    assert all(span.end <= len(thought) for behavior in BEHAVIORS for span in found.spans(behavior))


def test_equations_are_read_in_symbols_and_words() -> None:
    def read(text: str) -> list[tuple[tuple[int, ...], int | None]]:
        return [(e.operands, e.value) for e in equations(normalized(text))]

    assert read("(3 + 4) \u00d7 2 = 14") == [((3, 4, 2), 14)]
    assert read("9 times 8 is 72, plus 1 is 73") == [((9, 8), 72), ((1,), 73)]
    assert read("24 is 8 times 3") == [((8, 3), 24)]
    assert read("6 * 7 + 8 = 42 + 8 = 50") == [((6, 7, 8), 50)]
    assert read("subtract 40 from 75") == [((75, 40), 35)]
    assert read("(9 * 8 = 72)") == [((9, 8), 72)]
    assert read("9 / 2 = 4.5") == [((9, 2), None)]
    assert read("there are 3 numbers, 2.5 and 7") == []


def test_bench_follows_a_path_back_and_forth() -> None:
    bench = Bench((14, 7, 3))
    assert bench.depth_of((14, 7)) == 0
    bench.do(Stated((14, 7), 7))
    assert bench.values == [3, 7]
    assert bench.depth_of((7, 3)) == 1
    bench.do(Stated((7, 3), 10))
    assert bench.restates(Stated((7, 14), 7))
    assert bench.restates(Stated((14, 7, 3), 10))
    assert bench.depth_of((14, 3)) == 0
    assert bench.depth_of((5,)) is None
    bench.undo()
    assert bench.values == [3, 7]
    bench.restart()
    assert bench.values == [14, 7, 3] and not bench.steps


def test_dialect_is_told_from_english() -> None:
    assert is_dialect("14 - 7 = 7 ; 7 * 3 = 21 check 21 yes ")
    assert is_dialect("restart")
    assert not is_dialect("14 - 7 = 7")
    assert not is_dialect("Let me check 14 - 7 = 7 ; no.")
    assert not is_dialect("14-7 = 7; check")
