"""What is done to a document before anybody reads it: clean, cut at a paragraph, fingerprint.

Reads and writes no files.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from habits.priming.prose import count_words

HASHES = 64  # of a signature: the standard error of an estimated similarity is at most 0.0625
SHINGLE = 5  # words
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\ufeff\ud800-\udfff]")
_BLANKS = re.compile(r"[ \t\u00a0]+")
_LINES = re.compile(r" ?\n ?")
_PARAGRAPHS = re.compile(r"\n{2,}")
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_RNG = np.random.default_rng(2503)
_FACTORS: NDArray[np.uint64] = _RNG.integers(0, 2**63, HASHES, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
_SHIFTS: NDArray[np.uint64] = _RNG.integers(0, 2**63, HASHES, dtype=np.uint64)
_POWERS: NDArray[np.uint64] = np.uint64(0x9E3779B97F4A7C15) ** np.arange(SHINGLE, dtype=np.uint64)


@dataclass(frozen=True)
class Cut:
    """A text within its token budget, how long it is (about, see `count_words`), whether it was cut."""

    text: str
    tokens: int
    truncated: bool


def clean(text: str) -> str:
    """Composed Unicode, no control characters, single blanks, paragraphs apart by one empty line."""
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
    text = _BLANKS.sub(" ", _CONTROL.sub("", text))
    return _PARAGRAPHS.sub("\n\n", _LINES.sub("\n", text)).strip()


def cut(text: str, max_tokens: int) -> Cut:
    """As many whole paragraphs as fit; of a first paragraph that alone does not, as many whole sentences."""
    tokens = count_words(text)
    if tokens <= max_tokens:
        return Cut(text, tokens, False)
    kept = _leading(text.split("\n\n"), max_tokens, "\n\n")
    if not kept:
        first = text.partition("\n\n")[0]
        kept = _leading(_SENTENCE.split(first), max_tokens, " ") or _leading(first.split(), max_tokens, " ")
    return Cut(kept, count_words(kept), True)


def _leading(parts: list[str], max_tokens: int, joint: str) -> str:
    used = 0
    for place, part in enumerate(parts):
        used += count_words(part)
        if used > max_tokens:
            return joint.join(parts[:place])
    return joint.join(parts)


def exact_key(text: str) -> int:
    """The same for texts that differ in nothing but white space and case; 63 bits."""
    words = " ".join(text.lower().split())
    return int.from_bytes(hashlib.blake2b(words.encode(), digest_size=8).digest(), "big") >> 1


def signature(text: str) -> bytes:
    """MinHash of the text's runs of five words: 64 values of 16 bits.

    The share of equal values in two signatures estimates the Jaccard similarity of the sets of runs (Broder
    1997). Values are minima of multiply-shift hashes, of which the low 16 of 32 bits are kept.
    """
    words = [zlib.crc32(word.encode()) for word in text.lower().split()] or [0]
    hashes = np.asarray(words, dtype=np.uint64)
    if len(hashes) >= SHINGLE:
        runs = np.lib.stride_tricks.sliding_window_view(hashes, SHINGLE) @ _POWERS
    else:
        runs = np.array([hashes @ _POWERS[: len(hashes)]], dtype=np.uint64)
    runs ^= runs >> np.uint64(29)
    values = ((runs[:, None] * _FACTORS + _SHIFTS) >> np.uint64(32)).min(axis=0)
    return bytes(values.astype(np.uint16).tobytes())


def similarity(one: bytes, other: bytes) -> float:
    """Estimated Jaccard similarity of two signatures."""
    equal = np.frombuffer(one, np.uint16) == np.frombuffer(other, np.uint16)
    return float(equal.mean())
