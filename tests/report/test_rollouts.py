"""The sample of rollouts: bounded, seeded, the same problems everywhere, texts whole and marked."""

from __future__ import annotations

import json
from collections import Counter

import pandas as pd
import pytest
from finished_run import SEARCH, finish, finished_params
from hypothesis import given
from hypothesis import strategies as st

from habits.artifacts import write_parquet
from habits.report.inputs import Inputs
from habits.report.rollouts import sample_for_page
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


def test_sample_is_bounded_per_run_and_step(site):
    sample = sample_for_page(site.inputs, per_cell=5)
    cells = Counter((r["c"], r["seed"], r["step"]) for r in sample.data["rollouts"])
    assert set(cells.values()) == {5}
    assert len(cells) == 5 * 5 + 9
    assert sample.shown == 5 * len(cells) < sample.total


def test_every_run_and_step_shows_the_same_problems(site):
    rows = sample_for_page(site.inputs, per_cell=5).data["rollouts"]
    problems: dict[tuple[int, int, int], set[str]] = {}
    for row in rows:
        problems.setdefault((row["c"], row["seed"], row["step"]), set()).add(row["problem"])
    assert len({frozenset(found) for found in problems.values()}) == 1


def test_budget_takes_the_same_share_from_every_run_and_step(site):
    full = sample_for_page(site.inputs, per_cell=10)
    budget = len(json.dumps(full.data)) // 2
    small = sample_for_page(site.inputs, per_cell=10, budget=budget)
    assert len(json.dumps(small.data["rollouts"])) <= budget
    cells = Counter((r["c"], r["seed"], r["step"]) for r in small.data["rollouts"])
    assert max(cells.values()) - min(cells.values()) <= 1
    assert 0 < small.shown < full.shown


def test_row_order_of_the_files_does_not_matter(tmp_path):
    params = finished_params()
    results, data = finish(params, tmp_path)
    inputs = Inputs(params, results, data)
    before = sample_for_page(inputs, per_cell=4)
    for run in inputs.runs:
        for path in (inputs.rollouts(run), inputs.behaviors(run)):
            write_parquet(pd.read_parquet(path).iloc[::-1], path)
    assert sample_for_page(inputs, per_cell=4) == before


def test_marked_rows_hold_counts_and_pieces(site):
    sample = sample_for_page(site.inputs)
    row = next(r for r in sample.data["rollouts"] if r["counts"] == [2, 1, 1, 1])
    assert "".join(p if isinstance(p, str) else p[0] for p in row["text"]) == SEARCH
    assert ["goal 12 ;", [2], [2]] in row["text"]
    assert ["no", [0, 1], [0]] in row["text"]


def test_failed_rating_is_not_a_zero(tmp_path):
    params = finished_params()
    results, data = finish(params, tmp_path)
    inputs = Inputs(params, results, data)
    path = inputs.behaviors(inputs.runs[0])
    frame = pd.read_parquet(path)
    frame.loc[frame["behavior"] == "verification", ["count", "status"]] = [pd.NA, "error"]
    write_parquet(frame, path)
    rows = sample_for_page(inputs).data["rollouts"]
    mine = [r for r in rows if r["c"] == 0 and r["seed"] == inputs.runs[0].seed]
    assert mine and all(r["counts"][0] is None for r in mine)
