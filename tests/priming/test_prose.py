"""Traces in English: the same behaviors and answers as in the trace language, where the oracle finds them."""

from pathlib import Path
from random import Random

import pytest
import yaml

from habits import params as settings
from habits.behaviors.oracle import count_behaviors_in
from habits.cli import PRESETS
from habits.priming.language import BEHAVIORS, Trace
from habits.priming.priming import SETS, make_traces
from habits.priming.prose import count_words, in_prose
from habits.priming.teacher import RECIPES, Limits, write_trace
from habits.tasks.countdown import Problem, grade
from habits.tasks.countdown.problems import write_problems
from habits.tasks.countdown.table import read_problems

LIMITS = Limits(max_tokens=200, min_search=24, max_result=None)


@pytest.fixture(scope="module")
def small() -> settings.Params:
    raw = yaml.safe_load((PRESETS / "paper.yaml").read_text())
    raw["countdown"] |= {"train": 120, "validation": 10, "test": 10}
    raw["rollouts"] |= {"problems": 10}
    raw["priming"] |= {"traces": 40}
    return settings.validate(raw).only("countdown")


@pytest.fixture(scope="module")
def problems(small: settings.Params, tmp_path_factory: pytest.TempPathFactory) -> list[Problem]:
    folder = tmp_path_factory.mktemp("problems")
    write_problems(small, folder)
    return read_problems(folder / "train.parquet")


@pytest.mark.parametrize("name", RECIPES)
def test_the_oracle_finds_in_english_what_was_planted(name: str, problems: list[Problem]) -> None:
    planted, found = dict.fromkeys(BEHAVIORS, 0), dict.fromkeys(BEHAVIORS, 0)
    for number, problem in enumerate(problems):
        trace = write_trace(Random(number), problem, RECIPES[name], LIMITS)
        if trace is None:
            continue
        prose = in_prose(trace)
        counts = count_behaviors_in(prose.response, problem.numbers, problem.target).counts
        assert prose.planted == trace.planted
        assert grade(prose.response, problem).reason == grade(trace.response, problem).reason
        assert grade(prose.response, problem).parts.format_ok
        for behavior in BEHAVIORS:
            planted[behavior] += prose.planted[behavior]
            found[behavior] += counts[behavior]
    for behavior in BEHAVIORS:
        assert found[behavior] == pytest.approx(planted[behavior], rel=0.05, abs=1), behavior


def test_every_set_can_be_written_for_pretrained_models(
    small: settings.Params, problems: list[Problem], tmp_path: Path
) -> None:
    frames = {name: make_traces(small, name, 11, problems) for name in SETS}
    for name, frame in frames.items():
        assert len(frame) == 40 and frame["prompt"].str.endswith("<think>").all(), name
    parents, dots = frames["all_strategies"]["response"], frames["length_matched_empty_cot"]["response"]
    for parent, dotted in zip(parents, dots, strict=True):
        thoughts = [text.partition("</think>")[0] for text in (parent, dotted)]
        assert set(thoughts[1].split()) == {"."}
        assert count_words(thoughts[0]) == count_words(thoughts[1])


def test_spans_stand_where_the_behavior_is() -> None:
    problem = Problem((3, 5, 9), 24)
    words = "goal 8 ; 5 + 3 = 8 ; 9 + 8 = 17 check 24 no back 9 * 8 = 72 check 24 no"
    prose = in_prose(write_out(problem, words))
    shown = {span.behavior: prose.response[span.start : span.end] for span in prose.spans}
    assert "8" in shown["subgoal_setting"] and "24" in shown["verification"]
    assert "go back one step" in shown["backtracking"]


def test_other_words_are_an_error() -> None:
    with pytest.raises(ValueError, match="not in the trace language: 'hmm"):
        in_prose(write_out(Problem((3, 5), 8), "hmm 5 + 3 = 8"))


def write_out(problem: Problem, words: str) -> Trace:
    return Trace(problem, f"{words} </think> <answer> 5 + 3 </answer>", "gave_up")
