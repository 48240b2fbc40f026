"""Responses graded per second: our reward against a scorer by regular expressions and eval.

Run ``python benchmarks/countdown_reward.py``; writes benchmarks/results/countdown_reward.json and prints
the ratio. Both get the same responses and the same ground truth: three quarters short ones as the tiny
models write them, one quarter long ones as a 3B model writes them; right, wrong, hostile and cut off.
"""

from __future__ import annotations

import json
import os
import platform
import random
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from habits.tasks.countdown import Problem, compute_score, solutions

RESULTS = Path(__file__).parent / "results"
RESPONSES, ROUNDS = 1000, 101
LONG_SHARE = 0.25
# Shares of answers; the right ones are most, as late in RL, where grading costs the most.
ANSWERS = {"correct": 0.5, "wrong_value": 0.2, "wrong_numbers": 0.1, "unparsable": 0.05, "cut_off": 0.15}
THOUGHT = (
    "Let me look at the numbers and try some combinations. First I could add {a} and {b}, which makes {c}. "
    "That is not {t}, so let's try something else. What about {a} * {b} - {c}? It is too large. "
)


@dataclass(frozen=True)
class Case:
    """A response and the ground truth it is graded against."""

    response: str
    truth: dict[str, Any]


def eval_scorer(response: str, truth: dict[str, Any]) -> float:
    """A scorer of the usual kind: last answer tag, digits compared, characters checked, then eval."""
    matches = list(re.finditer(r"<answer>(.*?)</answer>", response, re.DOTALL))
    if not matches:
        return 0.0
    answer = matches[-1].group(1).strip()
    used = sorted(int(digits) for digits in re.findall(r"\d+", answer))
    if used != sorted(truth["numbers"]):
        return 0.1
    if not re.match(r"^[\d+\-*/().\s]+$", answer):
        return 0.1
    try:
        value = eval(answer, {"__builtins__": None}, {})  # noqa: S307 - what is compared against
    except Exception:
        return 0.1
    return 1.0 if abs(value - truth["target"]) < 1e-5 else 0.1


def our_scorer(response: str, truth: dict[str, Any]) -> float:
    """The project's reward through verl's contract."""
    return float(compute_score("countdown", response, truth)["score"])


def make_cases(rng: random.Random) -> list[Case]:
    """The mix of responses; its shares are the constants above."""
    return [_case(rng, rng.random() < LONG_SHARE) for _ in range(RESPONSES)]


def _case(rng: random.Random, long: bool) -> Case:
    size, top = (rng.choice((3, 4)), 99) if long else (3, 15)
    while True:
        numbers = tuple(rng.randint(1, top) for _ in range(size))
        target = rng.randint(10, 100)
        found = solutions(Problem(numbers, target), limit=1)
        if found:
            break
    kind = rng.choices(list(ANSWERS), weights=list(ANSWERS.values()))[0]
    answer = _answer(rng, kind, found[0].expression, numbers)
    thought = _long_thought(rng, numbers, target) if long else _short_thought(rng, numbers, target)
    ending = "" if kind == "cut_off" else f" </think>\n<answer> {answer} </answer>"
    return Case(thought + ending, {"target": target, "numbers": list(numbers)})


def _answer(rng: random.Random, kind: str, solution: str, numbers: tuple[int, ...]) -> str:
    if kind == "wrong_value":
        return " + ".join(map(str, numbers))
    if kind == "wrong_numbers":
        return f"( {numbers[0]} + {numbers[1]} )"
    if kind == "unparsable":
        return rng.choice([f"{solution} = 24", solution.replace("*", "x") + " !", "I do not know"])
    return solution


def _short_thought(rng: random.Random, numbers: tuple[int, ...], target: int) -> str:
    a, b, c = numbers
    attempt = f" {a} + {b} = {a + b} ; {a + b} + {c} = {a + b + c} check {target} no restart"
    return attempt * rng.randint(0, 5)


def _long_thought(rng: random.Random, numbers: tuple[int, ...], target: int) -> str:
    text = THOUGHT.format(a=numbers[0], b=numbers[1], c=numbers[2], t=target)
    return text * rng.randint(4, 20)


def seconds_of(scorer: Callable[[str, dict[str, Any]], float], cases: list[Case]) -> float:
    """Seconds for all cases."""
    start = time.perf_counter()
    for case in cases:
        scorer(case.response, case.truth)
    return time.perf_counter() - start


def main() -> int:
    """Measure both in turn, so that a busy machine slows both; exit code 1 when ours is slower."""
    cases = make_cases(random.Random(1))
    ours, evals = [], []
    for _ in range(ROUNDS):
        ours.append(seconds_of(our_scorer, cases))
        evals.append(seconds_of(eval_scorer, cases))
    ratio = median(theirs / mine for mine, theirs in zip(ours, evals, strict=True))
    record = {
        "responses": len(cases),
        "long_share": LONG_SHARE,
        "mean_characters": round(sum(len(case.response) for case in cases) / len(cases)),
        "ours_per_second": round(len(cases) / min(ours)),
        "eval_per_second": round(len(cases) / min(evals)),
        "median_ratio": round(ratio, 2),
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "countdown_reward.json").write_text(json.dumps(record, indent=1) + "\n")
    print(
        f"reward: {record['ours_per_second']:,}/s, regex + eval: {record['eval_per_second']:,}/s, "
        f"ratio {record['median_ratio']}"
    )
    return 0 if ratio >= 1 else 1


if __name__ == "__main__":
    sys.exit(main())
