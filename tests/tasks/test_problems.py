"""Sampling and the problems rule: splits, samplers, exhaustion, and the parquet in verl's schema."""

from __future__ import annotations

import json
from collections import Counter
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from habits.artifacts import hash_path
from habits.params import Countdown, Params, load
from habits.tasks.countdown import Problem, compute_score, sampling, solutions
from habits.tasks.countdown.problems import write_problems
from habits.tasks.countdown.reachable import Reachable, Rules
from habits.tasks.countdown.sampling import SamplingError, requests, sample
from habits.tasks.countdown.table import read_problems

PRESETS = Path(__file__).parents[2] / "workflow" / "presets"
SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def laptop() -> Params:
    """The laptop preset, whose space of problems is small."""
    return load(PRESETS / "laptop.yaml")


def wide(**changes: Any) -> Countdown:
    """The original's ranges, of which requests take a small part."""
    settings = {
        "sizes": {3: 0.5, 4: 0.5},
        "number_min": 1,
        "number_max": 99,
        "target_min": 10,
        "target_max": 100,
        "sampler": "reachable_target",
        "integer_only": True,
        "max_intermediate": None,
        "split_by": "key",
        "train": 600,
        "validation": 100,
        "test": 101,
        "seed": 5,
    }
    return Countdown.model_validate({**settings, **changes})


def check(settings: Countdown, problems: dict[str, list[Problem]]) -> None:
    """Sizes, ranges, solvability, and that no problem or number set is where it must not be."""
    assert {split: len(problems[split]) for split in SPLITS} == {s: getattr(settings, s) for s in SPLITS}
    reachable = Reachable(Rules(settings.integer_only, settings.max_intermediate))
    for problem in (p for split in SPLITS for p in problems[split]):
        assert settings.target_min <= problem.target <= settings.target_max
        assert problem.target not in problem.numbers
        assert min(problem.numbers) >= settings.number_min
        assert max(problem.numbers) <= settings.number_max
        assert reachable.reaches(tuple(sorted(problem.numbers)), problem.target)
    keys = {split: {p.key for p in problems[split]} for split in SPLITS}
    sets = {split: {tuple(sorted(p.numbers)) for p in problems[split]} for split in SPLITS}
    for split in SPLITS:
        assert len(keys[split]) == len(problems[split])
        for other in SPLITS:
            if other != split:
                assert not keys[split] & keys[other]
                assert settings.split_by == "key" or not sets[split] & sets[other]


@pytest.mark.parametrize("split_by", ["key", "numbers"])
@pytest.mark.parametrize("sampler", ["uniform_target", "reachable_target"])
@pytest.mark.parametrize("rules", [(True, None), (True, 100), (False, None)], ids=str)
def test_splits_of_a_wide_space(sampler: str, split_by: str, rules: tuple[bool, int | None]) -> None:
    small = 101 if rules[0] else 9
    sizes = {"train": 5 * small, "validation": small, "test": small}
    integer_only, limit = rules
    settings = wide(
        sampler=sampler, split_by=split_by, integer_only=integer_only, max_intermediate=limit, **sizes
    )
    check(settings, sample(settings))


@pytest.mark.parametrize("split_by", ["key", "numbers"])
@pytest.mark.parametrize("sampler", ["uniform_target", "reachable_target"])
def test_laptop_space_gives_nearly_all_it_has(laptop: Params, sampler: str, split_by: str) -> None:
    settings = laptop.countdown.model_copy(update={"sampler": sampler, "split_by": split_by})
    problems = sample(settings)
    check(settings, problems)
    assert (settings.train, settings.validation, settings.test) == (4800, 256, 256)
    if split_by == "numbers":
        for split in ("validation", "test"):  # as varied as train can spare: over 40 number sets of 680
            assert len({tuple(sorted(p.numbers)) for p in problems[split]}) > 40


def test_every_problem_of_a_space_can_be_asked_for() -> None:
    reachable = Reachable(Rules(True, None))
    numbers = list(combinations_with_replacement(range(1, 7), 3))
    existing = sum(t not in n for n in numbers for t in reachable.targets(n, 10, 30))
    space = {"sizes": {3: 1.0}, "number_max": 6, "target_max": 30, "validation": 20, "test": 20}
    problems = sample(wide(**space, train=existing - 40))
    assert len({p.key for split in SPLITS for p in problems[split]}) == existing
    with pytest.raises(SamplingError) as error:
        sample(wide(**space, train=existing - 39))
    for word in ("params.yaml", "countdown", f"only {existing} exist", "number_max (now 1..6)", "train"):
        assert word in str(error.value)


def test_space_that_runs_out_while_drawing_is_listed() -> None:
    """Few targets reachable from many number sets: draws find them too rarely to notice from the counts."""
    settings = wide(sizes={2: 1.0}, target_min=10, target_max=10, train=40, validation=1, test=1)
    problems = sample(settings)
    check(settings, problems)


