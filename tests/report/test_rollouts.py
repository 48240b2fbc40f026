"""The data of the rollout browser: everything, or whole problems within a size; texts whole and marked."""

from __future__ import annotations

import base64
import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from finished_run import SEARCH, finish, finished_params
from hypothesis import given
from hypothesis import strategies as st

from habits.artifacts import write_parquet
from habits.report.browser import write_browser
from habits.report.inputs import Inputs
from habits.report.spans import Segment, Span, segments

BEHAVIORS = ("verification", "backtracking", "subgoal_setting", "backward_chaining")
MARKS = st.lists(st.tuples(st.sampled_from(BEHAVIORS), st.integers(0, 39), st.integers(1, 40)), max_size=8)


@given(st.text(min_size=40, max_size=60), MARKS)
def test_segments_give_the_text_again_and_mark_every_span(text: str, marks: list[tuple[str, int, int]]):
    spans = [Span(name, start, min(start + length, 40)) for name, start, length in marks]
    place = 0
    for piece in segments(text, spans):
        for offset in range(place, place + len(piece.text)):
            over = {s.behavior for s in spans if s.start <= offset < s.end}
            assert set(piece.behaviors) == over
        place += len(piece.text)
        assert set(piece.ending) == {s.behavior for s in spans if s.end == place}
    assert "".join(piece.text for piece in segments(text, spans)) == text


def test_overlapping_spans_are_cut_where_they_meet():
    found = segments("check 21 no back", [Span("verification", 0, 11), Span("backtracking", 9, 16)])
    assert found == [
        Segment("check 21 ", ("verification",), ()),
        Segment("no", ("verification", "backtracking"), ("verification",)),
        Segment(" back", ("backtracking",), ("backtracking",)),
    ]


@pytest.mark.parametrize("span", [Span("backtracking", 3, 3), Span("backtracking", 0, 9), Span("joy", 0, 1)])
def test_impossible_span_is_an_error(span: Span):
    with pytest.raises(ValueError, match="does not fit"):
        segments("short", [span])


def unpacked(script: Path) -> dict[str, Any]:
    """What a script of the browser hands over."""
    return json.loads(gzip.decompress(base64.b64decode(script.read_text().rpartition(", ")[2].split('"')[1])))


def columns(folder: Path) -> pd.DataFrame:
    """The index as a table: condition, seed, step, reason, what the oracle and the judge saw."""
    index = unpacked(folder / "index.js")
    cell, outcome, seen = (base64.b64decode(column) for column in index["columns"])
    cells = [index["cells"][number] for number in np.frombuffer(cell, "<u2")]
    frame = pd.DataFrame(cells, columns=["condition", "seed", "step"])
    problems = [name for name, rows, _ in index["problems"] for _ in range(rows)]
    return frame.assign(outcome=list(outcome), seen=list(seen), problem=problems)


def rows(folder: Path) -> list[list[Any]]:
    """The rows of all shards, in the order of the index."""
    shards = [unpacked(path) for path in sorted(folder.glob("[0-9]*.js"))]
    return [row for shard in shards for problem in shard["problems"] for row in problem["rows"]]


def test_every_rollout_is_there_with_its_text_and_what_was_seen(site):
    folder = site.out / "rollouts"
    frames = [pd.read_parquet(site.inputs.rollouts(run)) for run in site.params.runs]
    table, shown = columns(folder), rows(folder)
    assert len(table) == len(shown) == sum(map(len, frames))
    texts = Counter((row[4], row[0]) for row in shown)
    assert texts == Counter(pair for f in frames for pair in zip(f["response"], f["sample_id"], strict=True))
    searches = [(row[5], seen) for row, seen in zip(shown, table["seen"], strict=True) if row[4] == SEARCH]
    assert all(oracle[0] == [2, 1, 1, 1] and seen & 15 == 15 for oracle, seen in searches)
    assert [SEARCH[a:b] for kind, a, b in _triples(searches[0][0][1]) if kind == 2] == ["goal 12 ;"]


def test_the_judge_and_its_stored_replies_are_there(site):
    folder = site.out / "rollouts"
    judged = [
        (row, outcome)
        for row, outcome in zip(rows(folder), columns(folder)["outcome"], strict=True)
        if row[6]
    ]
    sample = sum(len(pd.read_parquet(site.inputs.judging(run))) for run in site.inputs.runs) // 4
    assert len(judged) == sample > 0
    assert all(outcome & 8 for _, outcome in judged)
    failed = [row for row, outcome in judged if outcome & 32]
    assert failed and all(None in row[6][0] and row[6][2] for row in failed), "with the reason"
    assert all(row[6][3][0][0] == "0" * 64 for row, _ in judged)


def test_problems_come_whole_and_with_their_solution(site):
    folder = site.out / "rollouts"
    index = unpacked(folder / "index.js")
    table = columns(folder)
    cells = table.groupby(["condition", "seed", "step"])["problem"]
    assert cells.nunique().nunique() == 1, "every condition, seed and step has all problems"
    first = unpacked(folder / "000.js")["problems"]
    assert len(first) == sum(shard == 0 for *_, shard in index["problems"])
    assert any(problem["solution"].endswith("as it should be") for problem in first)


def test_what_does_not_fit_is_left_out_by_whole_problems(site, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("habits.report.browser.SHARD_LETTERS", 20_000)
    full = write_browser(site.inputs, tmp_path / "full")
    half = write_browser(site.inputs, tmp_path / "half", most_bytes=full.bytes // 2)
    assert half.bytes <= full.bytes // 2 + len((tmp_path / "half/index.js").read_text())
    assert 0 < half.problems < full.problems == half.all_problems
    assert half.shown == full.total * half.problems // full.problems
    few = write_browser(site.inputs, tmp_path / "few", most_letters=1)
    assert few.problems == 1


def test_row_order_of_the_files_does_not_matter(tmp_path):
    params = finished_params()
    results, data = finish(params, tmp_path)
    inputs = Inputs(params, results, data)
    write_browser(inputs, tmp_path / "before")
    for run in inputs.runs:
        for path in (inputs.rollouts(run), inputs.behaviors(run)):
            write_parquet(pd.read_parquet(path).iloc[::-1], path)
    write_browser(inputs, tmp_path / "after")
    for path in (tmp_path / "before").iterdir():
        assert path.read_bytes() == (tmp_path / "after" / path.name).read_bytes()


def test_failed_rating_is_not_a_zero(tmp_path):
    params = finished_params()
    results, data = finish(params, tmp_path)
    inputs = Inputs(params, results, data)
    path = inputs.behaviors(inputs.runs[0])
    frame = pd.read_parquet(path)
    frame.loc[frame["behavior"] == "verification", ["count", "status"]] = [pd.NA, "error"]
    write_parquet(frame, path)
    write_browser(inputs, tmp_path / "site")
    failed = columns(tmp_path / "site")["outcome"].to_numpy() & 16 > 0
    missing = np.array([row[5][0][0] is None for row in rows(tmp_path / "site")])
    assert failed.any() and (failed == missing).all() and not failed.all()


def _triples(spans: list[int]) -> list[list[int]]:
    return [spans[i : i + 3] for i in range(0, len(spans), 3)]
