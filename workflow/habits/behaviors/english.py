"""The oracle for English: phrases and equations in text order, followed on the workbench.

The phrases say what a text announces, the equations what it does; where both tell of the same event
it is counted once. Reads and writes no files.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence

from habits.behaviors.bench import Bench, Stated
from habits.behaviors.counts import BehaviorCounts, Tally
from habits.behaviors.equations import Equation, equations, normalized
from habits.behaviors.phrases import Phrase, phrases

_SENTENCE_END = re.compile(r"[.!?](?=\s|$)|\n")
_TRY = re.compile(
    r"\b(?:try|what about|how about|what if|alternatively|instead|maybe|perhaps|next|or)\b[^.!?\n0-9(]{0,25}$"
)
_REASON = re.compile(r"\b(?:because|since|as|given that|knowing|remember(?:ing)? that)\b[^.!?\n0-9(]{0,20}$")
_SUMMARY = re.compile(
    r"\b(?:so|thus|therefore|hence|answer|equation|expression|solution|finally)\b[^.!?\n0-9(]{0,30}$"
)
_NUMBER = re.compile(r"[0-9]{1,9}")
_DERIVES = re.compile(
    r",? and ([0-9]{1,9}) (?:=|is)\b|,? so ([0-9]{1,9}) (?:would|will|is|works)\b"
    r"|,? so (?:i|we) (?:need|want)\b"
)
ADJOINING = 5  # characters between an equation and an aside that judges it
WINDOW = 40  # characters before or after an equation in which a cue for it may stand


def count_in_english(thought: str, numbers: Sequence[int], target: int) -> BehaviorCounts:
    """The behaviors in a thought written in English or in bare equations."""
    text = normalized(thought)
    events: list[Phrase | Equation] = [*phrases(text), *equations(text)]
    events.sort(key=lambda event: (event.start, event.end))
    reader = Reader(text, numbers, target)
    for event in events:
        if isinstance(event, Phrase):
            reader.phrase(event)
        else:
            reader.equation(event)
    reader.close()
    return reader.tally.total()


class Reader:
    """What has been understood of a text so far.

    Args:
        text: normalized text.
        numbers: the given numbers.
        target: the number to reach.
    """

    def __init__(self, text: str, numbers: Sequence[int], target: int) -> None:
        self.text, self.target = text, target
        self.given = tuple(numbers)
        self.bench = Bench(numbers)
        self.tally = Tally()
        self.sentence_ends = [match.start() for match in _SENTENCE_END.finditer(text)]
        self.tried = 0  # steps so far
        self.judged: int | None = None  # value of ``tried`` at the last verification
        self.checking = False  # a check was announced: what follows recomputes
        self.returned = False  # a backtracking is counted and no step was made since
        self.switch: Phrase | None = None  # "what about": decided by the next equation
        self.read_to = 0  # end of the last equation
        self.announced = False  # "working backwards": its equation is still to come
        self.inferred: set[tuple[int, ...]] = set()  # backward inferences since the last step
        self.needed: set[int] = set()  # values that these found to be needed
        self.seen = set(numbers)  # every value the text has made
        self.goal_sentence = -1

    def phrase(self, phrase: Phrase) -> None:
        """Take in a phrase."""
        if phrase.kind == "compare":
            if phrase.number in (None, self.target):
                self._verify(phrase)
        elif phrase.kind == "remark":
            if self.tried:
                self._verify(phrase)
        elif phrase.kind == "aside":
            follows = phrase.start - self.read_to <= ADJOINING
            if follows and self.tried and len(self.bench.values) == 1 and not self.returned:
                self._verify(phrase)
        elif phrase.kind == "announce":
            self._verify(phrase)
            self.checking = True
        elif phrase.kind == "return":
            self._backtrack(phrase)
        elif phrase.kind == "switch":
            if self.tried and phrase.start >= self.read_to:
                self.switch = phrase
        elif phrase.kind == "backward":
            self._announce_inference(phrase)
        elif phrase.kind == "plan":
            self._plan(phrase)
        elif phrase.kind == "subgoal":
            if phrase.number != self.target and phrase.number not in self.needed:
                self._aim(phrase)
        else:
            self._aim(phrase)

    def equation(self, equation: Equation) -> None:
        """Take in an equation: a check, an inference from the target, a step, or a new attempt."""
        if not equation.operands:
            if equation.value == self.target:
                self._verify(equation)
            return
        if equation.sign is not None:
            completed = self._complete(equation)
            if completed is None:
                return
            equation = completed
        self.read_to = equation.end
        if self._from_target(equation):
            return
        if equation.value is None or not (equation.stated or self._cued(equation)):
            return
        self._step(equation, Stated(equation.operands, equation.value))

    def close(self) -> None:
        """A switch that no equation followed stands for itself."""
        if self.switch is not None:
            self._backtrack(self.switch)

    def _step(self, equation: Equation, step: Stated) -> None:
        bench = self.bench
        self.seen.add(step.result)
        if bench.restates(step) or (step.result == self.target and bench.steps and self._sums_up(equation)):
            return
        depth = bench.depth_of(step.operands)
        onward = depth == len(bench.path) - 1
        if not onward and self.checking:
            return
        if self.switch is not None and not onward and not self.returned:
            self._backtrack(self.switch)
        elif depth is not None and not onward and not self.returned and not bench.finished(self.target):
            self._backtrack(equation)
        self.switch = None
        bench.do(step, depth)
        self.tried += not self.checking
        self.returned = self.announced = False
        self.inferred.clear()

    def _from_target(self, equation: Equation) -> bool:
        """Whether an equation reasons from the target (or carries such reasoning on); counts it if so."""
        target, bench = self.target, self.bench
        if target in bench.values or (target in self.seen and not equation.named_first):
            return False
        onward = bench.depth_of(equation.operands) is not None
        if equation.lead == target:
            if equation.named_first and onward and bench.steps:
                return False
            found = (
                equation.operands if equation.named_first else (*equation.operands[1:], equation.value or 0)
            )
            self._infer(equation, found)
            return True
        if equation.lead in self.needed and (equation.named_first or not onward):
            self.needed.update(equation.operands)
            return True
        missing = [n for n in equation.operands if n not in bench.values]
        unmade = len(missing) == 1 and missing[0] not in self.seen
        if equation.value == target and unmade and self._reasoned(equation, missing[0]):
            self._infer(equation, equation.operands)
            return True
        return False

    def _reasoned(self, equation: Equation, missing: int) -> bool:
        """Whether the words around say that the equation is a reason or a plan, not a step."""
        before = self.text[max(equation.start - WINDOW, 0) : equation.start]
        after = _DERIVES.match(self.text, equation.end)
        derived = after is not None and (after.group(1) or after.group(2)) in (None, str(missing))
        return _REASON.search(before) is not None or derived or self.announced

    def _sums_up(self, equation: Equation) -> bool:
        """Whether an equation is introduced as what follows from the steps before."""
        whole = sorted(equation.operands) == sorted(self.given)
        before = self.text[max(equation.start - WINDOW, 0) : equation.start]
        return whole and _SUMMARY.search(before) is not None

    def _cued(self, equation: Equation) -> bool:
        """Whether an expression without a value is offered as an attempt."""
        if self.switch is not None:
            return True
        before = self.text[max(equation.start - WINDOW, 0) : equation.start]
        return _TRY.search(before) is not None

    def _complete(self, equation: Equation) -> Equation | None:
        """``minus 10 equals 41`` with its left operand, looked for from the present state backwards."""
        number, value = equation.operands[0], equation.value
        left = None if value is None else _left_operand(equation.sign or "", number, value)
        if left is None or self.bench.depth_of((left, number)) is None:
            return None
        return Equation(equation.start, equation.end, (left, number), value, left)

    def _verify(self, event: Phrase | Equation) -> None:
        if self.judged == self.tried:
            return
        self.judged = self.tried
        self.tally.add("verification", event.start, event.end)

    def _backtrack(self, event: Phrase | Equation) -> None:
        self.switch = None
        self.checking = False
        if self.returned:
            return
        self.returned = True
        self.tally.add("backtracking", event.start, event.end)

    def _infer(self, event: Phrase | Equation, values: tuple[int, ...]) -> None:
        """Count an inference from the target, unless it restates one or carries out an announced one."""
        key = tuple(sorted(values))
        fresh = key not in self.inferred and not self.announced
        self.announced = False
        self.inferred.add(key)
        self.needed.update(set(values) - set(self.bench.values))
        if fresh:
            self.tally.add("backward_chaining", event.start, event.end)

    def _announce_inference(self, event: Phrase) -> None:
        """ "Working backwards": its equation is still to come, or has just been."""
        if not self.inferred:
            self._infer(event, ())
            self.announced = True

    def _plan(self, event: Phrase) -> None:
        """ "To get 100, use 55 and 45": from the target, if it takes a number that has not been made."""
        named = {int(number) for number in _NUMBER.findall(self.text, event.start, event.end + WINDOW // 2)}
        named -= {self.target}
        forward = self.text.startswith("to ", event.start) and named <= self.seen
        if event.number == self.target and self.target not in self.seen and not forward and not self.inferred:
            self._infer(event, tuple(named))

    def _aim(self, event: Phrase) -> None:
        sentence = bisect_left(self.sentence_ends, event.start)
        if sentence != self.goal_sentence:
            self.goal_sentence = sentence
            self.tally.add("subgoal_setting", event.start, event.end)


def _left_operand(sign: str, right: int, result: int) -> int | None:
    """The integer for which ``left sign right = result``; None when there is none."""
    if sign == "+":
        return result - right
    if sign == "-":
        return result + right
    if sign == "/":
        return result * right
    return result // right if right and not result % right else None
