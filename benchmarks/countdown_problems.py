"""Countdown problems made per second: our two samplers against a plain depth-first rejection generator.

Run ``python benchmarks/countdown_problems.py``; writes benchmarks/results/countdown_problems.json and
prints the ratios. All make distinct problems of 3 and 4 numbers in 1..99 (half each) with targets
10..100 and integer steps; the plain one draws numbers and target and searches depth first.
"""

from __future__ import annotations

import json
import os
import platform
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

from habits.params import Countdown
from habits.tasks.countdown import Problem, difficulty
from habits.tasks.countdown.sampling import sample

RESULTS = Path(__file__).parent / "results"
OURS, PLAIN = 6000, 250  # problems that are made and timed
NEEDED = 10.0  # the ratio that must be reached


def settings(sampler: str, problems: int) -> Countdown:
    """Settings of the original's ranges with ``problems`` problems in all."""
    return Countdown.model_validate(
        {
            "sizes": {3: 0.5, 4: 0.5},
            "number_min": 1,
            "number_max": 99,
            "target_min": 10,
            "target_max": 100,
            "sampler": sampler,
            "integer_only": True,
            "max_intermediate": None,
            "split_by": "key",
            "train": problems - 2,
            "validation": 1,
            "test": 1,
            "seed": 1,
        }
    )


def plain_generator(problems: int) -> list[Problem]:
    """The usual generator: draw everything, search depth first, throw away what has no solution."""
    rng = random.Random(1)
    found: set[Problem] = set()
    while len(found) < problems:
        size = rng.choice((3, 4))
        numbers = [rng.randint(1, 99) for _ in range(size)]
        target = rng.randint(10, 100)
        if target not in numbers and _search(numbers, target):
            found.add(Problem(tuple(sorted(numbers)), target))
    return list(found)


def _search(values: list[int], target: int) -> bool:
    if len(values) == 1:
        return values[0] == target
    for i in range(len(values)):
        for j in range(i + 1, len(values)):
            a, b = values[i], values[j]
            rest = [value for k, value in enumerate(values) if k not in (i, j)]
            results = [a + b, a * b, abs(a - b)]
            if b and a % b == 0:
                results.append(a // b)
            if a and b % a == 0:
                results.append(b // a)
            if any(result > 0 and _search([*rest, result], target) for result in results):
                return True
    return False


def per_second(make: Callable[[], list[Problem]]) -> float:
    """Problems per second of one call."""
    start = time.perf_counter()
    made = make()
    return len(made) / (time.perf_counter() - start)


def sampled(sampler: str) -> list[Problem]:
    """Problems of our sampler, all splits together."""
    return [problem for split in sample(settings(sampler, OURS)).values() for problem in split]


def main() -> int:
    """Measure all in one run; exit code 1 when a sampler is less than ``NEEDED`` times as fast."""
    plain = per_second(lambda: plain_generator(PLAIN))
    uniform = per_second(lambda: sampled("uniform_target"))
    reachable = per_second(lambda: sampled("reachable_target"))
    problems = sampled("uniform_target")[:1000]
    start = time.perf_counter()
    for problem in problems:
        difficulty(problem)
    record = {
        "plain_per_second": round(plain),
        "uniform_target_per_second": round(uniform),
        "reachable_target_per_second": round(reachable),
        "uniform_target_ratio": round(uniform / plain, 1),
        "reachable_target_ratio": round(reachable / plain, 1),
        "difficulty_per_second": round(len(problems) / (time.perf_counter() - start)),
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "countdown_problems.json").write_text(json.dumps(record, indent=1) + "\n")
    for sampler in ("uniform_target", "reachable_target"):
        speed, ratio = record[f"{sampler}_per_second"], record[f"{sampler}_ratio"]
        print(f"{sampler}: {speed}/s, depth-first rejection: {round(plain)}/s, ratio {ratio}")
    return 0 if min(uniform, reachable) >= NEEDED * plain else 1


if __name__ == "__main__":
    sys.exit(main())
