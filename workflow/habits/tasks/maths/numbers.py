"""Numbers as people write them, as exact fractions: ``$1,250.50``, ``3/4``, ``\\frac{3}{4}``, ``50%``.

A grammar of a few regular expressions with bounded repeats: nothing is evaluated, and no text is too long.
Reads and writes no files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

MAX_TEXT = 200
_DIGITS = r"(?:\d{1,3}(?:,\d{3}){1,12}|\d{1,40})"
_DECIMAL = rf"(?:{_DIGITS}(?:\.\d{{0,40}})?|\.\d{{1,40}})"
# A unit is a word, a Chinese character or one of a few letters after a space: 18x and 2 pi are no numbers.
_WORD = r"(?!(?:pi|sqrt|log|ln|exp|sin|cos|tan|mod|inf|infinity)\b)[A-Za-z]{2,20}"
_UNIT = (
    r"(?P<percent>\s*\\?%)?\.?"
    rf"(?:(?:\s{{0,3}}(?:{_WORD}|[\u3400-\u9fff°])|\s[mghlLs]\b)[A-Za-z\u3400-\u9fff°²³.\s]{{0,60}})?"
)
_FORMS = [
    re.compile(rf"(?P<sign>[+-]?)(?P<a>{_DECIMAL}){_UNIT}"),
    re.compile(rf"(?P<sign>[+-]?)(?P<a>{_DIGITS})\s?/\s?(?P<b>{_DIGITS}){_UNIT}"),
    re.compile(rf"(?P<sign>[+-]?)(?P<whole>{_DIGITS})\s(?P<a>{_DIGITS})\s?/\s?(?P<b>{_DIGITS}){_UNIT}"),
    re.compile(
        rf"(?P<sign>[+-]?)(?P<whole>{_DIGITS})?\\[dt]?frac\{{(?P<a>{_DIGITS})\}}\{{(?P<b>{_DIGITS})\}}{_UNIT}"
    ),
]
# A number in running text; it starts where no digit, letter or point stands before it.
LAST_NUMBER = re.compile(rf"(?<![\w.,])[+-]?\$?{_DECIMAL}(?:/{_DIGITS})?%?|(?<![\d.,]){_DECIMAL}")
_CURRENCY = str.maketrans("", "", "$£€¥￥")
# Signs and full-width forms only: Unicode's own normalization would make 52 of 5².
_PLAIN = str.maketrans({"−": "-", "–": "-", "⁄": "/", "\u00a0": " ", "\u3000": " "}) | {
    code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)
}


@dataclass(frozen=True)
class Number:
    """An exact value; ``percent`` says that a percent sign stood behind it."""

    value: Fraction
    percent: bool = False


def parse_number(text: str) -> Number | None:
    """The number that ``text`` is, a currency sign and a unit allowed; None when it is not just a number."""
    if len(text) > MAX_TEXT:
        return None
    plain = text.translate(_PLAIN)
    plain = plain.replace("\\$", "").replace("\\,", "").replace("\\!", "").translate(_CURRENCY).strip()
    for form in _FORMS:
        if match := form.fullmatch(plain):
            return _number(match)
    return None


def same(gold: Number, answer: Number) -> bool:
    """Whether two numbers are equal; ``50%`` is 50 where percents are asked for, and one half elsewhere."""
    if gold.value == answer.value:
        return True
    if gold.percent == answer.percent:
        return False
    scaled = (gold.value, answer.value / 100) if answer.percent else (gold.value / 100, answer.value)
    return scaled[0] == scaled[1]


def last_number(text: str) -> str | None:
    """The last number that stands in ``text``, as it stands there."""
    found = None
    for match in LAST_NUMBER.finditer(text):
        found = match.group()
    return found


def _number(match: re.Match[str]) -> Number | None:
    parts = match.groupdict()
    value = _value(parts["a"])
    if parts.get("b") is not None:
        below = _value(parts["b"])
        if below == 0:
            return None
        value /= below
    if parts.get("whole") is not None:
        value += _value(parts["whole"])
    return Number(-value if parts["sign"] == "-" else value, parts["percent"] is not None)


def _value(digits: str) -> Fraction:
    plain = digits.replace(",", "").rstrip(".")
    return Fraction(f"0{plain}" if plain.startswith(".") else plain)
