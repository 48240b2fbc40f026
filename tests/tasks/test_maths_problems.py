"""Maths problems: published sets in their own layouts, prompts that can be answered, right word problems."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from habits.tasks.maths import Problem, grade
from habits.tasks.maths.prompts import MOST_SHOTS, WORDS, PromptError, Style
from habits.tasks.maths.published import SUBJECTS, Published, PublishedError, read_published
from habits.tasks.maths.reward import cut_at
from habits.tasks.maths.verifier import Comparison
from habits.tasks.maths.word_problems import GAINS, LARGEST, compose, sample
from habits.tasks.maths.word_problems import WORDS as STORY_WORDS

# Rows of our own in the published formats: of the Hub, and of the JSON lines that circulate.
ROWS: dict[str, list[dict[str, Any]]] = {
    "gsm8k": [
        {"question": "Two and three?", "answer": "2 + 3 = <<2+3=5>>5\n#### 5"},
        {"question": "A car costs $1,200 and a bike half. Both?", "answer": "1200 + 600\n#### 1,800"},
    ],
    "math": [
        {
            "problem": "Half of $1$?",
            "level": "Level 1",
            "type": "Algebra",
            "solution": "It is $\\boxed{\\frac{1}{2}}$.",
        },
        {"problem": "Solve $x^2=4$, $x>0$.", "level": "Level 2", "type": "Algebra", "solution": "\\fbox{2}"},
    ],
    "cmath": [
        {"grade": 3, "question": "3加4是多少？", "golden": "7", "reasoning_step": 1, "num_digits": 1},
        {"grade": 6, "question": "一半是多少？", "golden": "0.5", "reasoning_step": 1, "num_digits": 1},
    ],
}
GOLD = {"gsm8k": ["5", "1,800"], "math": ["\\frac{1}{2}", "2"], "cmath": ["7", "0.5"]}


class Never:
    def compare(self, gold: str, answer: str) -> Comparison:
        raise AssertionError("exact rules must do")


def hub_folder(root: Path, name: str) -> Path:
    """A folder laid out like the set's repository on the Hub, as `datasets` reads it."""
    configurations = {"gsm8k": ("main",), "math": SUBJECTS, "cmath": ("default",)}[name]
    lines = ["---", "configs:"]
    for configuration in configurations:
        file = f"{configuration}/test-00000-of-00001.parquet"
        (root / configuration).mkdir(parents=True)
        pd.DataFrame(ROWS[name]).to_parquet(root / file)
        lines += [f"- config_name: {configuration}", "  data_files:", "  - split: test", f"    path: {file}"]
    (root / "README.md").write_text("\n".join([*lines, "---", ""]))
    return root


@pytest.mark.parametrize("name", ROWS)
def test_a_set_is_read_through_datasets_as_it_is_published(name: Published, tmp_path: Path) -> None:
    found = read_published(name, "0" * 40, hub=str(hub_folder(tmp_path, name)))
    parts = len(SUBJECTS) if name == "math" else 1  # MATH stands there subject by subject
    assert [problem.gold for problem in found] == GOLD[name] * parts
    assert len({problem.key for problem in found}) == 2 * parts
    assert {problem.language for problem in found} == {"zh" if name == "cmath" else "en"}


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("ending", [".jsonl", ".parquet"])
def test_a_set_is_read_from_a_file_of_the_same_format(name: Published, ending: str, tmp_path: Path) -> None:
    file = tmp_path / f"test{ending}"
    if ending == ".jsonl":
        file.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS[name]) + "\n\n")
    else:
        pd.DataFrame(ROWS[name]).to_parquet(file)
    assert [problem.gold for problem in read_published(name, "", file)] == GOLD[name]


def test_copies_that_keep_the_answer_apart_are_read_too(tmp_path: Path) -> None:
    (tmp_path / "g.jsonl").write_text('{"question": "q", "answer": "5", "cot": "2 + 3", "id": "x"}')
    assert read_published("gsm8k", "", tmp_path / "g.jsonl")[0].gold == "5"
    (tmp_path / "m.jsonl").write_text('{"problem": "q", "solution": "no box", "answer": "(1,2)"}')
    assert read_published("math", "", tmp_path / "m.jsonl")[0].gold == "(1,2)"


@pytest.mark.parametrize(
    ("name", "lines", "message"),
    [
        ("gsm8k", '{"question": "q"}', "line 1: answer is None"),
        (
            "gsm8k",
            '{"question": "q", "answer": "#### 5"}\n{"question": "", "answer": "5"}',
            "line 2: question is ''",
        ),
        ("gsm8k", '{"question": "q", "answer": "five"}', "line 1: answer must end in a number, not 'five'"),
        ("math", '{"problem": "q", "solution": "so 5"}', r"line 1: solution has no \\boxed"),
        ("cmath", '{"question": "q", "golden": "x"}', "golden must be a number"),
        ("cmath", "[1]", "a JSON object must stand there"),
        ("cmath", "{", "line 1: not JSON"),
        ("cmath", "", "holds no problem"),
    ],
)
def test_a_malformed_row_is_an_error_with_its_place(
    name: Published, lines: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "x.jsonl").write_text(lines)
    with pytest.raises(PublishedError, match=message):
        read_published(name, "", tmp_path / "x.jsonl")


