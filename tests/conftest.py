"""Environment of all tests: one thread, no network; set before torch is imported anywhere."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from checkout import git_commit, git_init, succeed, write_checkout
from habits.jobs import prepare_environment

TESTS = Path(__file__).parent

prepare_environment(threads=1)
# No limits of time, which a busy machine breaks; the same examples wherever the tests run.
SLOWLY = [HealthCheck.too_slow]
settings.register_profile("tests", deadline=None, derandomize=True, suppress_health_check=SLOWLY)
settings.load_profile("tests")


@pytest.hookimpl(tryfirst=True)  # Before xdist reads the groups.
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share costly fixtures run in one process (`make test` starts one per core)."""
    for item in items:
        shared = "original" if "original" in getattr(item, "fixturenames", ()) else None
        item.add_marker(pytest.mark.xdist_group(shared or item.path.relative_to(TESTS).parts[0]))


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
