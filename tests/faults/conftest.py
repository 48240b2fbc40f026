"""Checkouts to strike: one that ran, one whose results DVC has not taken in yet, one where it has."""

from pathlib import Path

import pytest
import yaml
from strikes import HABITS

from checkout import copy_checkout, edit, git_commit, git_init, succeed, write_checkout


@pytest.fixture(scope="session")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chain of one run, made by Snakemake, pushed to a remote folder, all in git; to be read only."""
    folder = tmp_path_factory.mktemp("ran") / "checkout"
    write_checkout(folder)
    settings = yaml.safe_load((folder / "params.yaml").read_text())
    settings["matrix"] = [{"model": "plain", "priming": "backtracking_verification", "seeds": [1]}]
    (folder / "params.yaml").write_text(yaml.safe_dump(settings))
    git_init(folder)
    succeed(folder, "dvc", "remote", "add", "--default", "shared", "../remote")
    git_commit(folder)
    succeed(folder, "snakemake", "--cores", "all")
    git_commit(folder)
    succeed(folder, "dvc", "push", "--quiet")
    return folder


@pytest.fixture(scope="session")
def edited(ran: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with another learning rate, not run yet; to be read only."""
    folder = copy_checkout(ran, tmp_path_factory.mktemp("edited") / "checkout")
    edit(folder, "rl.learning_rate", 0.0003)
    return folder


@pytest.fixture(scope="session")
def unrecorded(edited: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The edited one after a run that DVC has not recorded; to be read only."""
    folder = copy_checkout(edited, tmp_path_factory.mktemp("unrecorded") / "checkout")
    succeed(folder, "snakemake", "--cores", "all", "--config", "preset=smoke")
    return folder


@pytest.fixture(scope="session")
def recorded(unrecorded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The edited one after an undisturbed run; to be read only."""
    folder = copy_checkout(unrecorded, tmp_path_factory.mktemp("recorded") / "checkout")
    succeed(folder, *HABITS, "record")
    return folder
