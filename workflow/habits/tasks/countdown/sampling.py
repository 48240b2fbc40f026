"""Draws solvable Countdown problems and parts them into train, validation and test.

Two samplers. ``uniform_target``: the target is uniform, numbers are drawn until they reach it.
``reachable_target``: numbers are drawn, the target is uniform among what they reach. A target is never
one of the numbers. No problem is given twice, and the splits share no key (``split_by: key``) or not
even a set of numbers (``split_by: numbers``).

When the problems asked for are many for the ranges, all that exist are listed instead of drawn, so that
nothing loops for ever and a request that cannot be met says how many exist. The law is the same: a
problem that draws would give at rate r comes at an exponential time of rate r, and the first ones are
taken. Reads and writes no files.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations_with_replacement, pairwise
from math import comb, factorial, prod

import numpy as np

from habits.params import Countdown
from habits.tasks.countdown.arithmetic import Problem
from habits.tasks.countdown.batches import can_batch, reach_targets
from habits.tasks.countdown.reachable import Multiset, Reachable, Rules

SPLITS = ("test", "validation", "train")  # in the order in which they are filled
SCARCE = 4  # number sets per problem asked for; with fewer, all problems are listed
LISTED = 500_000  # number sets that are listed at most; a larger space is only drawn from
BATCH, TRIED_AT_ONCE = 512, 2048  # problems of a batch, and number sets tried for them at a time
PATIENCE = 20_000  # draws in a row without a new problem after which a space counts as exhausted


class SamplingError(ValueError):
    """The ranges of params.yaml do not hold the problems asked for; names the keys and what exists."""


@dataclass(frozen=True)
class Arrival:
    """A problem of a listed space, its numbers sorted, and the time at which it comes."""

    time: float
    numbers: Multiset
    target: int


def sample(settings: Countdown) -> dict[str, list[Problem]]:
    """The problems of each split (keys: train, validation, test), in an order that says nothing.

    Raises:
        SamplingError: the ranges do not hold so many problems.
    """
    found: dict[str, list[Problem]] = {split: [] for split in SPLITS}
    for size, wanted in requests(settings).items():
        rng = random.Random(f"countdown {settings.seed} {size}")
        for split, problems in _SizeSampler(settings, size, wanted, rng).splits().items():
            found[split].extend(_in_prompt_order(problem, rng) for problem in problems)
    for split, problems in found.items():
        random.Random(f"countdown {settings.seed} {split}").shuffle(problems)
    return found


def requests(settings: Countdown) -> dict[int, dict[str, int]]:
    """How many problems of each operand count each split gets: the shares, rounded so that sums hold."""
    sizes = sorted(size for size, share in settings.sizes.items() if share > 0)
    asked: dict[int, dict[str, int]] = {size: {} for size in sizes}
    for split in SPLITS:
        total: int = getattr(settings, split)
        edges = [round(total * sum(settings.sizes[s] for s in sizes[:n])) for n in range(len(sizes) + 1)]
        for size, (start, end) in zip(sizes, pairwise(edges), strict=True):
            asked[size][split] = end - start
    return asked


def draws(settings: Countdown, size: int, rng: random.Random) -> Iterator[Problem]:
    """Endless independent draws of the sampler, ``size`` numbers each; sorted numbers, repeats possible.

    Raises:
        SamplingError: ``PATIENCE`` draws in a row made no problem.
    """
    reachable = Reachable(Rules(settings.integer_only, settings.max_intermediate))
    if settings.sampler == "reachable_target":
        while True:
            yield _draw_reachable(settings, size, rng, reachable)
    if settings.integer_only and can_batch(size, settings.number_max, settings.target_max):
        generator = np.random.default_rng(rng.getrandbits(64))
        while True:
            yield from _draw_uniform_batch(settings, size, generator)
    while True:
        yield _draw_uniform(settings, size, rng, reachable)


def _draw_uniform_batch(settings: Countdown, size: int, rng: np.random.Generator) -> list[Problem]:
    """``BATCH`` draws with uniform targets: each target takes the first numbers that reach it."""
    targets_b = rng.integers(settings.target_min, settings.target_max, BATCH, endpoint=True)
    numbers_nb = np.zeros((size, BATCH), dtype=np.int64)
    pending = np.arange(BATCH)
    misses = 0
    while len(pending):
        if misses > PATIENCE:
            raise _fruitless(f"target {targets_b[pending[0]]}", settings, size)
        asking = np.resize(pending, TRIED_AT_ONCE)
        drawn_nt = rng.integers(settings.number_min, settings.number_max, (size, len(asking)), endpoint=True)
        hit_t = reach_targets(drawn_nt, targets_b[asking], settings.max_intermediate)
        hit_t &= (drawn_nt != targets_b[asking]).all(axis=0)
        solved, first = np.unique(asking[hit_t], return_index=True)
        misses = 0 if len(solved) else misses + TRIED_AT_ONCE
        numbers_nb[:, solved] = drawn_nt[:, hit_t][:, first]
        pending = np.setdiff1d(pending, solved)
    columns = np.sort(numbers_nb, axis=0).T.tolist()
    return [Problem(tuple(numbers), t) for numbers, t in zip(columns, targets_b.tolist(), strict=True)]


def _draw_uniform(settings: Countdown, size: int, rng: random.Random, reachable: Reachable) -> Problem:
    """One draw, for rules and sizes that the batches do not cover."""
    target = rng.randint(settings.target_min, settings.target_max)
    choices = range(settings.number_min, settings.number_max + 1)
    for _ in range(PATIENCE):
        numbers = tuple(sorted(rng.choices(choices, k=size)))
        if target not in numbers and reachable.reaches(numbers, target):
            return Problem(numbers, target)
    raise _fruitless(f"target {target}", settings, size)


def _draw_reachable(settings: Countdown, size: int, rng: random.Random, reachable: Reachable) -> Problem:
    choices = range(settings.number_min, settings.number_max + 1)
    for _ in range(PATIENCE):
        numbers = tuple(sorted(rng.choices(choices, k=size)))
        targets = _targets(settings, numbers, reachable)
        if targets:
            return Problem(numbers, rng.choice(targets))
    raise _fruitless("any target", settings, size)


def _targets(settings: Countdown, numbers: Multiset, reachable: Reachable) -> list[int]:
    made = reachable.targets(numbers, settings.target_min, settings.target_max)
    return [target for target in made if target not in numbers]


class _SizeSampler:
    """All splits of the problems with one operand count."""

    def __init__(self, settings: Countdown, size: int, wanted: dict[str, int], rng: random.Random) -> None:
        self.settings, self.size, self.wanted, self.rng = settings, size, wanted, rng
        self.by_numbers = settings.split_by == "numbers"
        width = settings.number_max - settings.number_min + 1
        self.number_sets = comb(width + size - 1, size)

    def splits(self) -> dict[str, list[Problem]]:
        """The problems of each split; SamplingError when there are not enough."""
        total = sum(self.wanted.values())
        if self.number_sets <= LISTED and self.number_sets < total * SCARCE:
            return self._from_list()
        found = self._from_draws()
        if found is not None:
            return found
        if self.number_sets <= LISTED:
            return self._from_list()
        raise SamplingError(
            f"params.yaml: countdown: {PATIENCE} draws in a row gave no new problem of {self.size} numbers "
            f"although {total} are asked for; {_ranges(self.settings)}"
        )

    def _from_draws(self) -> dict[str, list[Problem]] | None:
        """Splits filled one after the other from draws; None when new problems run out."""
        stream = draws(self.settings, self.size, self.rng)
        taken: set[Problem] = set()
        home: dict[Multiset, str] = {}  # with split_by numbers: the split that a number set belongs to
        found: dict[str, list[Problem]] = {}
        for split in SPLITS:
            problems = found[split] = []
            misses = 0
            while len(problems) < self.wanted[split]:
                problem = next(stream)
                if problem in taken or (self.by_numbers and home.setdefault(problem.numbers, split) != split):
                    misses += 1
                    if misses > PATIENCE:
                        return None
                    continue
                misses = 0
                taken.add(problem)
                problems.append(problem)
        return found

    def _from_list(self) -> dict[str, list[Problem]]:
        """Splits filled from the list of all problems, in the order of their arrival."""
        arrivals = self._arrivals()
        total = sum(self.wanted.values())
        if len(arrivals) < total:
            raise self._too_few(len(arrivals))
        if self.by_numbers:
            parts = self._part_by_numbers(arrivals)
        else:
            edges = [0]
            for split in SPLITS:
                edges.append(edges[-1] + self.wanted[split])
            parts = {s: arrivals[a:b] for s, (a, b) in zip(SPLITS, pairwise(edges), strict=True)}
        return {split: [Problem(a.numbers, a.target) for a in part] for split, part in parts.items()}

    def _arrivals(self) -> list[Arrival]:
        """Every problem that exists, by arrival time."""
        settings = self.settings
        reachable = Reachable(Rules(settings.integer_only, settings.max_intermediate))
        choices = range(settings.number_min, settings.number_max + 1)
        table = {
            numbers: _targets(settings, numbers, reachable)
            for numbers in combinations_with_replacement(choices, self.size)
        }
        weight = {numbers: _orders(numbers) for numbers, targets in table.items() if targets}
        share: dict[int, int] = defaultdict(int)  # target -> weight of the number sets that reach it
        for numbers in weight:
            for target in table[numbers]:
                share[target] += weight[numbers]
        uniform = settings.sampler == "uniform_target"
        arrivals = [
            Arrival(
                self.rng.expovariate(weight[numbers] / (share[target] if uniform else len(table[numbers]))),
                numbers,
                target,
            )
            for numbers in weight
            for target in table[numbers]
        ]
        return sorted(arrivals, key=lambda arrival: arrival.time)

    def _part_by_numbers(self, arrivals: list[Arrival]) -> dict[str, list[Arrival]]:
        """Whole number sets to each split. Test and validation share what train can spare, for variety."""
        groups: dict[Multiset, list[Arrival]] = defaultdict(list)
        for arrival in arrivals:
            groups[arrival.numbers].append(arrival)
        spare = (len(arrivals) - sum(self.wanted.values())) // 2
        left = list(groups.values())
        parts: dict[str, list[Arrival]] = {}
        for split in SPLITS[:-1]:
            count = _groups_for(left, self.wanted[split], spare)
            parts[split] = _spread(left[:count])[: self.wanted[split]]
            left = left[count:]
        rest = sorted((a for group in left for a in group), key=lambda arrival: arrival.time)
        if len(rest) < self.wanted["train"]:
            raise self._too_few(len(arrivals))
        return parts | {"train": rest[: self.wanted["train"]]}

    def _too_few(self, existing: int) -> SamplingError:
        by = ", in whole number sets (countdown.split_by is numbers)" if self.by_numbers else ""
        asked = " + ".join(f"{split} {self.wanted[split]}" for split in reversed(SPLITS))
        return SamplingError(
            f"params.yaml: countdown: {asked} problems of {self.size} numbers are asked for{by}, "
            f"but only {existing} exist; {_ranges(self.settings)}"
        )


def _groups_for(groups: list[list[Arrival]], wanted: int, spare: int) -> int:
    """How many of the first groups to take: enough for ``wanted`` problems, then more for variety.

    Variety ends at one group a problem, or when more than ``spare`` problems would be left over.
    """
    total = 0
    for count, group in enumerate(groups):
        if total >= wanted and (count >= wanted or total + len(group) - wanted > spare):
            return count
        total += len(group)
    return len(groups)


def _spread(groups: list[list[Arrival]]) -> list[Arrival]:
    """The problems of the groups: the first of each, then the second of each, and so on."""
    ranked = [(rank, arrival.time, arrival) for group in groups for rank, arrival in enumerate(group)]
    return [arrival for _, _, arrival in sorted(ranked, key=lambda entry: entry[:2])]


def _orders(numbers: Multiset) -> int:
    """In how many orders independent draws give these numbers."""
    return factorial(len(numbers)) // prod(factorial(n) for n in Counter(numbers).values())


def _in_prompt_order(problem: Problem, rng: random.Random) -> Problem:
    numbers = list(problem.numbers)
    rng.shuffle(numbers)
    return Problem(tuple(numbers), problem.target)


def _fruitless(goal: str, settings: Countdown, size: int) -> SamplingError:
    tried = f"{PATIENCE} draws of {size} numbers did not reach {goal}"
    return SamplingError(f"params.yaml: countdown: {tried}; {_ranges(settings)}")


def _ranges(settings: Countdown) -> str:
    return (
        "ask for fewer (train, validation, test) or widen "
        f"number_min..number_max (now {settings.number_min}..{settings.number_max}), "
        f"target_min..target_max (now {settings.target_min}..{settings.target_max}) "
        f"or max_intermediate (now {settings.max_intermediate})"
    )
