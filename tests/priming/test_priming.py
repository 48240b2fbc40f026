"""Priming sets: same problems in every set, controls match their parents, nothing from evaluation."""

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from habits.artifacts import ArtifactError
from habits.params import Params, ParamsError
from habits.priming.controls import ControlError, count_tokens
from habits.priming.language import BEHAVIORS
from habits.priming.priming import PrimingError, make_traces, write_priming
from habits.priming.priming import _check as check_set
from habits.priming.sets import EMPTY, NEGATIVE, PARENTS, SETS
from habits.priming.teacher import RECIPES
from habits.priming.traces import SCHEMA, quality
from habits.tasks.countdown import Problem, grade
from habits.tasks.countdown.table import read_problems

Frames = dict[str, pd.DataFrame]
RIGHT_BY_CONSTRUCTION = ("negative_control", *EMPTY)


@pytest.fixture(scope="session")
def frames(params: Params, problems: list[Problem]) -> Frames:
    return {name: make_traces(params, name, 4, problems) for name in SETS}


def with_templates(params: Params, *names: str) -> Params:
    """Params whose models have these prompt templates, past the check that params.yaml goes through."""
    specs = zip(params.only("countdown").models.items(), names, strict=True)
    models = {model: spec.model_copy(update={"prompt_template": name}) for (model, spec), name in specs}
    return params.model_copy(update={"models": models})


def thought(response: str) -> str:
    return response.partition("</think>")[0]


def test_all_sets_stand_on_the_same_problems_in_the_same_order(frames: Frames) -> None:
    first = frames["all_strategies"]
    for frame in frames.values():
        assert frame["problem_id"].tolist() == first["problem_id"].tolist()
        assert frame["prompt"].tolist() == first["prompt"].tolist()
    assert first["problem_id"].is_unique


def test_no_priming_problem_is_in_an_evaluation_split(frames: Frames, problems_folder: Path) -> None:
    evaluated = {
        problem.key
        for split in ("validation", "test")
        for problem in read_problems(problems_folder / f"{split}.parquet")
    }
    assert len(evaluated) == 80
    for frame in frames.values():
        assert evaluated.isdisjoint(frame["problem_id"])


def test_recorded_verdicts_are_those_of_the_reward(frames: Frames) -> None:
    for frame in frames.values():
        for row in frame.itertuples():
            problem = Problem(tuple(row.numbers), row.target)
            assert grade(row.response, problem).reason == row.verdict
            assert problem.key == row.problem_id


def test_behavior_sets_are_unfiltered_mixtures(frames: Frames) -> None:
    for name in RECIPES:
        verdicts = frames[name]["verdict"].value_counts()
        assert set(verdicts.index) == {"correct", "wrong_value"}
        assert 0.15 < verdicts["correct"] / len(frames[name]) < 0.65


def test_right_controls_are_all_right(frames: Frames) -> None:
    for name in RIGHT_BY_CONSTRUCTION:
        assert set(frames[name]["verdict"]) == {"correct"}
        assert set(frames[name]["stop_reason"]) == {"direct"}
        assert quality(frames[name]).planted == dict.fromkeys(BEHAVIORS, 0.0)


def test_negative_sets_are_all_wrong_and_show_the_behaviors(frames: Frames) -> None:
    for name in NEGATIVE:
        frame = frames[name]
        assert set(frame["verdict"]) == {"wrong_value"}
        for counts in frame["planted"]:
            planted = {entry["behavior"]: entry["count"] for entry in counts}
            assert planted["verification"] >= 1 and planted["backtracking"] >= 1
    slips = frames["negative_only"]["stop_reason"].value_counts()
    assert slips.to_dict() == {"slip": 60, "gave_up": 60}
    assert set(frames["negative_only_give_up"]["stop_reason"]) == {"gave_up"}


def test_derived_sets_name_a_parent_on_the_same_problem(frames: Frames) -> None:
    for name, parent in PARENTS.items():
        parents = frames[parent].set_index("trace_id")["problem_id"]
        assert len(frames[name]) == len(parents)
        for row in frames[name].itertuples():
            assert parents[row.parents[0]] == row.problem_id
    for name in set(SETS) - set(PARENTS):
        assert not any(frames[name]["parents"])


def test_length_matched_thoughts_are_dots_of_exactly_the_parents_length(frames: Frames) -> None:
    parents = frames["all_strategies"].set_index("trace_id")["response"]
    for row in frames["length_matched_empty_cot"].itertuples():
        dots = thought(row.response).split()
        assert set(dots) == {"."}
        assert len(dots) == count_tokens(thought(parents[row.parents[0]]))


