"""The GPU environment resolves as it is pinned (needs a package index; nothing is installed)."""

import re
import subprocess
from pathlib import Path

import pytest

ENVIRONMENT = Path(__file__).parents[1] / "envs/gpu"


def pins() -> dict[str, str]:
    return dict(
        re.findall(r"^([\w.-]+)==(\S+)$", (ENVIRONMENT / "requirements.txt").read_text(), re.MULTILINE)
    )


def test_every_package_is_pinned_and_verl_is_ours() -> None:
    lines = [line for line in (ENVIRONMENT / "requirements.txt").read_text().splitlines() if line[0] != "#"]
    assert len(lines) == len(pins())
    ours = dict(re.findall(r'"([\w.-]+)==([\w.]+)"', (ENVIRONMENT.parents[1] / "pyproject.toml").read_text()))
    assert pins()["verl"] == ours["verl"] and pins()["transformers"] == ours["transformers"]
    assert pins()["vllm"] == "0.24.0" and pins()["torch"] == "2.11.0"


@pytest.mark.slow
def test_the_pins_fit_together(tmp_path: Path) -> None:
    """uv resolves requirements.in under the pins for the documented Python and platform."""
    options = ["--python-version", "3.12", "--python-platform", "x86_64-manylinux_2_28", "--no-header"]
    resolved = subprocess.run(
        ["uv", "pip", "compile", "--quiet", "--no-annotate", *options]
        + ["--constraints", ENVIRONMENT / "requirements.txt", ENVIRONMENT / "requirements.in"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert resolved.returncode == 0, resolved.stderr[-3000:]
    assert dict(line.split("==") for line in resolved.stdout.splitlines()) == pins()
