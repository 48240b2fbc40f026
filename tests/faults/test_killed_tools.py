"""SIGKILL at random moments for Snakemake, DVC and steps: the same command again ends as if nothing had been.

Two things need a hand in between, as docs/architecture.md says: a dvc.lock that was half written, and an
experiment aside whose settings DVC left in params.yaml.

A round kills at a random change of the file system (see striking/sitecustomize.py) or after a random time,
the process alone or with all that it started. The dice are seeded: a failed round can be repeated.
"""

import random
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from strikes import (
    HABITS,
    RESULTS,
    assert_as_undisturbed,
    kill_after,
    kill_at_change,
    wait_until_alone,
)

from checkout import copy_checkout, git_commit, run, succeed

ROUNDS = 20
SNAKEMAKE = ("snakemake", "--cores", "all")
HALF_A_LOCK = "'./dvc.lock'"  # "validation failed" or "is invalid"
ASIDE = "--temp"
EXPERIMENT = ("dvc", "exp", "run", "-S", "rl.learning_rate=0.0003")


@dataclass(frozen=True)
class Case:
    """A command to kill.

    Attributes:
        command: what is typed, before and after the kill.
        start: fixture with the checkout that it is typed in.
        end: fixture with the checkout that it must end like.
        program: which of the processes is struck.
        changes: about as many changes of files that process makes.
        seconds: about how long the command takes; 0 if kills by time are pointless.
        fast: rounds that the fast tests do.
    """

    command: tuple[str, ...]
    start: str
    end: str
    program: str
    changes: int
    seconds: float = 0
    fast: int = 1


CASES = {
    "snakemake": Case(SNAKEMAKE, "edited", "recorded", "snakemake", 250, seconds=10, fast=2),
    "step": Case(SNAKEMAKE, "edited", "recorded", "habits", 12, fast=1),
    "record": Case((*HABITS, "record"), "unrecorded", "recorded", "dvc", 330, fast=2),
    "repro": Case(("dvc", "repro"), "edited", "recorded", "dvc", 690, seconds=20, fast=1),
    "snakemake in repro": Case(("dvc", "repro"), "edited", "recorded", "snakemake", 120, fast=0),
    "pull": Case(("dvc", "pull"), "cloned", "ran", "dvc", 500, fast=1),
    "push": Case(("dvc", "push"), "unpushed", "ran", "dvc", 430, fast=0),
    "checkout": Case(("dvc", "checkout"), "gone_back", "ran", "dvc", 52, fast=0),
    "experiment": Case(EXPERIMENT, "ran", "recorded", "dvc", 2800, seconds=30, fast=0),
    "experiment aside": Case((*EXPERIMENT, ASIDE), "ran", "ran", "dvc", 2000, seconds=30, fast=0),
}
GAMES = [
    pytest.param(name, number, marks=[pytest.mark.slow] if number >= case.fast else [], id=f"{name}-{number}")
    for name, case in CASES.items()
    for number in range(ROUNDS)
]


@pytest.fixture(scope="session")
def cloned(ran: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone that has pulled nothing yet."""
    folder = copy_checkout(ran, tmp_path_factory.mktemp("cloned") / "checkout")
    for name in (*RESULTS, "scratch", "logs", ".snakemake", ".dvc/cache", ".dvc/tmp"):
        shutil.rmtree(folder / name)
    remote = ran.parent / "remote"
    succeed(folder, "dvc", "remote", "add", "--force", "--default", "shared", remote)
    return folder


@pytest.fixture(scope="session")
def unpushed(ran: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout whose remote, inside it, is empty."""
    folder = copy_checkout(ran, tmp_path_factory.mktemp("unpushed") / "checkout")
    succeed(folder, "dvc", "remote", "add", "--force", "--default", "shared", ".git/remote")
    return folder


@pytest.fixture(scope="session")
def gone_back(recorded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout whose git went back to the commit before the edit; its results did not yet."""
    folder = copy_checkout(recorded, tmp_path_factory.mktemp("gone_back") / "checkout")
    git_commit(folder)
    succeed(folder, "git", "checkout", "--quiet", "HEAD^")
    return folder


@pytest.mark.parametrize(("name", "number"), GAMES)
def test_killed_and_run_again(name: str, number: int, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    case, dice = CASES[name], random.Random(f"{name}/{number}")
    folder = copy_checkout(request.getfixturevalue(case.start), tmp_path / "checkout")
    group, by_time = dice.random() < 0.5, case.seconds > 0 and dice.random() < 0.5
    ledger = str(tmp_path / "ledger")
    if by_time:
        seconds = dice.uniform(1, case.seconds)
        print(f"kill after {seconds:.2f} s, {group=}")
        kill_after(
            folder,
            *case.command,
            seconds=seconds,
            group=group,
            QUICK_STEPS_SECONDS="0.3",
            QUICK_STEPS_LEDGER=ledger,
        )
    else:
        at = dice.randint(1, case.changes)
        change = kill_at_change(
            folder, *case.command, program=case.program, number=at, group=group, QUICK_STEPS_LEDGER=ledger
        )
        print(f"kill at change {at}, {group=}: {change}")
        assert change or at > case.changes / 2
    wait_until_alone(folder, seconds=10)
    if ASIDE in case.command:  # DVC stages the experiment's settings in the checkout before it copies them.
        succeed(folder, "git", "reset", "--quiet")
        succeed(folder, "git", "checkout", "--quiet", "params.yaml")

    again = run(folder, *case.command, QUICK_STEPS_LEDGER=ledger)
    if again.returncode and HALF_A_LOCK in again.stdout:  # DVC stops before anything of ours is asked.
        succeed(folder, *HABITS, "repair")
        again = run(folder, *case.command, QUICK_STEPS_LEDGER=ledger)
    assert again.returncode == 0, again.stdout[-3000:]
    assert_as_undisturbed(folder, request.getfixturevalue(case.end))
    # An experiment aside has a folder for one attempt, and a new one begins anew.
    assert ASIDE in case.command or units_done_twice(tmp_path / "ledger") == []


def units_done_twice(ledger: Path) -> list[str]:
    """Units of training that were done although their state had been saved."""
    lines = ledger.read_text().splitlines() if ledger.exists() else []
    return [line for line, times in Counter(lines).items() if times > 1]
