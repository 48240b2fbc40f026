"""Language mixing: writing systems in a thought that are not the one of its prompt.

Letters are assigned to scripts by Unicode's own table (Chinese characters and Japanese kana count as one
script, as Japanese mixes them by rule). What was copied from the prompt (names, words), single letters of
an alphabet (``x``, ``(A)``, ``pi``), tags and LaTeX commands do not count. Two languages in one script,
such as English and Vietnamese, cannot be told apart this way.

`original_class` is the count of the original study: any ASCII letter is English, any character from U+4E00
to U+9FFF Chinese, other scripts are not seen.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from fontTools import unicodedata

from habits.analysis.clustered import difference, mean, share, slope
from habits.analysis.responses import by_step

OriginalClass = Literal["english", "chinese", "mixed", "neither"]
CLASSES: tuple[OriginalClass, ...] = ("english", "chinese", "mixed", "neither")
MARKUP = re.compile(r"</?[a-z]{1,20}>|\\[A-Za-z]{1,40}|<\|[a-z_]{1,40}\|>")
SAME_SCRIPT = {"Hira": "Hani", "Kana": "Hani", "Bopo": "Hani"}
NO_SCRIPT = {"Zyyy", "Zinh", "Zzzz"}
ALPHABETS = {"Latn", "Grek", "Cyrl"}  # a single letter is a symbol there, elsewhere it may be a word
UNSPACED = {"Hani", "Thai", "Laoo", "Khmr", "Mymr"}  # no spaces: copied is what stands in the prompt anywhere
PER_STEPS = 100.0
NO_LETTERS = bytes(byte for byte in range(128) if not chr(byte).isalpha())
SHOWN = 60  # characters around a switch that an example shows


@dataclass(frozen=True)
class Word:
    """Letters of one script without a break; ``start`` is its place in the text."""

    script: str
    text: str
    start: int


@dataclass(frozen=True)
class Mixing:
    """What a thought mixes, copied words and symbols left out.

    Attributes:
        letters: letters counted.
        foreign: those that are not of the home script.
        switches: places where the script changes from one word to the next.
        scripts: the foreign scripts by their Unicode names, sorted.
        example: text around the first foreign word.
    """

    letters: int = 0
    foreign: int = 0
    switches: int = 0
    scripts: tuple[str, ...] = ()
    example: str = ""


def mixing(thought: str, prompt: str) -> Mixing:
    """Foreign script in ``thought``; home is the main script of the prompt, or of the thought without one."""
    home = main_script(prompt) or main_script(thought)
    if home == "Latn" and thought.isascii():
        return Mixing(letters=len(MARKUP.sub(" ", thought).encode().translate(None, NO_LETTERS)))
    copied, inside = _prompt_words(prompt), prompt.casefold()
    kept = [w for w in words(MARKUP.sub(_blank, thought)) if not _is_copied(w, home, copied, inside)]
    foreign = [word for word in kept if word.script != home]
    switches = sum(a.script != b.script for a, b in zip(kept, kept[1:], strict=False))
    names = {unicodedata.script_name(word.script) for word in foreign}
    return Mixing(
        letters=sum(len(word.text) for word in kept),
        foreign=sum(len(word.text) for word in foreign),
        switches=switches,
        scripts=tuple(sorted(names)),
        example=_around(thought, foreign[0]) if foreign else "",
    )


def words(text: str) -> list[Word]:
    """The words of ``text``: a change of script, or anything that is no letter or mark, ends a word."""
    found: list[Word] = []
    start, script = 0, ""
    for place, char in enumerate(text):
        own = script if script and _is_mark(char) else script_of(char)
        if own != script:
            if script:
                found.append(Word(script, text[start:place], start))
            start, script = place, own
    return [*found, Word(script, text[start:], start)] if script else found


@functools.cache
def script_of(char: str) -> str:
    """Unicode's script code of a letter, ``Latn`` or ``Hani``; empty for what belongs to no script."""
    script = str(unicodedata.script(char))
    if script in NO_SCRIPT or not unicodedata.category(char).startswith("L"):
        return ""
    return SAME_SCRIPT.get(script, script)


@functools.lru_cache(maxsize=4096)
def main_script(text: str) -> str:
    """The script with the most letters in ``text``; empty when it has none."""
    text = MARKUP.sub(" ", text)
    if text.isascii():
        return "Latn" if any(map(str.isalpha, text)) else ""
    counts: dict[str, int] = {}
    for char in text:
        if script := script_of(char):
            counts[script] = counts.get(script, 0) + 1
    return max(counts, key=lambda script: counts[script]) if counts else ""


