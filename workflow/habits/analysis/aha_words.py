"""Words of reconsideration ("Wait, ...", "let me check again") in thoughts.

A word counts where its context makes it one: "Wait," at the start of a sentence, not "wait for the bus";
"let me verify", not "a friend who can verify". Each entry of `LEXICON` is such a rule, English or Chinese;
`ORIGINAL` are the original study's substrings, kept for comparison with its numbers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from habits.analysis.clustered import Codes, difference, mean, share
from habits.analysis.resampling import Floats
from habits.analysis.responses import by_step

PER = 1000.0  # rates are per so many tokens
ANY = "any"
# A sentence starts with the text, on a new line, or after a full stop or the like (Chinese ones included).
START = r"(?:^|[.!?:;\n*\u2026\u2014(\"\u201c。！？，])\s{0,4}"
TURN = rf"(?:{START}|\b(?:but|so|oh|no|hmm),?\s{{1,4}})"
STOPS = r"(?=[,.!?:*\u2026\u2014。，！-]|\s{0,2}$)"
MYSELF = (
    r"\b(?:(?:let me|let us|let['\u2019]?s|i['\u2019]ll)|"
    r"(?:i|we) (?:will|should|must|need to|have to|want to|can))\s{1,4}"
    r"(?:(?:just|now|quickly|first|also|try to)\s{1,4}){0,2}"
)
AGAIN = r"(?:重新|再次?)\s?"  # Chinese: anew, once more


@dataclass(frozen=True)
class Rule:
    """A kind of reconsideration, found by ``pattern`` in lower-cased text that holds one of ``triggers``.

    The triggers are what makes most texts cheap: a pattern is only tried where it can match.
    """

    name: str
    triggers: tuple[str, ...]
    pattern: re.Pattern[str]


def _rule(name: str, triggers: str, *patterns: str) -> Rule:
    return Rule(name, tuple(triggers.split("|")), re.compile("|".join(patterns)))


LEXICON = (
    _rule(
        "wait",
        "wait|hold on|等等|等一下|不对",
        rf"{TURN}(?:wait|hold on)(?:{STOPS}|\s+(?:a|one) (?:minute|second|moment|sec)\b|\s+no\b)",
        rf"{START}(?:等等|等一下|不对){STOPS}",
    ),
    _rule("hmm", "hmm", r"\bh+m{2,}\b"),
    _rule(
        "aha",
        "aha|eureka|i see|ah, right|oh, right|啊哈|原来如此",
        rf"{TURN}(?:aha|eureka)\b(?!\s+moments?)",
        rf"{TURN}(?:oh|ah),? (?:i see|right)\b",
        r"啊哈|原来如此",
    ),
    _rule(
        "check again",
        "recheck|re-check|double check|double-check|verify|reverify|check again|check this|check that|"
        "check it|check my|check the|检查|验证|核对",
        rf"{MYSELF}(?:re-?check|double[ -]check|(?:re-?)?verify|check (?:again|this|that|it|my|the))\b",
        rf"{START}(?:re-?check|double[ -]check|check again)(?:ing)?\b",
        rf"{AGAIN}(?:检查|验证|核对)|验证一下",
    ),
    _rule(
        "think again",
        "rethink|re-think|reconsider|re-consider|reevaluate|re-evaluate|reexamine|re-examine|reread|re-read|"
        "think again|again|second thought|考虑|思考|想想|审视",
        rf"{MYSELF}(?:re-?think|re-?consider|re-?evaluate|re-?examine|re-?read|think again|"
        r"(?:think about|look at) (?:this|it|that) again|look again)\b",
        rf"{START}(?:re-?thinking|re-?considering|re-?evaluating|on second thought)\b",
        rf"{AGAIN}(?:考虑|思考|想想|审视)",
    ),
    _rule(
        "try again",
        "retry|re-try|try |start over|starting over|尝试|重新试|再试|重新开始|重新计算|换个方法",
        rf"{MYSELF}(?:re-?try|try (?:again|another|a different|something else|once more)|start over)\b",
        rf"{START}(?:try again|start(?:ing)? over)\b",
        rf"{AGAIN}(?:试|尝试|开始|计算)|换个方法",
    ),
    _rule(
        "sum up",
        "summar|sum up|总结一下",
        rf"{START}(?:in summary|to (?:summarize|summarise|sum up))\b|总结一下",
    ),
)
KINDS = tuple(rule.name for rule in LEXICON)
# The original's list: these anywhere in the lower-cased text, aha and wait as whole words.
ORIGINAL = (
    *("rethink", "re-think", "think again", "retry", "re-try", "try again", "recheck", "re-check"),
    *("check again", "reevaluate", "re-evaluate", "double check", "double-check", "verify"),
    *("summarize", "summary"),
)
ORIGINAL_WORDS = ("aha", "wait")


def aha_counts(thought: str) -> dict[str, int]:
    """How often each kind of reconsideration occurs in a text."""
    lower = thought.lower()
    return {
        rule.name: sum(1 for _ in rule.pattern.finditer(lower))
        if any(t in lower for t in rule.triggers)
        else 0
        for rule in LEXICON
    }


def original_words(thought: str) -> list[str]:
    """The original study's words that a text holds, each once."""
    lower = thought.lower()
    found = [word for word in ORIGINAL if word in lower]
    whole = (word for word in ORIGINAL_WORDS if word in lower)
    return found + [word for word in whole if re.search(rf"\b{word}\b", lower)]


