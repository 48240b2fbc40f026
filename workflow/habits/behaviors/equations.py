"""Equations in English: ``3 * 4 = 12``, ``9 times 8 is 72``, ``24 is 8 times 3``, ``minus 10 equals 41``.

Numbers are read exactly; values come from the package's own parser, never from evaluation of text.
Reads and writes no files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from habits.tasks.countdown.expressions import ExpressionError, parse

_SAME_LENGTH = str.maketrans(
    {"×": "*", "·": "*", "∙": "*", "÷": "/", "−": "-", "–": "-", "—": ",", "’": "'", "‘": "'", "\u00a0": " "}
    | {chr(code): chr(code + 32) for code in range(ord("A"), ord("Z") + 1)}
)
_OPERATORS = {"plus": "+", "minus": "-", "times": "*", "multiplied by": "*", "divided by": "/", "x": "*"}
_OPERATORS |= {"over": "/", "\\times": "*", "\\cdot": "*", "\\div": "/", "add": "+", "adding": "+"}
_OPERATORS |= {"subtract": "-", "subtracting": "-", "multiplying by": "*", "dividing by": "/"}
_OPERATOR = r"(?:[-+*/x]|plus|minus|times|multiplied by|divided by|over|\\times|\\cdot|\\div)"
_SIDE = (
    r"(?:\( ?){0,4}(?<![0-9.])[0-9]{1,9}(?![0-9]|\.[0-9])"
    rf"(?:(?: ?\)){{0,3}} ?{_OPERATOR} ?(?:\( ?){{0,4}}[0-9]{{1,9}}(?![0-9]|\.[0-9])){{0,9}}(?: ?\)){{0,4}}"
)
_EQUALS = (
    r" {0,2}(?:=|,? ?(?:which|that) (?:is|equals|gives|makes)|,? ?(?:is|are) (?:equal to|exactly)|is|equals"
    r"|(?:which )?gives?(?: us| me)?|makes|yields|results in|comes to|to get) {0,2}"
)
_EQUATION = re.compile(rf"{_SIDE}(?:{_EQUALS}{_SIDE}){{0,5}}")
_SPLIT = re.compile(_EQUALS)
_WORD_OPERATOR = re.compile(r"plus|minus|times|multiplied by|divided by|over|x|\\times|\\cdot|\\div")
_CONTINUED = re.compile(
    r"\b(plus|minus|times|add|adding|subtract|subtracting|multiplying by|dividing by) (?:the )?([0-9]{1,9})\b"
    r"[^0-9.!?\n]{0,20}?(?:\bis|\bequals|\bgives(?: us)?|\bmakes|\bget|=) ?([0-9]{1,9})\b"
)
_TAKEN_FROM = re.compile(
    r"\bsubtract(?:ing)? ([0-9]{1,9}) from ([0-9]{1,9})\b|\bdivid(?:e|ing) ([0-9]{1,9}) by ([0-9]{1,9})\b"
)


@dataclass(frozen=True, slots=True)
class Equation:
    """An equation or expression in a text.

    Args:
        start: offset of its first character.
        end: offset after its last.
        operands: numbers of the expression, left to right; empty for ``24 = 24``.
        value: what the text says it is, or its exact value when the text does not say.
        lead: the number it begins with.
        stated: whether the text gives a value.
        named_first: the value stands before the expression: ``24 = 8 * 3``.
        sign: for ``minus 10 equals 41``, whose left operand is the last result: the operator.
    """

    start: int
    end: int
    operands: tuple[int, ...]
    value: int | None
    lead: int
    stated: bool = True
    named_first: bool = False
    sign: str | None = None


def normalized(text: str) -> str:
    """Lower-case ASCII letters and plain operator signs, character for character at the same offsets."""
    return text.translate(_SAME_LENGTH)


def equations(text: str) -> Iterator[Equation]:
    """The equations in normalized text, and expressions without a value, in text order by kind."""
    covered: list[tuple[int, int]] = []
    for match in _EQUATION.finditer(text):
        equation = _read(match)
        if equation is not None:
            covered.append(match.span())
            yield equation
    position = 0
    for match in _CONTINUED.finditer(text):
        while position < len(covered) and covered[position][1] <= match.start():
            position += 1
        if position == len(covered) or covered[position][0] > match.start():
            sign, operand, value = match.groups()
            number = int(operand)
            yield Equation(*match.span(), (number,), int(value), number, sign=_OPERATORS[sign])
    for match in _TAKEN_FROM.finditer(text):
        small, large, dividend, divisor = match.groups()
        if small:
            left, right, value = int(large), int(small), int(large) - int(small)
        else:
            left, right = int(dividend), int(divisor)
            value = left // right if right and not left % right else -1
        yield Equation(*match.span(), (left, right), value, left, stated=False)


def _read(match: re.Match[str]) -> Equation | None:
    """The equation of a match; None when it is a lone number or not well formed."""
    sides = [_numbers(side) for side in _SPLIT.split(match.group())]
    if any(side is None for side in sides):
        return None
    known = [side for side in sides if side is not None]
    start, end = match.span()
    expressions = [side for side in known if len(side.numbers) > 1]
    if not expressions:
        same = len(known) > 1 and len({side.value for side in known}) == 1
        return Equation(start, end, (), known[0].value, known[0].numbers[0]) if same else None
    first = expressions[0]
    plain = [side.value for side in known if len(side.numbers) == 1]
    if len(known[0].numbers) == 1:
        return Equation(start, end, first.numbers, known[0].value, known[0].numbers[0], named_first=True)
    if plain:
        return Equation(start, end, first.numbers, plain[-1], first.numbers[0])
    return Equation(start, end, first.numbers, first.value, first.numbers[0], stated=False)


@dataclass(frozen=True, slots=True)
class _Side:
    numbers: tuple[int, ...]
    value: int | None


def _numbers(side: str) -> _Side | None:
    text = _WORD_OPERATOR.sub(lambda word: _OPERATORS[word.group()], side)
    # A parenthesis may open before the equation or close after it: "(9 * 8 = 72)".
    surplus = text.count("(") - text.count(")")
    text = text.replace("(", "", max(surplus, 0))
    text = text[::-1].replace(")", "", max(-surplus, 0))[::-1]
    try:
        expression = parse(text)
    except ExpressionError:
        return None
    value = expression.value
    return _Side(tuple(expression.numbers), int(value) if value == int(value) else None)