def test_what_cannot_be_had_is_told_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(PublishedError, match=r"missing\.jsonl: no such file"):
        read_published("gsm8k", "", tmp_path / "missing.jsonl")
    with pytest.raises(PublishedError, match="Without a network, name a local file"):
        read_published("gsm8k", "e" * 40, hub=str(tmp_path / "nowhere"))


# Prompts


class Tokenizer:
    """A tokenizer with a chat template, as far as prompts are concerned."""

    chat_template = "yes"

    def apply_chat_template(self, conversation: list[dict[str, str]], **options: Any) -> str:
        assert options == {"tokenize": False, "add_generation_prompt": True}
        return "".join(f"<|{m['role']}|>{m['content']}<|end|>" for m in conversation) + "<|assistant|>"


EN, ZH = Problem("e", "How many?", "18", "en"), Problem("z", "多少？", "18", "zh")


@pytest.mark.parametrize("problem", [EN, ZH], ids=["en", "zh"])
@pytest.mark.parametrize("shots", [0, 1, MOST_SHOTS])
@pytest.mark.parametrize("chat", [False, True], ids=["plain", "chat"])
def test_the_answer_that_a_prompt_asks_for_is_right(problem: Problem, shots: int, chat: bool) -> None:
    style, words = Style(shots, chat), WORDS[problem.language]
    prompt = style.render(problem, Tokenizer())
    asked = "so \\boxed{18}." if shots == 0 else words.final.format(reasoning="9 + 9", answer="18")
    assert ("boxed" in prompt) == (shots == 0), "no instruction on top of examples that show another form"
    assert ("<|assistant|>" in prompt) == chat
    assert prompt.count(problem.question) == 1
    verdict = grade(asked, problem, Never())
    assert (verdict.reason, verdict.parts.format_ok) == ("correct", True)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_worked_examples_are_right_and_different(language: str) -> None:
    words = WORDS[language]  # type: ignore[index]
    assert len(words.examples) == MOST_SHOTS == len({example.question for example in words.examples})
    for example in words.examples:
        problem = Problem("x", example.question, example.answer.strip("$"), "en")
        written = words.final.format(reasoning=example.reasoning, answer=example.answer)
        assert grade(written, problem, Never()).reason == "correct"


def test_a_model_that_goes_on_with_a_question_of_its_own_is_cut_there() -> None:
    style = Style(2)
    ended = " 9 + 9 = 18. The final answer is 18.\n\nQuestion: And now?\nAnswer: The final answer is 3."
    assert grade(cut_at(ended, style.stops("en")), EN, Never()).reason == "correct"
    assert Style(0, chat_template=True).stops("en") == ()


def test_impossible_prompts_are_told() -> None:
    with pytest.raises(PromptError, match=f"shots is 9; there are {MOST_SHOTS}"):
        Style(9).render(EN)
    with pytest.raises(PromptError, match="has no chat template"):
        Style(0, chat_template=True).render(EN, None)
    with pytest.raises(PromptError, match="one prompt"):
        Style(2).render(compose(random.Random(1)).problem)


# Word problems


def test_word_problems_are_right_and_answered_by_their_solution() -> None:
    for composed in sample(300, seed=5):
        steps = composed.solution.split(" </think>")[0].split(" ; ")
        for step in steps:
            left, op, right, _, result = step.split()
            assert {"+": int(left) + int(right), "-": int(left) - int(right), "*": int(left) * int(right)}[
                op
            ] == int(result)
            assert 0 <= int(result) <= LARGEST
        verdict = grade(composed.solution, composed.problem, Never())
        assert (verdict.reason, verdict.parts.format_ok) == ("correct", True)


def test_word_problems_need_few_words_and_are_distinct() -> None:
    found = sample(500, seed=5)
    words = {word for composed in found for word in Style().render(composed.problem).split()}
    assert {word for word in words if not word.isdigit()} <= {*STORY_WORDS, ".", "<think>"}
    assert len({composed.key for composed in found}) == 500
    assert found == sample(500, seed=5) and found != sample(500, seed=6)


def test_a_reader_who_follows_one_person_comes_to_the_answer() -> None:
    """Independent of how problems are composed: only sentences about the person asked for count."""
    for composed in sample(300, seed=7):
        *sentences, asked = composed.question.split(" . ")
        held = 0
        for person, verb, *rest in (sentence.split() for sentence in sentences):
            if person != asked.split()[-2]:
                continue
            number = next(int(word) for word in rest if word.isdigit())
            if verb == "has":
                held = number
            elif verb == "now":
                held *= number
            else:
                held += number if verb in GAINS else -number
        assert str(held) == composed.problem.gold
