"""From the replies of an LLM teacher to traces: requests, labels, choice by seed, controls, shortages."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from prompts_in_use import with_template

from habits.artifacts import ArtifactError, write_parquet
from habits.llm.requests import Answer, Reply, Request, Usage
from habits.params import Params, ParamsError
from habits.priming.controls import count_tokens
from habits.priming.demonstrations import STATUSES
from habits.priming.planning import teaching_errands
from habits.priming.priming import write_priming
from habits.priming.prose import count_words
from habits.priming.sets import EMPTY, INSTRUCTIONS, NEGATIVE, PARENTS, SETS, demonstrations_for
from habits.priming.taught import taught_traces
from habits.priming.teaching import (
    SCHEMA,
    TeachingError,
    check_replies,
    labelled,
    problems_of,
    summary,
    teaching_requests,
)
from habits.priming.traces import SCHEMA as TRACES
from habits.tasks.countdown import Problem, grade
from taught_by_symbols import reply


def with_teaching(params: Params, **values: float) -> Params:
    return params.model_copy(update={"teaching": params.teaching.model_copy(update=values)})


def answered(request: Request, text: str | None = None, stop: str = "end_turn") -> Answer:
    text = reply(request.system, request.user) if text is None else text
    usage = Usage(input=len(request.system) // 4, output=len(text) // 3)
    return Answer.of(request, Reply(text, stop, usage, f"msg_{request.key[:8]}", request.model))


@pytest.fixture(scope="module")
def settings(params: Params) -> Params:
    return with_teaching(params.model_copy(update={"teacher": "claude"}), requests_per_trace=1.1)


@pytest.fixture(scope="module")
def folder(settings: Params, problems: list[Problem], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demonstrations of every set, as the rule would write them."""
    folder = tmp_path_factory.mktemp("teaching")
    for name in INSTRUCTIONS:
        shown = problems_of(settings, name, problems)
        answers = [answered(request) for request in teaching_requests(settings, name, shown)]
        write_parquet(labelled(settings, name, shown, answers), folder / f"{name}.parquet")
    return folder


@pytest.fixture(scope="module")
def frames(settings: Params, folder: Path) -> dict[str, pd.DataFrame]:
    return {name: traces(settings, name, 4, folder) for name in SETS}


def traces(settings: Params, name: str, seed: int, folder: Path) -> pd.DataFrame:
    return taught_traces(settings, name, seed, folder / f"{demonstrations_for(name)}.parquet")


# What is asked


def test_a_request_is_a_constant_system_block_and_a_problem(
    settings: Params, problems: list[Problem]
) -> None:
    shown = problems_of(settings, "all_strategies", problems)
    requests = teaching_requests(settings, "all_strategies", shown)
    assert len(requests) == 132 == len({request.key for request in requests})
    assert len({request.system for request in requests}) == 1
    first = requests[0]
    assert first.user == f"Numbers: {', '.join(map(str, shown[0].numbers))}\nTarget: {shown[0].target}"
    assert (first.provider, first.temperature, first.max_tokens) == ("anthropic", 0.5, 1024)


def test_more_requests_keep_the_first_ones(settings: Params, problems: list[Problem]) -> None:
    """Whoever raises a setting pays for the additional requests alone."""
    few, many = (
        [r.key for r in teaching_requests(s, "all_strategies", problems_of(s, "all_strategies", problems))]
        for s in (settings, with_teaching(settings, requests_per_trace=1.6))
    )
    assert (len(few), len(many)) == (132, 192) and many[: len(few)] == few


def test_negative_sets_share_the_requests_of_their_parent(settings: Params, problems: list[Problem]) -> None:
    parent, negative = (
        [r.key for r in teaching_requests(settings, name, problems_of(settings, name, problems))]
        for name in ("backtracking_verification", "negative_only")
    )
    assert negative[: len(parent)] == parent and len(negative) == 360


def test_a_problem_that_comes_again_is_another_sample(settings: Params, problems: list[Problem]) -> None:
    shown = problems_of(settings, "negative_only", problems[:100])
    requests = teaching_requests(settings, "negative_only", shown)
    assert [requests[i].sample for i in (0, 99, 100, 200, 359)] == [0, 0, 1, 2, 3]
    assert len({request.key for request in requests}) == 360


def test_the_plan_knows_every_request_once_a_set(settings: Params, problems: list[Problem]) -> None:
    errands = teaching_errands(settings, problems)
    assert [errand.subject for errand in errands] == list(INSTRUCTIONS)
    assert errands[-1].subject == "negative_only" and len(errands[-1].requests) == 360
    assert teaching_errands(settings.model_copy(update={"teacher": "symbolic"}), problems) == []


def test_nobody_is_asked_by_mistake(settings: Params, problems: list[Problem]) -> None:
    with pytest.raises(ParamsError, match="choose one of: all_strategies"):
        problems_of(settings, "empty_cot", problems)
    with pytest.raises(ParamsError, match="teacher is symbolic, which asks nobody; choose one of llm.models"):
        teaching_requests(settings.model_copy(update={"teacher": "symbolic"}), "all_strategies", problems)