def add_aha(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of `habits.analysis.responses` with counts by kind, their sum ``any``, and ``original_words``."""
    counts = pd.DataFrame([aha_counts(text) for text in rows["thought"]], index=rows.index, columns=KINDS)
    counts[ANY] = counts[list(KINDS)].sum(axis=1)
    words = pd.Series([original_words(text) for text in rows["thought"]], index=rows.index)
    return pd.concat([rows, counts], axis=1).assign(original_words=words)


def aha_by_step(rows: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """One row a (source, step, kind): rates with intervals, and against step 0.

    Columns: rl_step, kind, n, n_problems, count, responses with one (share, low, high), per_1000 (per 1,000
    tokens or words; rate_low, rate_high), against_start with start_low and start_high (difference of the
    rates to step 0).
    """
    found = []
    for source, part in rows.groupby("source", sort=True):
        length = np.maximum(part["length"].to_numpy(dtype=float), 1.0)
        problem, step = part["problem"].to_numpy(), part["rl_step"].to_numpy()
        rates = {kind: PER * part[kind].to_numpy(dtype=float) / length for kind in (ANY, *KINDS)}
        for first, own in by_step(part["rl_step"]):
            both = own | (step == 0)
            for kind, rate in rates.items():
                change = difference(rate[both], step[both] > 0, problem[both], confidence, length[both])
                found.append(
                    {"source": source, "rl_step": first, "kind": kind}
                    | {"count": int(part[kind].to_numpy()[own].sum())}
                    | _rates(rate[own], length[own], problem[own], confidence)
                    | {"against_start": change.value, "start_low": change.low, "start_high": change.high}
                )
    return pd.DataFrame(found)


def original_table(rows: pd.DataFrame) -> pd.DataFrame:
    """The original study's table: one row a (source, word) with first_step, responses, percent."""
    found = []
    for source, part in rows.groupby("source", sort=True):
        exploded = part[["rl_step", "original_words"]].explode("original_words")
        for word in (*ORIGINAL, *ORIGINAL_WORDS):
            own = exploded[exploded["original_words"] == word]
            first = own["rl_step"].min() if len(own) else np.nan
            row = {"source": source, "word": word, "first_step": first, "responses": len(own)}
            found.append({**row, "percent": 100 * len(own) / len(part)})
    return pd.DataFrame(found)


def _rates(rate_N: Floats, length_N: Floats, problem_N: Codes, confidence: float) -> dict[str, float]:
    with_one = share((rate_N > 0).astype(float), problem_N, confidence)
    rate = mean(rate_N, problem_N, confidence, weights_N=length_N)
    return {
        "n": with_one.n,
        "n_problems": with_one.n_problems,
        "share": with_one.value,
        "low": with_one.low,
        "high": with_one.high,
        "per_1000": rate.value,
        "rate_low": rate.low,
        "rate_high": rate.high,
    }
