"""What users ask DVC about two states: settings, metrics and experiments, compared."""

import json
from pathlib import Path

import pytest

from checkout import clone, edit, git_commit, succeed
from habits.report.compare import read_run


@pytest.fixture(scope="module")
def two_commits(original: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with a second commit, run with fewer resamples, and an experiment `fewer` of the same."""
    folder = clone(original, tmp_path_factory.mktemp("commits") / "clone")
    edit(folder, "statistics.bootstrap", 100)
    succeed(folder, "snakemake", "--cores", "all")
    succeed(folder, "dvc", "exp", "save", "--name", "fewer")
    git_commit(folder)
    return folder


def test_params_diff_names_the_setting_with_both_values(two_commits: Path) -> None:
    found = json.loads(succeed(two_commits, "dvc", "params", "diff", "--json", "HEAD^", "HEAD"))
    old, new = (found["params.yaml"]["statistics.bootstrap"][side] for side in ("old", "new"))
    assert new == 100 and old != 100
    assert list(found["params.yaml"]) == ["statistics.bootstrap"]


def test_metrics_diff_shows_the_change_of_every_condition(two_commits: Path) -> None:
    found = json.loads(succeed(two_commits, "dvc", "metrics", "diff", "--json", "HEAD^", "HEAD"))
    (changes,) = found["diff"].values() if "diff" in found else found.values()
    accuracy = changes["plain/none/ppo.accuracy"]
    assert accuracy["diff"] == pytest.approx(accuracy["new"] - accuracy["old"]) != 0


def test_experiments_are_listed_and_compared(two_commits: Path) -> None:
    assert "fewer" in succeed(two_commits, "dvc", "exp", "list", "--all-commits")
    found = json.loads(succeed(two_commits, "dvc", "exp", "diff", "--json", "HEAD^", "fewer"))
    assert found["params"]["params.yaml"]["statistics.bootstrap"]["new"] == 100
    assert "plain/none/ppo.accuracy" in found["metrics"]["results/statistics/summary.json"]


def test_compare_takes_an_experiment_by_its_name_and_a_revision(
    two_commits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settings and tables of then, whatever the workspace holds."""
    monkeypatch.chdir(two_commits)
    before, after = (read_run(name, tmp_path / name) for name in ("HEAD^", "fewer"))
    assert before.settings["statistics"]["bootstrap"] != after.settings["statistics"]["bootstrap"] == 100
    table = "results/statistics/per_problem.parquet"
    assert (after.folder / table).read_bytes() == (two_commits / table).read_bytes()
    assert (before.folder / table).read_bytes() != (after.folder / table).read_bytes()
