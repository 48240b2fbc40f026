"""What is a word of reconsideration, and what is waiting for a bus."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from habits.analysis.aha_words import KINDS, LEXICON, aha_counts, original_words
from habits.analysis.analyses import analyse, prepared

FOUND = {
    "wait": [
        *("Wait, that is wrong.", "So it is 5. Wait: no.", "But wait, there is more.", "a\nWait. Let me see"),
        *("wait", "No, wait!", "Hold on, I think", "Oh wait, I see", "Wait a minute", "**Wait**, so"),
        *("\u7b49\u7b49\uff0c\u8fd9\u6837", "\u4e0d\u5bf9\uff0c\u5e94\u8be5"),
    ],
    "hmm": ["Hmm, so", "hmmm"],
    "aha": ["Aha! So", "Oh, I see now", "\u554a\u54c8\uff01"],
    "check again": [
        *(
            "Let me double-check this.",
            "I should verify that",
            "let\u2019s check again",
            "Double-checking the sum",
        ),
        *("\u91cd\u65b0\u68c0\u67e5", "I need to re-check my work", "Let me just check the sum"),
    ],
    "think again": [
        *("Let me rethink", "I need to reconsider", "On second thought, no", "let me re-evaluate this"),
        "\u91cd\u65b0\u8003\u8651",
    ],
    "try again": ["Let me try again", "let's try another way", "Start over.", "\u6362\u4e2a\u65b9\u6cd5"],
    "sum up": ["In summary, (A)", "To summarize: (B)", "\u603b\u7ed3\u4e00\u4e0b"],
}
NOT_FOUND = [
    *(
        "They wait for the bus.",
        "Sasha will wait, then go home",
        "She asked to wait. Then",
        "waiting, she left",
    ),
    *("they should wait until noon", "Tell him: wait for me", "Wait for the bus", "I can't wait to go"),
    *("a friend who can verify the story", "Robin wanted to try again tomorrow", "The summary was long"),
    *("it was an aha moment", "He had to double check the door", "Riley had to hold on to the rope"),
    *("She will reconsider", "they retry every day", "nums 3 7 ; 3 * 7 = 21 check 21 yes", "ahmmed"),
]


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in FOUND.items() for text in texts])
def test_reconsideration_is_found(kind: str, text: str) -> None:
    assert aha_counts(text)[kind] == 1


@pytest.mark.parametrize("text", NOT_FOUND)
def test_the_same_words_in_a_story_are_not(text: str) -> None:
    assert sum(aha_counts(text).values()) == 0


def test_each_occurrence_counts() -> None:
    counts = aha_counts("Wait, no. Wait, yes. Let me check again. Hmm, wait.")
    assert {kind: n for kind, n in counts.items() if n} == {"wait": 3, "check again": 1, "hmm": 1}


@given(st.text(), st.sampled_from([text for texts in FOUND.values() for text in texts]))
def test_triggers_leave_out_nothing_that_a_pattern_would_find(noise: str, found: str) -> None:
    text = f"{noise} {found} {noise}"
    for rule in LEXICON:
        assert aha_counts(text)[rule.name] == len(rule.pattern.findall(text.lower()))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("They wait for the bus; the summary was long", ["summary", "wait"]),
        ("Re-evaluate, double check, VERIFY", ["re-evaluate", "double check", "verify"]),
        ("awaiting the ahas", []),
        ("wait wait wait", ["wait"]),
    ],
)
def test_the_original_counts_substrings_once_a_response(text: str, words: list[str]) -> None:
    assert original_words(text) == words


@pytest.mark.parametrize(
    "text",
    [
        *(
            "let me just ",
            ". ",
            "wait",
            "wait. but ",
            "hm",
            "i will just now ",
            "let me      ",
            "hold on   ",
            "\n",
        )
    ],
)
def test_long_hostile_text_is_read_to_its_end(text: str) -> None:
    """In linear time: benchmarks/hostile_text.py."""
    counts = aha_counts(text * 40_000 + ". Hold on. Hmm")
    assert counts["hmm"] == 1 and counts["wait"] == (40_001 if text == "wait. but " else 1)


def rollouts() -> pd.DataFrame:
    """At step 0 each tenth response of 20 tokens waits once, at step 10 each second one of 40 twice."""
    number = np.tile(np.arange(200), 2)
    late = np.repeat([False, True], 200)
    often = late & (number % 2 == 0)
    once = ~late & (number % 10 == 0)
    return pd.DataFrame(
        {
            "problem_id": [f"p{n}" for n in number],
            "response": np.select([often, once], ["Wait, no. Wait, yes.", "Wait, no."], "They wait."),
            "correct": True,
            "n_tokens": np.where(late, 40, 20),
            "rl_step": np.where(late, 10, 0),
            "split": "test",
        }
    )


def test_rates_are_per_response_and_per_thousand_tokens_and_against_the_start() -> None:
    table = analyse(prepared(rollouts(), "x"), 0.95)["aha_by_step"]
    rows = table[table["kind"] == "wait"].set_index("rl_step")
    assert rows["share"].tolist() == [0.1, 0.5]
    assert rows["per_1000"].tolist() == pytest.approx([20 / 4, 200 / 8])
    assert (rows["rate_low"] < rows["per_1000"]).all() and (rows["per_1000"] < rows["rate_high"]).all()
    assert rows["against_start"][10] == pytest.approx(20)
    assert rows["start_low"][10] > 0
    assert np.isnan(rows["against_start"][0])
    assert (table.groupby("rl_step")["kind"].nunique() == 1 + len(KINDS)).all()
    anything = table[table["kind"] == "any"].set_index("rl_step")["count"]
    assert anything.to_dict() == {0: 20, 10: 200}


def test_the_original_table_has_first_step_and_percent() -> None:
    rows = analyse(prepared(rollouts(), "x"), 0.95)["original_words"].set_index("word")
    assert rows.loc["wait", ["first_step", "responses", "percent"]].tolist() == [0, 400, 100.0]
    assert rows.loc["verify", "responses"] == 0 and np.isnan(rows.loc["verify", "first_step"])