# What comes back


def test_every_request_is_a_row_with_its_labels(folder: Path) -> None:
    for name in INSTRUCTIONS:
        frame = pd.read_parquet(folder / f"{name}.parquet")
        assert frame.columns.tolist() == SCHEMA.names
        assert set(frame["status"]) <= set(STATUSES)
        assert frame["status"].isin(["malformed", "foreign_words"]).any(), "the stand-in spoils some"
        usable = frame[frame["status"] == "ok"]
        assert set(usable["verdict"]) <= {"correct", "wrong_value"}
        assert ((usable["verdict"] == "correct") == (usable["ending"] == "found")).all()
    both = pd.read_parquet(folder / "all_strategies.parquet")["verdict"].value_counts()
    assert both["correct"] > 20 and both["wrong_value"] > 20


def test_a_repeated_demonstration_is_marked_and_not_used(settings: Params, problems: list[Problem]) -> None:
    shown = [problems[0], problems[1], problems[0], problems[0]]
    requests = teaching_requests(settings, "all_strategies", shown)
    answers = [answered(request, reply(request.system, request.user)) for request in requests]
    answers[3] = answered(requests[3], "nothing")
    frame = labelled(settings, "all_strategies", shown, answers)
    assert frame["duplicate"].tolist() == [False, False, True, False]
    assert frame["status"].tolist()[2:] == ["duplicate", "malformed"]
    assert "4 replies: 2 usable" in summary(frame) and "1 duplicate" in summary(frame)


def test_english_demonstrations_are_labelled_too(settings: Params, problems: list[Problem]) -> None:
    english = with_template(settings, "paper_base")
    requests = teaching_requests(english, "all_strategies", problems[:2])
    a, b, c = problems[0].numbers
    texts = [f"<think>\nFirst {a} + {b}.\n</think>\n<answer> ({a} + {b}) + {c} </answer>", "<think>\nHm"]
    answers = [answered(requests[0], texts[0]), answered(requests[1], texts[1], "max_tokens")]
    frame = labelled(english, "all_strategies", problems[:2], answers)
    assert frame["status"].tolist() == ["ok", "truncated"]
    assert frame["n_tokens"].gt(0).all() and frame["output_tokens"].gt(0).all()


def test_requests_without_a_reply_stop_the_step_unless_tolerated(
    settings: Params, problems: list[Problem]
) -> None:
    requests = teaching_requests(settings, "all_strategies", problems[:20])
    answers = [answered(request) for request in requests]
    answers[7] = Answer(requests[7], "error", None, "claude: 500: overloaded")
    with pytest.raises(TeachingError, match=r"1 of 20 .*overloaded.*max_failed_rate to 0.05"):
        check_replies("all_strategies", answers, 0.0)
    check_replies("all_strategies", answers, 0.05)
    frame = labelled(settings, "all_strategies", problems[:20], answers)
    assert frame["status"].tolist()[7] == "error"
    assert np.isnan(frame["output_tokens"][7])


# Which become traces


def test_sets_hold_as_many_traces_as_asked_for_with_their_verdicts(
    settings: Params, frames: dict[str, pd.DataFrame]
) -> None:
    for name, frame in frames.items():
        assert len(frame) == settings.priming.traces
        assert frame.columns.tolist() == TRACES.names
        assert set(frame["teacher"]) == {"claude"} and set(frame["set"]) == {name}
        assert frame["trace_id"].is_unique
        for row in frame.itertuples():
            assert grade(row.response, Problem(tuple(row.numbers), row.target)).reason == row.verdict
            assert row.n_tokens == count_tokens(row.response) <= settings.priming.max_trace_tokens


def test_traces_are_the_usable_replies_and_name_them(frames: dict[str, pd.DataFrame], folder: Path) -> None:
    for name in set(SETS) - set(PARENTS):
        replies = pd.read_parquet(folder / f"{name}.parquet").set_index("request")
        for row in frames[name].itertuples():
            (key,) = row.parents
            assert replies.loc[key, "status"] == "ok" and replies.loc[key, "response"] == row.response
            assert row.planted is None and row.spans is None
    both = frames["all_strategies"]["verdict"].value_counts(normalize=True)
    assert 0.15 < both["correct"] < 0.65, "right and wrong are mixed as they came"


def test_controls_are_those_of_the_symbolic_teacher(frames: dict[str, pd.DataFrame]) -> None:
    parents = frames["all_strategies"].set_index("trace_id")
    for name in ("empty_cot", "length_matched_empty_cot"):
        frame = frames[name]
        assert set(frame["verdict"]) == {"correct"} and set(frame["stop_reason"]) == {"direct"}
        assert [parents.loc[p, "problem_id"] for (p,) in frame["parents"]] == frame["problem_id"].tolist()
    empty, dotted = frames["empty_cot"]["response"], frames["length_matched_empty_cot"]["response"]
    assert all(response.startswith("</think> <answer> ") for response in empty)
    thoughts = [response.partition(" </think>")[0].split() for response in dotted]
    assert all(set(thought) == {"."} for thought in thoughts)
    originals = [response.partition("</think>")[0].split() for response in parents["response"]]
    assert list(map(len, thoughts)) == list(map(len, originals))
    assert [r.partition("</think>")[2] for r in empty] == [r.partition("</think>")[2] for r in dotted]


