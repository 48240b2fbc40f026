"""Two runs in one folder: the second says who is there and does no harm; both ends are right."""

import re
import time
from pathlib import Path

import pytest
from strikes import HABITS, assert_as_undisturbed, output, start

from checkout import copy_checkout, run

SNAKEMAKE = ("snakemake", "--cores", "all")
REPRO = ("dvc", "repro")
BUSY = r"Another run is at work in this folder: process \d+ \(snakemake .*\)"
DVC_BUSY = r"is busy, it is being blocked by:\s+\(PID \d+\): dvc repro"


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        pytest.param(SNAKEMAKE, SNAKEMAKE, BUSY, id="snakemake+snakemake"),
        pytest.param(SNAKEMAKE, REPRO, BUSY, id="snakemake+dvc", marks=pytest.mark.slow),
        pytest.param(REPRO, SNAKEMAKE, BUSY, id="dvc+snakemake", marks=pytest.mark.slow),
        pytest.param(REPRO, REPRO, DVC_BUSY, id="dvc+dvc", marks=pytest.mark.slow),
        pytest.param(SNAKEMAKE, (*HABITS, "record"), BUSY.lower()[8:], id="snakemake+record"),
    ],
)
def test_the_second_run_is_refused_and_the_first_goes_on(
    first: tuple[str, ...],
    second: tuple[str, ...],
    told: str,
    edited: Path,
    recorded: Path,
    tmp_path: Path,
) -> None:
    folder = copy_checkout(edited, tmp_path / "checkout")
    running = start(folder, *first, QUICK_STEPS_SECONDS="3")
    while running.poll() is None and not any((folder / ".snakemake/incomplete").glob("*")):
        time.sleep(0.1)
    refused = run(folder, *second)
    assert running.poll() is None
    assert refused.returncode != 0
    assert re.search(told, refused.stdout), refused.stdout
    assert "Traceback" not in refused.stdout
    assert running.wait(300) == 0, output(folder)
    assert_as_undisturbed(folder, recorded)
