"""Rules that find behaviors, problems, solutions and the domain in any English text about mathematics.

Patterns of words, with no model behind them: free, fast, and wrong now and then (how often is measured on the
embedded corpus). Each match is one instance and its own evidence. Linear in the length of the text.
Reads and writes no files.
"""

from __future__ import annotations

import re

from habits.priming.language import BEHAVIORS, Behavior

_PATTERNS: dict[Behavior, tuple[str, ...]] = {
    "verification": (
        r"let(?:'s| us| me) (?:double-?)?(?:check|verify)",
        r"to (?:double-?check|verify)",
        r"check(?:ing)?(?: against \d+)?:",
        r"(?:substituting|plugging|putting) [\w ]{0,30}\bback\b",
        r"(?:that|this|it) is (?:exactly )?\d+, as (?:wanted|desired|expected|required)",
        r"(?:that|this|it) (?:equals|is) \d+,? so (?:it|that|this) works",
        r"(?:that|this|it) is not \d+",
        r"(?:misses|not equal to) \d+",
        r"does (?:this|that|it) make sense",
        r"too (?:big|small|large|high|low)\b",
    ),
    "backtracking": (
        r"wait,",
        r"(?:that|this|it) (?:doesn't|does not|didn't) work",
        r"leads nowhere|dead end",
        r"(?:this|that|the) (?:approach|attempt) fails",
        r"(?:let's|let us|let me|i) (?:try (?:something|another|again)|start over|go back|undo)",
        r"starting over|start again|scrap that",
        r"i made a mistake|that was wrong",
        r"back to the (?:given|original|start)",
    ),
    "subgoal_setting": (
        r"first,? (?:i|we) (?:need|want|would like|have) to",
        r"(?:our|my|the) first goal",
        r"(?:an |the )?intermediate (?:step|goal)",
        r"let's aim for",
        r"break (?:the problem|this|it) (?:down )?into",
        r"step \d+:",
        r"it suffices to",
    ),
    "backward_chaining": (
        r"(?:working|reasoning) backwards?\b",
        r"to end up (?:at|with)",
        r"from the target\b",
        r"suppose we already had",
        r"in order to (?:get|reach) \d+ at the end",
        r"starting from what we want",
    ),
}
_BEHAVIORS = {
    behavior: re.compile("|".join(rf"\b(?:{pattern})" for pattern in patterns))
    for behavior, patterns in _PATTERNS.items()
}
# One act, two phrases: "Wait, that doesn't work. Let me try another way."
_SAME_ACT = 60  # characters between two phrases of one backtracking
_PROBLEM = re.compile(
    r"\?|\b(?:solve|find|compute|determine|prove|show that|use the numbers|target|one should get)\b"
    r"|\bhow (?:can|many|likely)\b"
)
_SOLUTION = re.compile(
    r"\b(?:answer|solution is|result:|therefore|hence|so the|it is the|remainder is|probability is)\b"
    r"|\b(?:we have|by the|we write)\b|\d = \d"
)
_DOMAINS = {
    "number_puzzles": r"use the numbers|target|the numbers are|reach \d+ with|one should get \d+|to make \d+",
    "geometry": r"rectangle|triangle|circle|angle|perimeter|area",
    "calculus": r"derivative|integral|differentiable|limit|f'\(",
    "probability": r"dice|coins?|probabilit|likely|random",
    "number_theory": r"remainder|divis|prime|modulo|congruen",
    "algebra": r"equation|solve|polynomial|unknown|\d+x\b",
}
_DOMAIN = {name: re.compile(rf"\b(?:{pattern})") for name, pattern in _DOMAINS.items()}


def find_behaviors(text: str) -> dict[Behavior, list[str]]:
    """The words that show each behavior, one string an instance, in text order."""
    lowered = _lower(text)
    return {behavior: _instances(behavior, text, lowered) for behavior in BEHAVIORS}


def _instances(behavior: Behavior, text: str, lowered: str) -> list[str]:
    found: list[str] = []
    last_end = -_SAME_ACT - 1
    for match in _BEHAVIORS[behavior].finditer(lowered):
        if behavior != "backtracking" or match.start() - last_end > _SAME_ACT:
            found.append(text[match.start() : match.end()])
        last_end = match.end()
    return found


def is_problem(text: str) -> bool:
    """Whether a problem is posed."""
    return _PROBLEM.search(_lower(text)) is not None


def is_solution(text: str) -> bool:
    """Whether something is solved."""
    return _SOLUTION.search(_lower(text)) is not None


def domain_of(text: str) -> str:
    """The domain whose words occur most often (the first of equals); ``other`` when none does."""
    lowered = _lower(text)
    hits = {name: len(pattern.findall(lowered)) for name, pattern in _DOMAIN.items()}
    best = max(hits, key=lambda name: hits[name])
    return best if hits[best] else "other"


def _lower(text: str) -> str:
    """ASCII letters in lower case: offsets stay those of ``text``."""
    return text.translate(_LOWER)


_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
