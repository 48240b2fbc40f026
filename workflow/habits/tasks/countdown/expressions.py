"""A strict reader of arithmetic written by models: own tokenizer, own parser, exact rationals.

The whole language is ASCII integers, ``+ - * /``, parentheses and white space. There is no unary sign,
decimal point, power or floor division; ``**`` and ``//`` are two operators in a row and therefore no
expression. Text is never evaluated as code. Length, digits and depth are bounded, so that no text can
cost more than some microseconds. Reads and writes no files.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from operator import add, mul, sub

MAX_LENGTH = 256  # characters; six numbers with a pair of parentheses each need fewer than 100
MAX_DIGITS = 9  # of one number
MAX_DEPTH = 16  # parentheses open at the same time

_TOKEN = re.compile(r"[0-9]+|[^0-9 \t\r\n]")


class ExpressionError(ValueError):
    """The text is not an expression of the language, or has no value; the message says why."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed expression: its numbers from left to right, and its exact value."""

    numbers: list[int]
    value: int | Fraction


def parse(text: str) -> Expression:
    """Read one expression; usual precedence, operators of one rank from left to right.

    Raises:
        ExpressionError: a character, number or order of tokens outside the language, a bound that is
            exceeded, or a division by zero (an expression without a value).
    """
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"{len(text)} characters are more than {MAX_LENGTH}")
    return _evaluate(_TOKEN.findall(text))


def tokens(text: str) -> list[str]:
    """The tokens of any text: runs of ASCII digits, and single characters other than white space."""
    return _TOKEN.findall(text)


def _evaluate(words: list[str]) -> Expression:
    """Shunting-yard: operators wait on a stack until one of lower rank, or a closing parenthesis, comes."""
    numbers: list[int] = []
    values: list[int | Fraction] = []
    waiting: list[str] = []
    open_now, operand_next = 0, True
    for word in words:
        if operand_next:
            if word == "(":
                waiting.append(word)
                open_now += 1
                if open_now > MAX_DEPTH:
                    raise ExpressionError(f"more than {MAX_DEPTH} parentheses are open at once")
            else:
                plain = "1" <= word[0] <= "9" and len(word) <= MAX_DIGITS
                number = int(word) if plain else _zero(word)
                numbers.append(number)
                values.append(number)
                operand_next = False
        elif word == ")":
            while waiting and waiting[-1] != "(":
                _apply(waiting.pop(), values)
            if not waiting:
                raise ExpressionError("a parenthesis is closed that was not opened")
            waiting.pop()
            open_now -= 1
        else:
            rank = _RANK.get(word, 0)
            if not rank:
                raise ExpressionError(f"an operator must stand where {word!r} stands")
            while waiting and _RANK[waiting[-1]] >= rank:
                _apply(waiting.pop(), values)
            waiting.append(word)
            operand_next = True
    if operand_next:
        raise ExpressionError("a number is missing at the end")
    if open_now:
        raise ExpressionError("a parenthesis is not closed")
    while waiting:
        _apply(waiting.pop(), values)
    return Expression(numbers, values[0])


def _zero(word: str) -> int:
    """The one number that is no plain one, 0; ExpressionError for all that is not a number.

    Plain numbers are told by their first character: str.isdigit would let other scripts in.
    """
    if word == "0":
        return 0
    if word[0] == "0":
        raise ExpressionError(f"number {word[:MAX_DIGITS]} has a leading zero")
    if "1" <= word[0] <= "9":
        raise ExpressionError(f"a number of {len(word)} digits is longer than {MAX_DIGITS}")
    raise ExpressionError(f"a number or an opening parenthesis must stand where {word!r} stands")


def _divide(left: int | Fraction, right: int | Fraction) -> int | Fraction:
    """The exact quotient, an integer as long as it can be one."""
    if not right:
        raise ExpressionError("division by zero")
    return Fraction(left) / right if left % right else left // right


_RANK = {"(": 0, "+": 1, "-": 1, "*": 2, "/": 2}
_OPERATION: dict[str, Callable[..., int | Fraction]] = {"+": add, "-": sub, "*": mul, "/": _divide}


def _apply(operator: str, values: list[int | Fraction]) -> None:
    """Replace the two topmost values by the result."""
    right = values.pop()
    values[-1] = _OPERATION[operator](values[-1], right)
