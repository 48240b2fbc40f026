"""The conda environment: what Snakemake makes of it, and whether it holds the versions that the tests use."""

import os
import re
import tomllib
from pathlib import Path

import yaml

from checkout import ROOT, environment, planned, run
from habits.cli import PRESETS

CPU = ROOT / "envs/cpu/environment.yaml"
# Conda, as far as Snakemake asks it before it plans.
CONDA = """#!/bin/sh
case "$*" in
  "info --json") echo '{"platform": "linux-64", "conda_prefix": "/opt/conda", "root_prefix": "/opt/conda"}' ;;
  "--version") echo 'conda 25.1.0' ;;
  *channel_priority*) echo '{"get": {"channel_priority": "strict"}}' ;;
esac
"""


def packages() -> list[str]:
    """What pip installs into the conda environment."""
    *_, last = yaml.safe_load(CPU.read_text())["dependencies"]
    return last["pip"]


def test_snakemake_plans_one_conda_environment_for_all_steps(tmp_path: Path) -> None:
    (tmp_path / "conda").write_text(CONDA)
    (tmp_path / "conda").chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{environment(ROOT)['PATH']}"
    options = ("--configfile", PRESETS / "smoke.yaml", "--directory", tmp_path)
    dry = run(ROOT, "snakemake", "--dry-run", "--sdm", "conda", *options, PATH=path)
    assert dry.returncode == 0, dry.stdout
    assert re.findall(r"^Conda environment (.+) will be created", dry.stdout, re.MULTILINE) == [str(CPU)]
    rules = [path for path in (ROOT / "workflow/rules").glob("*.smk") if path.stem != "common"]
    assert all("    conda:\n" in path.read_text() for path in rules)
    assert planned(ROOT, *options), "without --sdm the same plan needs no conda"


def test_the_conda_environment_holds_the_packages_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert packages() == project["dependencies"], "write it again with `make lock`"


def test_its_versions_are_those_of_the_lock() -> None:
    lock = (ROOT / "envs/cpu/requirements.txt").read_text().lower().splitlines()
    assert [pin for pin in packages() if pin.lower() not in lock] == []