def test_length_match_holds_in_tokens_of_the_real_tokenizer(frames: Frames) -> None:
    from habits.models.tokenizer import build_tokenizer, encode_response

    tokenizer = build_tokenizer()
    for name in ("length_matched_empty_cot", "all_strategies"):
        for row in frames[name].head(20).itertuples():
            assert len(encode_response(tokenizer, row.response)) == row.n_tokens + 1


def test_empty_thoughts_are_empty(frames: Frames) -> None:
    assert all(response.startswith("</think> <answer> ") for response in frames["empty_cot"]["response"])
    answers = [response.partition("</think>")[2] for response in frames["empty_cot"]["response"]]
    dotted = [
        response.partition("</think>")[2] for response in frames["length_matched_empty_cot"]["response"]
    ]
    assert answers == dotted


def test_written_twice_the_bytes_are_the_same(params: Params, problems_folder: Path, tmp_path: Path) -> None:
    files = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for file in files:
        write_priming(params, "negative_only", 9, problems_folder, tmp_path, tmp_path, file)
    assert files[0].read_bytes() == files[1].read_bytes()
    assert (tmp_path / "a.parquet.provenance.json").exists()


@pytest.mark.parametrize("name", ["all_strategies", "empty_cot"])
def test_parquet_has_the_schema_also_where_lists_are_empty(
    params: Params, problems_folder: Path, tmp_path: Path, name: str
) -> None:
    out = tmp_path / f"{name}.parquet"
    write_priming(params, name, 2, problems_folder, tmp_path, tmp_path, out)
    assert pq.read_schema(out).equals(SCHEMA)
    frame = pd.read_parquet(out)
    assert quality(frame).n == params.priming.traces
    user, assistant = frame["messages"][0]
    assert (user["role"], user["content"]) == ("user", frame["prompt"][0])
    assert (assistant["role"], assistant["content"]) == ("assistant", frame["response"][0])


def test_seeds_differ_in_problems_and_traces(params: Params, problems: list[Problem], frames: Frames) -> None:
    other = make_traces(params, "all_strategies", 5, problems)
    assert other["problem_id"].tolist() != frames["all_strategies"]["problem_id"].tolist()
    assert set(other["response"]) != set(frames["all_strategies"]["response"])


def test_more_traces_than_problems_goes_round_again(params: Params, problems: list[Problem]) -> None:
    frame = make_traces(params, "only_backtracking", 1, problems[:30])
    assert len(frame) == params.priming.traces
    assert frame["problem_id"].nunique() <= 30
    assert frame["response"].nunique() > 60


def test_quality_summarizes(frames: Frames) -> None:
    frame = frames["backtracking_verification"]
    summary = quality(frame)
    assert summary.correct == (frame["verdict"] == "correct").mean()
    assert summary.mean_tokens == frame["n_tokens"].mean()
    checks = sum(response.count("check ") for response in frame["response"])
    assert summary.planted["verification"] == pytest.approx(checks / len(frame))
    assert "correct" in str(summary)


def test_errors_say_what_to_do(params: Params, problems: list[Problem], tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="choose one of: all_strategies"):
        write_priming(params, "none", 1, *[tmp_path] * 3, tmp_path / "out.parquet")
    with pytest.raises(ArtifactError, match="train.parquet does not exist"):
        write_priming(params, "empty_cot", 1, *[tmp_path] * 3, tmp_path / "out.parquet")
    with pytest.raises(ParamsError, match="give every model the same prompt_template"):
        make_traces(with_templates(params, "short", "paper_base"), "empty_cot", 1, problems)
    with pytest.raises(ParamsError, match="prompt_template is 'other'; choose one of: paper_base, short"):
        make_traces(with_templates(params, "other", "other"), "empty_cot", 1, problems)
    with pytest.raises(ControlError, match="outside the tiny vocabulary"):
        make_traces(params, "empty_cot", 1, [Problem((101, 50, 2), 53)])
    with pytest.raises(ArtifactError, match="none of the 1 training problems"):
        make_traces(params, "only_backtracking", 1, [Problem((90, 80), 10)])
    with pytest.raises(ControlError, match="max_intermediate"):
        count_tokens("14 * 14 = 196")


def test_a_mixed_in_verdict_is_refused(frames: Frames) -> None:
    frame = frames["negative_only"].copy()
    frame.loc[3, "verdict"] = "unparsable"
    with pytest.raises(PrimingError, match="1 traces of negative_only .*unparsable"):
        check_set("symbolic", "negative_only", frame)
