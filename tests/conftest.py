"""Environment of all tests: one thread, no network; set before torch is imported anywhere."""

import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from checkout import git_commit, git_init, succeed, write_checkout
from habits.jobs import prepare_environment

prepare_environment(threads=1)
# A shell lets its background processes, and all that they start, ignore Ctrl-C; tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)
# No limits of time, which a busy machine breaks; the same examples wherever the tests run.
SLOWLY = [HealthCheck.too_slow]
settings.register_profile("tests", deadline=None, derandomize=True, suppress_health_check=SLOWLY)
settings.load_profile("tests")


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout in which Snakemake ran once, pushed to a remote folder, all in git; to be read only."""
    folder = tmp_path_factory.mktemp("original")
    write_checkout(folder)
    git_init(folder)
    succeed(folder, "dvc", "remote", "add", "--default", "shared", tmp_path_factory.mktemp("remote"))
    git_commit(folder)
    succeed(folder, "snakemake", "--cores", "all")
    git_commit(folder)
    succeed(folder, "dvc", "push", "--quiet")
    return folder
