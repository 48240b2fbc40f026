"""The words of the tiny models: each is one token. Light to import, for who only counts words."""

import re

LARGEST_NUMBER = 100
PAD, BOS, EOS = "<pad>", "<bos>", "<eos>"
SYMBOLS = (
    *(PAD, BOS, EOS, "nums", "target", "<think>", "</think>", "<answer>", "</answer>"),
    *("+", "-", "*", "/", "=", "(", ")", ";", "."),
    *("back", "restart", "check", "yes", "no", "goal", "need"),
)
WORDS: tuple[str, ...] = (*SYMBOLS, *(str(n) for n in range(LARGEST_NUMBER + 1)))


def phrase_pattern(words: tuple[str, ...]) -> str:
    """A regular expression that finds the tokens of a text, longest words first; a word may hold spaces."""
    phrases = sorted((word for word in words if " " in word), key=lambda word: (-len(word), word))
    return "|".join([*map(re.escape, phrases), r"\S+"])


def spare(words: tuple[str, ...]) -> tuple[str, ...]:
    """Named, unused words that fill a vocabulary to a multiple of 64, which keeps matrix shapes friendly."""
    return tuple(f"<spare{i}>" for i in range(-len(words) % 64))