def test_negative_sets_are_all_wrong(frames: dict[str, pd.DataFrame]) -> None:
    for name in NEGATIVE:
        assert "correct" not in set(frames[name]["verdict"])
    assert set(frames["negative_only_give_up"]["stop_reason"]) == {"gave_up"}


def test_sets_of_a_seed_stand_on_nearly_the_same_problems(frames: dict[str, pd.DataFrame]) -> None:
    first = set(frames["all_strategies"]["problem_id"])
    for name in set(SETS) - set(NEGATIVE):
        assert len(first & set(frames[name]["problem_id"])) > 0.9 * len(first)


def test_seeds_choose_and_order_differently_and_the_same_seed_the_same(
    settings: Params, folder: Path, frames: dict[str, pd.DataFrame]
) -> None:
    again, other = (traces(settings, "all_strategies", seed, folder) for seed in (4, 5))
    assert again.equals(frames["all_strategies"])
    assert other["response"].tolist() != again["response"].tolist()
    assert set(other["response"]) != set(again["response"])


def test_the_rule_writes_the_same_bytes_twice(settings: Params, folder: Path, tmp_path: Path) -> None:
    files = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for file in files:
        write_priming(
            settings, "length_matched_empty_cot", 3, tmp_path / "no problems", folder, tmp_path, file
        )
    assert files[0].read_bytes() == files[1].read_bytes()
    assert pq.read_schema(files[0]).equals(TRACES)


def test_english_sets_have_their_controls_too(
    settings: Params, problems: list[Problem], tmp_path: Path
) -> None:
    english = with_template(settings, "paper_base")
    shown = problems_of(english, "all_strategies", problems)
    requests = teaching_requests(english, "all_strategies", shown)
    frame = labelled(english, "all_strategies", shown, [answered(request) for request in requests])
    assert (frame["status"] == "ok").mean() > 0.9
    write_parquet(frame, tmp_path / "all_strategies.parquet")
    made = {name: traces(english, name, 4, tmp_path) for name in ("all_strategies", *EMPTY)}
    parents = made["all_strategies"].set_index("trace_id")["response"]
    for row in made["length_matched_empty_cot"].itertuples():
        dots = row.response.partition("</think>")[0]
        assert set(dots.split()) == {"."}
        assert count_words(dots) == count_words(parents[row.parents[0]].partition("</think>")[0])
    assert all(response.startswith(" </think>\n<answer> ") for response in made["empty_cot"]["response"])
    assert set(made["empty_cot"]["verdict"]) == {"correct"}
    prompt = made["all_strategies"]["prompt"][0]
    assert prompt.endswith("<think>") and "User:" in prompt


@pytest.mark.parametrize("name", ["all_strategies", "negative_only"])
def test_too_few_demonstrations_are_told_by_kind_and_the_advice_is_enough(
    settings: Params, problems: list[Problem], tmp_path: Path, name: str
) -> None:
    key = "requests_per_wrong_trace" if name in NEGATIVE else "requests_per_trace"

    def ask(factor: float) -> Path:
        now = with_teaching(settings, **{key: factor})
        shown = problems_of(now, name, problems)
        answers = [answered(request) for request in teaching_requests(now, name, shown)]
        write_parquet(labelled(now, name, shown, answers), tmp_path / f"{name}.parquet")
        return tmp_path / f"{name}.parquet"

    with pytest.raises(ArtifactError) as caught:
        taught_traces(settings, name, 1, ask(1.0))
    message = str(caught.value)
    assert re.search(
        rf"{name} needs 120 demonstrations .* \d+ of the 120 in .* suit \(.*\d+ (malformed|foreign words)",
        message,
    )
    advice = float(re.search(rf"raise teaching\.{key} to ([\d.]+)", message).group(1))
    assert len(taught_traces(settings, name, 1, ask(advice))) == 120


def test_without_any_usable_reply_the_statuses_are_where_to_look(
    settings: Params, problems: list[Problem], tmp_path: Path
) -> None:
    shown = problems_of(settings, "all_strategies", problems)
    requests = teaching_requests(settings, "all_strategies", shown)
    frame = labelled(settings, "all_strategies", shown, [answered(r, "No.", "refusal") for r in requests])
    write_parquet(frame, tmp_path / "replies.parquet")
    with pytest.raises(ArtifactError, match=r"0 of the 132 .* \(132 refused\); look at status and reason"):
        taught_traces(settings, "all_strategies", 1, tmp_path / "replies.parquet")
