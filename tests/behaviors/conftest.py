"""Shared by the behavior tests."""

from pathlib import Path

import pytest

from habits.params import Params, load


@pytest.fixture(scope="session")
def laptop() -> Params:
    return load(Path(__file__).parents[2] / "workflow" / "presets" / "laptop.yaml")
