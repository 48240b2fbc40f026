"""The symbolic rewriter: a number puzzle told in English, as question, thought and answer in the trace
language.

It reads what the text says (statement, steps, remarks, answer) and writes the same again in the tiny models'
words, the writer's mistakes included. Domains other than number puzzles have no words there. Reads and writes
no files. Linear in the length of the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from habits.tasks.countdown import Problem
from habits.tasks.countdown.expressions import ExpressionError, parse

_LIST = r"(?P<list>\d{1,3}(?:, \d{1,3}){0,9},? and \d{1,3})"
_TARGET = r"(?P<target>\d{1,3})\b"
_STATEMENTS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"numbers {_LIST} to make {_TARGET}",
        rf"given {_LIST}\. target: {_TARGET}",
        rf"from {_LIST} one should get {_TARGET}",
        rf"reach {_TARGET} with {_LIST}",
        rf"numbers are {_LIST} and the target is {_TARGET}",
    )
)
_STEP = r"(\d{1,3}) ([-+*/]) (\d{1,3}) = (\d{1,3})"
_CLAUSE = re.compile(
    rf"(?:working backwards|from the target)[,:]? {_STEP}"
    r"|(?:not equal to|that is not|this misses|checking against) (\d{1,3})"
    r"|(?:that is|this is exactly|and that equals) (\d{1,3})"
    r"|(undo the last step|go back one step|scrap that last step)"
    r"|(start over|back to the given numbers|begin again)"
    r"|(?:first i want to make|let's aim for|an intermediate goal is) (\d{1,3})"
    rf"|{_STEP}"
)
_ANSWER = re.compile(r"(?:so the answer is|answer:|result:|therefore) ([-+*/() 0-9]{3,200})\.")


@dataclass(frozen=True)
class Retold:
    """What a text says about its puzzle, in the trace language.

    Attributes:
        problem: the numbers in their order, and the target.
        question, told: the same in the text's own words.
        thought: what was tried.
        answer: the final expression.
    """

    problem: Problem
    question: str
    told: str
    thought: str
    answer: str


def retell(text: str) -> Retold | None:
    """The puzzle in a text; None when there is none, or none that can be followed to an answer."""
    flat = " ".join(text.split())
    lowered = flat.lower()
    found = next((match for pattern in _STATEMENTS if (match := pattern.search(lowered))), None)
    if found is None or len(lowered) != len(flat):
        return None
    answers = list(_ANSWER.finditer(lowered, found.end()))
    if not answers:
        return None
    answer = " ".join(answers[-1].group(1).replace("(", " ( ").replace(")", " ) ").split())
    thought = _thought(lowered[found.end() : answers[-1].start()])
    try:
        parse(answer)
    except ExpressionError:
        return None
    numbers = tuple(int(number) for number in re.findall(r"\d+", found["list"]))
    start = max(flat.rfind(". ", 0, found.start()) + 2, 0) if ". " in flat[: found.start()] else 0
    end = next((place for place in range(found.end(), len(flat)) if flat[place] in ".?"), len(flat))
    return Retold(
        Problem(numbers, int(found["target"])),
        flat[start : end + 1],
        flat[end + 1 : answers[-1].start()].strip(),
        thought,
        answer,
    )


def _thought(solution: str) -> str:
    """Clause by clause; ``;`` parts two statements that follow each other, as the teacher writes."""
    words: list[str] = []
    for match in _CLAUSE.finditer(solution):
        groups = match.groups()
        if groups[4] or groups[5]:
            words.append(f"check {groups[4] or groups[5]} {'no' if groups[4] else 'yes'}")
        elif groups[6] or groups[7]:
            # The failure is named, unless a check just did.
            named = bool(words) and words[-1].endswith((" no", " back", " restart"))
            words.append(("" if named else "no ") + ("back" if groups[6] else "restart"))
        else:
            if words and not words[-1].endswith(("back", "restart")):
                words.append(";")
            if groups[0]:
                words.append("need " + " ".join((groups[0], groups[1], groups[2], "=", groups[3])))
            elif groups[8]:
                words.append(f"goal {groups[8]}")
            else:
                words.append(" ".join((groups[9], groups[10], groups[11], "=", groups[12])))
    return " ".join(words)
