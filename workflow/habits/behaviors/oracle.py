"""The oracle: counts the four behaviors in any Countdown text, with spans, without a model.

It reads the thought only, what stands before ``</think>``. A thought in the trace language is read by
``dialect``, anything else by ``english``. Both follow the arithmetic of the text on a workbench, so that
going back and reasoning from the target are recognized by what is computed, not by words alone.

What one instance is:
- verification: a result is compared with the target, in words ("too high", "this works") or numbers.
  Remarks on the same result are one instance.
- backtracking: an attempt is abandoned, announced or not; announcing and doing it are one instance.
- subgoal_setting: a goal other than the target is set: a number, a factor, something near.
- backward_chaining: an inference that starts at the target ("24 / 3 = 8, so ...").

Reads and writes no files. Linear in the length of the text.
"""

from __future__ import annotations

from collections.abc import Sequence

from habits.behaviors.counts import BehaviorCounts
from habits.behaviors.dialect import count_in_dialect, is_dialect
from habits.behaviors.english import count_in_english
from habits.priming.language import THINK_END

MAX_THOUGHT = 50_000  # characters that are read; no model here writes a tenth of that


def count_behaviors_in(text: str, numbers: Sequence[int], target: int) -> BehaviorCounts:
    """The behaviors in a response to the problem (numbers, target); spans are offsets into ``text``."""
    thought = text.partition(THINK_END)[0][:MAX_THOUGHT]
    if is_dialect(thought):
        return count_in_dialect(thought, numbers, target)
    return count_in_english(thought, numbers, target)
