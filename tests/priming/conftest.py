"""Shared by the priming tests: params with a small Countdown, and its problems on disk."""

from pathlib import Path

import pytest

from habits.params import Params, load
from habits.tasks.countdown import Problem
from habits.tasks.countdown.problems import write_problems
from habits.tasks.countdown.table import read_problems

LAPTOP = Path(__file__).parents[2] / "workflow" / "presets" / "laptop.yaml"


@pytest.fixture(scope="session")
def params() -> Params:
    raw = load(LAPTOP).model_dump(mode="json")
    raw["countdown"] |= {"train": 300, "validation": 40, "test": 40}
    raw["rollouts"] |= {"problems": 40}
    raw["priming"] |= {"traces": 120, "max_trace_tokens": 72, "min_search_tokens": 12}
    return Params.model_validate(raw)


@pytest.fixture(scope="session")
def problems_folder(params: Params, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("problems")
    write_problems(params, folder)
    return folder


@pytest.fixture(scope="session")
def problems(problems_folder: Path) -> list[Problem]:
    return read_problems(problems_folder / "train.parquet")
