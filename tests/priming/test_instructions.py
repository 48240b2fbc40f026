"""The prompts of an LLM teacher: their own examples obey them, by the reward and the oracle."""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path

import pytest
from prompts_in_use import with_template

from habits.behaviors.oracle import count_behaviors_in
from habits.behaviors.quality import asked_of
from habits.llm.requests import Answer, Reply, Request, Usage
from habits.params import Params, load
from habits.priming.demonstrations import read_answer
from habits.priming.instructions import FOLDER, message, system_prompt
from habits.priming.sets import INSTRUCTED, INSTRUCTIONS
from habits.tasks.countdown import TEMPLATES, Problem, grade
from habits.tasks.countdown.sampling import sample

EXAMPLE = re.compile(r"Numbers: (.+)\nTarget: (.+)\n\n(<think>(?:.|\n)*?</answer>)\n")
EVERY = [(template, name) for template in TEMPLATES for name in INSTRUCTED]


def examples(template: str, name: str) -> list[tuple[Problem, str]]:
    text = (FOLDER / f"examples/{template}/{name}.txt").read_text()
    found = EXAMPLE.findall(text)
    assert len(found) == text.count("Numbers:") >= 3
    return [(Problem(tuple(map(int, n.split(", "))), int(target)), reply) for n, target, reply in found]


@pytest.mark.parametrize(("template", "name"), EVERY)
def test_examples_show_the_behaviors_asked_for_and_no_other(template: str, name: str) -> None:
    shown = dict.fromkeys(("verification", "backtracking", "subgoal_setting", "backward_chaining"), 0)
    for problem, reply in examples(template, name):
        counts = count_behaviors_in(reply.removeprefix("<think>"), problem.numbers, problem.target).counts
        for behavior, count in counts.items():
            shown[behavior] += count
    assert {behavior for behavior, count in shown.items() if count} == set(asked_of(name))


@pytest.mark.parametrize(("template", "name"), EVERY)
def test_examples_are_replies_that_can_be_used(template: str, name: str) -> None:
    verdicts = []
    for problem, reply in examples(template, name):
        request = Request("anthropic", "any", message(problem), 1024)
        answer = Answer.of(request, Reply(reply, "end_turn", Usage(), "1", "any"))
        found = read_answer(answer, problem, template, longest=72)
        assert found.status == "ok", found.reason
        verdicts.append(found.verdict)
        assert grade(reply, problem).reason == found.verdict
    assert verdicts.count("correct") >= 2
    # That a search may end without success is shown, too.
    assert ("wrong_value" in verdicts) == (name != "negative_control")


def test_no_example_is_a_problem_of_a_preset() -> None:
    shown = {problem.key for template, name in EVERY for problem, _ in examples(template, name)}
    assert len(shown) == 5
    for preset in (Path(__file__).parents[2] / "workflow/presets").glob("*.yaml"):
        problems = chain.from_iterable(sample(load(preset).countdown).values())
        assert shown.isdisjoint(problem.key for problem in problems)


@pytest.mark.parametrize("template", list(TEMPLATES))
@pytest.mark.parametrize("name", list(INSTRUCTIONS))
def test_a_prompt_is_complete_and_states_the_limits_in_effect(
    template: str, name: str, params: Params
) -> None:
    text = system_prompt(with_template(params, template), name)
    assert "$" not in text
    directive = (FOLDER / f"directives/{INSTRUCTIONS[name]}.txt").read_text().strip()
    assert directive in text and EXAMPLE.search(text + "\n")
    limit = params.priming.max_trace_tokens if template == "short" else params.teaching.max_tokens // 2
    assert f"t most {limit} words" in text


def test_sets_differ_in_directive_and_examples_alone(params: Params) -> None:
    heads = set()
    for name in INSTRUCTED:
        text = system_prompt(params, name)
        examples_at = text.index("EXAMPLES")
        heads.add(text[:examples_at].replace((FOLDER / f"directives/{name}.txt").read_text().strip(), ""))
    assert len(heads) == 1
