"""Does reading hostile text take time in proportion to its length? Every reader of model text, every pattern.

Run ``python benchmarks/hostile_text.py``; writes benchmarks/results/hostile_text.json. A pattern is repeated
until it is as long as the reader reads (or LONG), and to a GROWTH-th of that; the ratio of the two times a
character is 1 where time is linear, and GROWTH where it is quadratic. Exit code 1 when one is above LARGEST.
Beside it, how long the long text took.
"""

from __future__ import annotations

import json
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from habits.analysis.aha_words import aha_counts
from habits.analysis.language_mixing import mixing
from habits.analysis.training_log import read_log
from habits.behaviors.judgements import LONGEST_REPLY, read_count, read_joint
from habits.behaviors.oracle import MAX_THOUGHT, count_behaviors_in
from habits.tasks.countdown import Problem
from habits.tasks.countdown.reward import grade
from habits.tasks.maths.answers import extract
from habits.tasks.maths.numbers import last_number
from habits.tasks.social_iqa.problem import Problem as SocialProblem
from habits.tasks.social_iqa.reward import grade as social_grade

RESULTS = Path(__file__).parent / "results" / "hostile_text.json"
GROWTH = 8
LONG = 400_000
LARGEST = 2.5
ROUNDS = 5

COUNTDOWN = Problem((3, 4, 2), 24)
SOCIAL = SocialProblem("s1", "Jordan was tired.", "What next?", ("rest", "work", "eat"), 0)
LOG = (
    f"epoch 0, step 1\n{'=' * 80}\n{' Processing New Sample '.center(80, '=')}\n[Model Output]\nUser: Why?"
    "\nAssistant: <think>{}</think>\n<answer> (A) </answer>\n[Ground Truth] Correct Label: A\n"
    "Extracted Answer: A\n"
)


def log(text: str) -> None:
    """Import of a training log whose only sample says ``text``."""
    with tempfile.NamedTemporaryFile("w", suffix=".log", newline="") as file:
        file.write(LOG.replace("{}", text))
        file.flush()
        read_log(Path(file.name))


READERS: dict[str, tuple[Callable[[str], object], tuple[str, ...]]] = {
    "aha words": (
        lambda text: aha_counts(text + "verify hold on hmm"),
        ("let me just ", ". ", "wait", "wait. but ", "hm", "i will just now ", "let me      ", "hold on   "),
    ),
    "language mixing": (
        lambda text: mixing("\u00e9" + text, "Jordan met \u738b\u4e94"),
        ("a\u4e2d", "<", "\\", "\\a", "\u0301", "<think>", "x\u0301\u4e2d"),
    ),
    "training log": (
        log,
        ("=" * 79 + "\n", "(" * 50 + "\n", "\x1b[", "(main_task pid=1)\n", "\r", "[Ground Truth] A\n"),
    ),
    "behavior oracle": (
        lambda text: count_behaviors_in(text, COUNTDOWN.numbers, COUNTDOWN.target),
        ("1", "1 ", "(", "( ", "1 + ", "1 = ", "let's try to ", "not to get ", "work back the ", "\n")
        + ("3 + 4 = 7. 7 * 2 = 14. ", "3 + 4 = 7 back ", "24 / 3 = 8. ", "\u0130\u2260\u00d7", " ")
        + ("3 + 4 = 7 ; 7 * 2 = 14 check 24 no back ",),  # no attack: as the teacher writes
    ),
    "judge's reply": (
        lambda text: (read_joint(text), read_count(text)),
        ("[", '{"a":', "{", " ", "<count> ", "<count>1", "```\n"),
    ),
    "Countdown reward": (
        lambda text: grade(f"</think> <answer> {text} </answer>", COUNTDOWN),
        ("((1)", "1+", "9", "(", "999999999*", "9/", " ", "<answer>", "</answer>", "</think><answer>"),
    ),
    "Social IQa reward": (
        lambda text: social_grade(f"why </think> <answer> {text} </answer>", SOCIAL),
        ("(B)", " ", "<answer>", "<answer>(B)</answer>", "</think>", "</think><answer>"),
    ),
    "maths answers": (
        lambda text: (extract(text), last_number(text)),
        ("\\boxed{", "\\boxed{{", "<answer>", "the answer is ", "#### ", "1,", "1/", "9", "$", "**", "1 ")
        + ("\u7b54\u6848\u662f", "{", "}", "\\text{", "-1.", "the answer is ,"),
    ),
}
LONGEST = {
    "behavior oracle": MAX_THOUGHT,
    "judge's reply": LONGEST_REPLY,
}  # the rest of a longer text is not read


def seconds(read: Callable[[str], object], text: str) -> float:
    """Processor time of one reading, the least of a few."""
    times = []
    for _ in range(ROUNDS):
        started = time.process_time()
        read(text)
        times.append(time.process_time() - started)
    return min(times)


def measure(reader: str, pattern: str) -> dict[str, float]:
    """Time a character of the long text over that of the short one; milliseconds of the long one."""
    read = READERS[reader][0]
    length = LONGEST.get(reader, LONG)
    short, long = (pattern * (size // len(pattern)) for size in (length // GROWTH, length))
    took = seconds(read, long)
    return {
        "growth": round(took / seconds(read, short) / GROWTH, 2),
        "milliseconds": round(1000 * took, 2),
    }


def main() -> int:
    """Measure all; exit code 1 when some text takes more than linear time."""
    measured = {
        reader: {pattern[:20]: measure(reader, pattern) for pattern in patterns}
        for reader, (_, patterns) in READERS.items()
    }
    record = {
        "characters": LONG,
        "bounded": LONGEST,
        "times": GROWTH,
        "python": platform.python_version(),
        "readers": measured,
    }
    RESULTS.write_text(json.dumps(record, indent=1) + "\n")
    largest = {}
    for reader, found in measured.items():
        largest[reader] = max(one["growth"] for one in found.values())
        slowest = max(one["milliseconds"] for one in found.values())
        print(f"{reader}: at most {largest[reader]:.2f} times the time a character, {slowest:.1f} ms")
    return 0 if max(largest.values()) <= LARGEST else 1


if __name__ == "__main__":
    sys.exit(main())
