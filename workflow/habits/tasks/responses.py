"""What the rewards of all tasks read alike: the tags of a response and its answer blocks."""

from __future__ import annotations

THINK_END, ANSWER, ANSWER_END = "</think>", "<answer>", "</answer>"
WHITE = " \t\r\n"
MAX_BLOCKS = 8  # answer blocks that are read; more are unparsable, so that no response is slow to grade
MAX_SHOWN = 300  # characters of an answer that a verdict keeps


def answer_blocks(text: str, start: int) -> list[str]:
    """What the answer blocks from ``start`` hold, at most ``MAX_BLOCKS + 1``; linear, unlike a lazy regex."""
    found: list[str] = []
    opening = text.find(ANSWER, start)
    while opening >= 0 and len(found) <= MAX_BLOCKS:
        end = text.find(ANSWER_END, opening)
        if end < 0:
            break
        found.append(text[opening + len(ANSWER) : end])
        opening = text.find(ANSWER, end)
    return found
