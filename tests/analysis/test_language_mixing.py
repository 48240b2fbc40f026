"""Which text mixes languages, and which only copies a name, a symbol or a tag."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from habits.analysis.analyses import analyse, prepared
from habits.analysis.language_mixing import mixing, original_class, words

ENGLISH = "Jordan met \u738b\u4e94 at work. (A) rest (B) work <think>"
CHINESE = "\u5c0f\u660e\u67093\u4e2a\u82f9\u679c\uff0c\u53c8\u4e70\u4e86x\u4e2a\u3002"


@pytest.mark.parametrize(
    ("thought", "prompt", "scripts", "foreign", "switches"),
    [
        ("He is tired and goes home.", ENGLISH, (), 0, 0),
        ("a more profound\u8dcc in self-esteem", ENGLISH, ("Han",), 1, 2),
        ("emotional pain\u0e08\u0e32\u0e01 Sydney", ENGLISH, ("Thai",), 3, 2),
        ("aligns \ubb34\uace8 spritz", ENGLISH, ("Hangul",), 2, 2),
        ("\u0434\u0430 and \u05e9\u05dc\u05d5\u05dd", ENGLISH, ("Cyrillic", "Hebrew"), 6, 2),
        ("\u738b\u4e94 is tired", ENGLISH, (), 0, 0),  # a name from the prompt
        ("\u738b\u4e94\u5f88 tired", ENGLISH, ("Han",), 3, 1),  # more than the name
        ("let \u03c0 be x, \u0394 = 3", ENGLISH, (), 0, 0),  # symbols
        ("\u03bb\u03cc\u03b3\u03bf\u03c2", ENGLISH, ("Greek",), 5, 0),  # a word
        ("caf\u00e9 na\u00efve cafe\u0301", ENGLISH, (), 0, 0),
        ("kh\u00f3 kh\u0103n untuk", ENGLISH, (), 0, 0),  # another language in the same script: not seen
        ("\u56e0\u4e3a x = 5\uff0c\u9009 (A)", CHINESE, (), 0, 0),
        ("\u6240\u4ee5 \\boxed{18} \\frac{1}{2}", CHINESE, (), 0, 0),
        ("</think><answer> \u5341\u516b </answer><|im_end|>", CHINESE, (), 0, 0),
        ("\u56e0\u4e3a so the \u7b54\u6848", CHINESE, ("Latin",), 5, 2),
        (
            "\u6f22\u5b57\u3068\u30ab\u30ca",
            "\u65e5\u672c\u8a9e\u306e\u554f",
            (),
            0,
            0,
        ),  # Japanese mixes these by rule
        ("no prompt at all, \u597d", "", ("Han",), 1, 1),
        ("", ENGLISH, (), 0, 0),
        ("12 + 3 = 15 !?", ENGLISH, (), 0, 0),
    ],
)
def test_foreign_script_is_counted_and_copies_and_symbols_are_not(
    thought: str, prompt: str, scripts: tuple[str, ...], foreign: int, switches: int
) -> None:
    found = mixing(thought, prompt)
    assert (found.scripts, found.foreign, found.switches) == (scripts, foreign, switches)


def test_an_example_shows_the_place() -> None:
    found = mixing("word " * 50 + "\u8dcc in self-esteem " + "word " * 50, ENGLISH)
    assert "\u8dcc in self-esteem" in found.example and len(found.example) <= 120


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("only words", "english"),
        ("\u53ea\u6709\u4e2d\u6587", "chinese"),
        ("x \u4e2d", "mixed"),
        ("\u738b\u4e94 is tired", "mixed"),  # a name is enough for the original
        ("\ubb34\uace8 12", "neither"),  # other scripts do not exist for it
        ("pain\u0e08", "english"),
        ("12 + 3", "neither"),
    ],
)
def test_the_original_classes_are_those_of_the_original(text: str, expected: str) -> None:
    assert original_class(text) == expected


@given(thought=st.text(), prompt=st.text())
def test_any_text_is_taken_and_its_numbers_fit(thought: str, prompt: str) -> None:
    found = mixing(thought, prompt)
    assert 0 <= found.foreign <= found.letters <= len(thought)
    assert (found.foreign > 0) == bool(found.scripts) == bool(found.example)


@given(st.text())
def test_words_are_pieces_of_the_text_in_order(text: str) -> None:
    found = words(text)
    assert all(text[word.start : word.start + len(word.text)] == word.text for word in found)
    ends = [word.start + len(word.text) for word in found]
    assert all(end <= word.start for end, word in zip(ends, found[1:], strict=False))


@given(st.text())
def test_what_stands_in_the_prompt_word_for_word_is_no_mixing(text: str) -> None:
    assert mixing(text, text + " " + " plain english words" * 20).foreign == 0


@pytest.mark.parametrize("text", ["a\u4e2d", "<", "\\", "\\a", "\u0301", "<think>", "x\u0301\u4e2d"])
def test_long_hostile_text_is_read_to_its_end(text: str) -> None:
    """In linear time: benchmarks/hostile_text.py."""
    found = mixing("\u00e9" + text * 32_000 + " \u0e08\u0e32\u0e01", ENGLISH)
    assert found.foreign == 3 + 32_000 * text.count("\u4e2d") and "Thai" in found.scripts


def rollouts() -> pd.DataFrame:
    """Mixing grows from nothing to a tenth of the responses."""
    step = np.repeat([0, 50, 100], 400)
    mixed = np.random.default_rng(0).random(1200) < step / 1000
    return pd.DataFrame(
        {
            "problem_id": [f"p{i % 100}" for i in range(1200)],
            "prompt": ENGLISH,
            "response": np.where(mixed, "he is sad\u8dcc </think>", "he is sad </think>"),
            "correct": np.arange(1200) % 3 == 0,
            "rl_step": step,
            "split": "test",
        }
    )


def test_the_trend_over_steps_is_measured_against_the_start() -> None:
    found = analyse(prepared(rollouts(), "x"), 0.95)
    by_step = found["mixing_by_step"].set_index("rl_step")
    assert by_step["mixed"][0] == 0 < by_step["high"][0]
    assert by_step["mixed"][100] == pytest.approx(0.1, abs=0.04)
    assert by_step["start_low"][100] > 0.04
    assert by_step["against_start"][50] == pytest.approx(by_step["mixed"][50])
    overall = found["mixing_overall"].iloc[0]
    assert overall["slope_low"] < 0.1 < overall["slope_high"]  # a tenth per 100 steps
    assert overall["original_mixed"] == pytest.approx(overall["mixed"])
    assert overall["foreign_letters"] < overall["mixed"], "one character is not half of a text"
    examples = found["mixed_examples"]
    assert len(examples) <= 50 and (examples["scripts"] == "Han").all()
