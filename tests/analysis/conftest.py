"""Synthetic results and their statistics, shared by the tests that only read them."""

from __future__ import annotations

import pytest
from synthetic_results import Analysed, analyse


@pytest.fixture(scope="session")
def analysed(tmp_path_factory: pytest.TempPathFactory) -> Analysed:
    return analyse(tmp_path_factory.mktemp("results"))