def original_class(thought: str) -> OriginalClass:
    """The original study's class of a text, for comparison with its numbers."""
    english = re.search(r"[A-Za-z]", thought) is not None
    chinese = re.search(r"[\u4e00-\u9fff]", thought) is not None
    if english and chinese:
        return "mixed"
    return "english" if english else "chinese" if chinese else "neither"


def add_mixing(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of `habits.analysis.responses` with the columns of `Mixing`, ``mixed`` and ``original_class``."""
    pairs = zip(rows["thought"], rows["prompt"], strict=True)
    found = pd.DataFrame([vars(mixing(thought, prompt)) for thought, prompt in pairs], index=rows.index)
    found["mixed"] = (found["foreign"] > 0).astype(float)
    found["original_class"] = [original_class(thought) for thought in rows["thought"]]
    return pd.concat([rows, found], axis=1)


def mixing_by_step(rows: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """One row a (source, step): how much is mixed, and against step 0.

    Columns: rl_step, n, n_problems, mixed, low, high (share of responses), against_start, start_low,
    start_high (difference to step 0), foreign_letters (share of letters), switches (a response), and the
    original study's four classes as shares.
    """
    found = []
    for source, part in rows.groupby("source", sort=True):
        mixed, problem, step = (part[name].to_numpy() for name in ("mixed", "problem", "rl_step"))
        for first, own in by_step(part["rl_step"]):
            both = own | (step == 0)
            change = difference(mixed[both], step[both] > 0, problem[both], confidence)
            found.append(
                {"source": source, "rl_step": first, **_mixed(part[own], confidence)}
                | {"against_start": change.value, "start_low": change.low, "start_high": change.high}
            )
    return pd.DataFrame(found)


def mixing_overall(rows: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """One row a source: the columns of `mixing_by_step` over all steps, and the trend.

    slope (with slope_low, slope_high, slope_status) is the change of the mixed share per 100 steps.
    """
    found = []
    for source, part in rows.groupby("source", sort=True):
        stepped = part[part["rl_step"].notna()]
        step = stepped["rl_step"].to_numpy(dtype=float) / PER_STEPS
        mixed = stepped["mixed"].to_numpy(dtype=float)
        trend = slope(mixed, step, stepped["problem"].to_numpy(), confidence)
        found.append(
            {"source": source, **_mixed(part, confidence)}
            | {"slope": trend.value, "slope_low": trend.low, "slope_high": trend.high}
            | {"slope_status": trend.status}
        )
    return pd.DataFrame(found)


def mixed_examples(rows: pd.DataFrame, at_most: int = 50) -> pd.DataFrame:
    """Text around the first foreign word of some mixed thoughts: source, rl_step, scripts, example."""
    mixed = rows[rows["mixed"] > 0]
    spread = mixed.iloc[:: max(1, -(-len(mixed) // at_most))] if len(mixed) else mixed
    columns = spread[["source", "rl_step", "scripts", "example"]]
    return columns.assign(scripts=[", ".join(names) for names in columns["scripts"]]).reset_index(drop=True)


def _mixed(own: pd.DataFrame, confidence: float) -> dict[str, float]:
    problem = own["problem"].to_numpy()
    mixed = share(own["mixed"].to_numpy(dtype=float), problem, confidence)
    letters = own["letters"].sum()
    switches = mean(own["switches"].to_numpy(dtype=float), problem, confidence)
    classes = own["original_class"].value_counts(normalize=True)
    return {
        "n": mixed.n,
        "n_problems": mixed.n_problems,
        "mixed": mixed.value,
        "low": mixed.low,
        "high": mixed.high,
        "foreign_letters": float(own["foreign"].sum() / letters) if letters else np.nan,
        "switches": switches.value,
        **{f"original_{name}": float(classes.get(name, 0.0)) for name in CLASSES},
    }


@functools.lru_cache(maxsize=4096)
def _prompt_words(prompt: str) -> frozenset[str]:
    return frozenset(word.text.casefold() for word in words(prompt))


def _is_copied(word: Word, home: str, copied: frozenset[str], prompt: str) -> bool:
    """Whether a foreign word stands in the prompt, or is a symbol and no word."""
    if word.script == home:
        return False
    if word.script in ALPHABETS and len(word.text) == 1:
        return True
    text = word.text.casefold()
    return text in copied or (word.script in UNSPACED and text in prompt)


def _is_mark(char: str) -> bool:
    return not char.isascii() and unicodedata.category(char).startswith("M")


def _blank(match: re.Match[str]) -> str:
    """Spaces in place of markup, so that places in the text stay."""
    return " " * len(match.group())


def _around(text: str, word: Word) -> str:
    return text[max(0, word.start - SHOWN) : word.start + SHOWN]
