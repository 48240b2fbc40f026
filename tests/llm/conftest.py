"""The key that the test server wants is in the environment, as a user's would be; paths are temporary."""

from pathlib import Path

import pytest
from asking import CANARY


@pytest.fixture(autouse=True)
def _workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY_KEY", CANARY)
    monkeypatch.chdir(tmp_path)