@pytest.mark.parametrize("sampler", ["uniform_target", "reachable_target"])
@pytest.mark.parametrize("size", [2, 4])
def test_unreachable_targets_are_an_error_that_names_the_keys(sampler: str, size: int) -> None:
    settings = wide(sizes={size: 1.0}, sampler=sampler, max_intermediate=5, train=2, validation=1, test=1)
    with pytest.raises(SamplingError, match=r"max_intermediate \(now 5\)"):
        sample(settings)


def test_seed_decides() -> None:
    for sampler in ("uniform_target", "reachable_target"):
        assert sample(wide(sampler=sampler)) == sample(wide(sampler=sampler))
        assert sample(wide(sampler=sampler)) != sample(wide(sampler=sampler, seed=6))


def test_prompt_order_gives_nothing_away(laptop: Params) -> None:
    problems = sample(laptop.countdown)["train"]
    distinct = [p.numbers for p in problems if len(set(p.numbers)) == 3]
    orders = Counter(tuple(sorted(range(3), key=numbers.__getitem__)) for numbers in distinct)
    assert len(orders) == 6
    assert all(abs(count / len(distinct) - 1 / 6) < 0.03 for count in orders.values())
    targets = [p.target for p in problems]
    assert targets != sorted(targets)


@pytest.mark.parametrize("scarce", [0, 10**9], ids=["drawn", "listed"])
def test_law_of_the_samplers(scarce: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing and listing obey one law: uniform targets, or the number sets of independent draws."""
    monkeypatch.setattr(sampling, "SCARCE", scarce)
    ranges = {"sizes": {3: 1.0}, "number_max": 25, "train": 910, "validation": 1, "test": 1}
    counts = Counter(p.target for p in sample(wide(sampler="uniform_target", **ranges))["train"])
    chi_square = sum((counts[target] - 10) ** 2 / 10 for target in range(10, 101))
    assert chi_square < 90 + 5 * 180**0.5  # 5 standard deviations above its mean
    drawn = sample(wide(sampler="reachable_target", **ranges))["train"]
    repeats = sum(len(set(p.numbers)) < 3 for p in drawn) / len(drawn)
    assert abs(repeats - (1 - 24 * 23 / 25**2)) < 0.06  # 0.117 +- 5 standard deviations


def test_shares_of_sizes_hold() -> None:
    settings = wide(sizes={2: 0.25, 3: 0.25, 4: 0.5})
    asked = requests(settings)
    assert {split: sum(asked[size][split] for size in asked) for split in SPLITS} == {
        "train": 600, "validation": 100, "test": 101,
    }  # fmt: skip
    sizes = Counter(len(p.numbers) for p in sample(settings)["train"])
    assert sizes == {2: 150, 3: 150, 4: 300}


@pytest.fixture(scope="module")
def written(laptop: Params, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the rule writes for a small request."""
    out = tmp_path_factory.mktemp("problems") / "countdown"
    small = {"train": 300, "validation": 30, "test": 31}
    write_problems(laptop.model_copy(update={"countdown": laptop.countdown.model_copy(update=small)}), out)
    return out


def test_rows_follow_verls_schema_and_are_paid(laptop: Params, written: Path) -> None:
    settings = laptop.countdown
    for split, rows in (("train", 300), ("validation", 30), ("test", 31)):
        frame = pd.read_parquet(written / f"{split}.parquet")
        columns = ["data_source", "prompt", "ability", "reward_model", "extra_info"]
        assert (list(frame.columns), len(frame)) == (columns, rows)
        problems = read_problems(written / f"{split}.parquet")
        for (index, row), problem in zip(frame.iterrows(), problems, strict=True):
            info = row["extra_info"]
            assert [info["split"], info["index"], info["problem_id"]] == [split, index, problem.key]
            assert row["prompt"][0]["role"] == "user"
            assert f"equals {problem.target}" in row["prompt"][0]["content"]
            response = f"</think> <answer> {info['solution']} </answer>"
            paid = compute_score(row["data_source"], response, row["reward_model"]["ground_truth"], info)
            assert (paid["score"], paid["format_ok"]) == (1.0, 1.0)
            found = solutions(problem, settings.integer_only, settings.max_intermediate)
            assert info["solution"] == found[0].expression
            assert info["operands"] == 3
            assert info["n_solutions"] == len(found)
            assert info["needs_division"] == all(s.divides for s in found)
            assert info["depth"] == min(s.depth for s in found)


def test_provenance_and_bytes_are_reproducible(laptop: Params, written: Path, tmp_path: Path) -> None:
    record = json.loads((written / "train.parquet.provenance.json").read_text())
    assert record["seed"] == laptop.countdown.seed
    assert record["settings"]["countdown"]["train"] == 300
    assert record["hash"] == hash_path(written / "train.parquet")
    small = {"train": 300, "validation": 30, "test": 31}
    again = laptop.model_copy(update={"countdown": laptop.countdown.model_copy(update=small)})
    write_problems(again, tmp_path)
    for split in SPLITS:
        assert (tmp_path / f"{split}.parquet").read_bytes() == (written / f"{split}.parquet").read_bytes()
