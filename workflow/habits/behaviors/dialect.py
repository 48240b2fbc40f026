"""The oracle for the trace language of the symbolic teacher, which the tiny models also speak.

Counted are the language's own markers; a run of ``back`` and ``restart`` with nothing in between is one
backtracking. An unmarked step that takes operands from an earlier state counts as backtracking too,
because models do return without saying so. Reads and writes no files.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from habits.behaviors.bench import Bench, Stated
from habits.behaviors.counts import BehaviorCounts, Tally

_WORD = r"(?:[0-9]{1,9}|[-+*/=();.]|back|restart|check|yes|no|goal|need|nums|target|<\w{1,9}>)"
_TEXT = re.compile(rf" ?(?:{_WORD}(?: |$))*+")
_MARKER = re.compile(r";|\b(?:back|restart|check|goal|need)\b")
_EVENT = re.compile(
    r"(need )?\b([0-9]{1,9}) [-+*/] ([0-9]{1,9}) = ([0-9]{1,9})\b"
    r"|check [0-9]{1,9}\b(?: (?:yes|no)\b)?"
    r"|\b(?:back|restart)\b"
    r"|goal [0-9]{1,9}\b"
)


def is_dialect(thought: str) -> bool:
    """Whether a thought is written in the trace language: its words only, and at least one of its marks."""
    return _TEXT.fullmatch(thought) is not None and _MARKER.search(thought) is not None


def count_in_dialect(thought: str, numbers: Sequence[int], target: int) -> BehaviorCounts:
    """The behaviors in a thought for which ``is_dialect`` holds."""
    tally, bench = Tally(), Bench(numbers)
    counted = False  # a backtracking is counted and nothing was done since
    for event in _EVENT.finditer(thought):
        need, left, right, result = event.groups()
        span = event.span()
        word = thought[span[0]]
        if left is not None and need is None:
            step = Stated((int(left), int(right)), int(result))
            depth = bench.depth_of(step.operands)
            earlier = depth is not None and depth < len(bench.path) - 1
            if earlier and not counted and not bench.finished(target) and not bench.restates(step):
                tally.add("backtracking", *span)
            bench.do(step, depth)
            counted = False
        elif word in "br":
            if word == "r":
                bench.restart()
            else:
                bench.undo()
            if not counted:
                tally.add("backtracking", *span)
            counted = True
        elif word == "c":
            tally.add("verification", *span)
        else:
            tally.add("subgoal_setting" if word == "g" else "backward_chaining", *span)
            counted = False
    return tally.total()
