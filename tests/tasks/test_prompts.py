"""Prompt templates: the gold answer earns the full reward under each, and prompts are never read."""

from __future__ import annotations

import random
import re

import pytest

from habits.params import Countdown
from habits.tasks.countdown import TEMPLATES, Problem, PromptTemplate, grade, solutions
from habits.tasks.countdown.sampling import sample

EXAMPLE = Problem((1, 2, 3), 1)  # what the example in paper_base solves


@pytest.fixture(scope="module")
def problems() -> list[Problem]:
    """Some hundred problems of two to four numbers."""
    settings = Countdown.model_validate(
        {
            "sizes": {2: 0.2, 3: 0.4, 4: 0.4},
            "number_min": 1,
            "number_max": 30,
            "target_min": 1,
            "target_max": 100,
            "sampler": "reachable_target",
            "integer_only": True,
            "max_intermediate": None,
            "split_by": "key",
            "train": 300,
            "validation": 20,
            "test": 20,
            "seed": 3,
        }
    )
    return [problem for split in sample(settings).values() for problem in split]


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_gold_answer_earns_the_full_reward(template: PromptTemplate, problems: list[Problem]) -> None:
    for problem in problems:
        for solution in solutions(problem):
            verdict = grade(template.gold_response(solution.expression), problem)
            assert (verdict.reason, verdict.score, verdict.parts.format_ok) == ("correct", 1.0, True)


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_gold_answer_of_another_problem_earns_less(template: PromptTemplate, problems: list[Problem]) -> None:
    for problem, other in zip(problems, problems[1:], strict=False):
        verdict = grade(template.gold_response(solutions(other)[0].expression), problem)
        assert verdict.reason in {"wrong_numbers", "wrong_value"}


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_prompt_shows_the_problem_and_opens_the_thought(template: PromptTemplate) -> None:
    prompt = template.render(Problem((6, 13, 42), 81))
    assert prompt.endswith("<think>")
    shown = [int(digits) for digits in re.findall(r"\d+", prompt)]
    assert shown[:4] == [6, 13, 42, 81]
    reordered = template.render(Problem((6, 13, 42), 81), [42, 6, 13])
    assert [int(digits) for digits in re.findall(r"\d+", reordered)][:4] == [42, 6, 13, 81]
    with pytest.raises(ValueError, match="6-13-42=81"):
        template.render(Problem((6, 13, 42), 81), [42, 6, 14])


def test_paper_base_asks_for_all_that_the_reward_demands() -> None:
    prompt = TEMPLATES["paper_base"].render(Problem((6, 13, 42), 81))
    for part in ("User:", "Assistant:", "[6, 13, 42]", "81", "+, -, *, /", "each number exactly once"):
        assert part in prompt
    for tag in ("<think> </think>", "<answer> </answer>"):
        assert tag in prompt


def test_example_of_paper_base_is_a_right_answer_that_is_never_read() -> None:
    prompt = TEMPLATES["paper_base"].render(EXAMPLE)
    example = prompt[prompt.rindex("<answer>") : prompt.rindex("</answer>") + len("</answer>")]
    assert grade(f"</think> {example}", EXAMPLE).reason == "correct"
    for response in ("", " I do not know. </think>", " 1 + 2 = 3"):
        assert grade(response, EXAMPLE).reason == "no_answer"


def test_short_prompt_and_gold_are_single_words() -> None:
    """The tiny models' tokenizer splits at single spaces and knows forty words and the integers."""
    template = TEMPLATES["short"]
    problem = Problem((6, 13, 3), 81)
    assert template.render(problem) == "nums 6 13 3 target 81 <think>"
    text = template.gold_response("( 6 * 13 ) + 3")
    assert text == " </think> <answer> ( 6 * 13 ) + 3 </answer>"
    rng = random.Random(0)
    for _ in range(100):
        numbers = tuple(rng.choices(range(1, 16), k=3))
        for solution in solutions(Problem(numbers, rng.randint(10, 100)))[:3]:
            words = template.gold_response(solution.expression).strip().split(" ")
            assert all(re.fullmatch(r"\d+|[-+*/()]|</?(think|answer)>", word) for word in words)
