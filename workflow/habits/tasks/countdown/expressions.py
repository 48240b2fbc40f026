"""A strict reader of arithmetic written by models: own tokenizer, own parser, exact rationals.

The whole language is ASCII integers, ``+ - * /``, parentheses and white space. There is no unary sign,
decimal point, power or floor division; ``**`` and ``//`` are two operators in a row and therefore no
expression. Text is never evaluated as code. Length and digits are bounded, the depth by the length,
and nothing recurses, so that no text can cost more than some microseconds. Reads and writes no files.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from operator import add, mul, sub
from typing import NamedTuple

MAX_LENGTH = 256  # characters, hence 127 levels; six numbers with a pair of parentheses each need under 100
MAX_DIGITS = 9  # of one number

_TOKEN = re.compile(r"[0-9]+|[^0-9 \t\r\n]")
_END = "the end"
_RANK = {"(": 0, ")": 1, _END: 1, "+": 2, "-": 2, "*": 3, "/": 3}


class ExpressionError(ValueError):
    """The text is not an expression of the language, or has no value; the message says why."""


class Expression(NamedTuple):
    """A parsed expression: its numbers from left to right, and its exact value."""

    numbers: list[int]
    value: int | Fraction


def tokens(text: str) -> list[str]:
    """The tokens of any text: runs of ASCII digits, and single characters other than white space."""
    return _TOKEN.findall(text)


def parse(text: str) -> Expression:
    """Read one expression; usual precedence, operators of one rank from left to right.

    A shunting-yard: an operator waits on a stack until one of lower or equal rank, a closing parenthesis
    or the end comes. Applying it is written out, because a call would cost a tenth of the whole.

    Raises:
        ExpressionError: a character, number or order of tokens outside the language, a bound that is
            exceeded, or a division by zero (an expression without a value).
    """
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"{len(text)} characters are more than {MAX_LENGTH}")
    numbers: list[int] = []
    values: list[int | Fraction] = []
    waiting = ["("]
    operand_next = True
    for word in [*_TOKEN.findall(text), _END]:
        if operand_next:
            if "1" <= word[0] <= "9" and len(word) <= MAX_DIGITS:
                number = int(word)
            elif word == "(":
                waiting.append(word)
                continue
            else:
                number = _zero(word)
            numbers.append(number)
            values.append(number)
            operand_next = False
            continue
        rank = _RANK.get(word, 0)
        if not rank:
            raise ExpressionError(f"an operator must stand where {word!r} stands")
        if not waiting:
            raise ExpressionError("a parenthesis is closed that was not opened")
        while _RANK[waiting[-1]] >= rank:
            right = values.pop()
            values[-1] = _OPERATION[waiting.pop()](values[-1], right)
        if rank > 1:
            waiting.append(word)
            operand_next = True
        else:
            waiting.pop()
    if waiting:
        raise ExpressionError("a parenthesis is not closed")
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


_OPERATION: dict[str, Callable[..., int | Fraction]] = {"+": add, "-": sub, "*": mul, "/": _divide}
