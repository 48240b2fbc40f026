"""Ctrl-C, as a terminal sends it: all ends within seconds and readably, and the same command goes on."""

import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from strikes import alive_in, assert_as_undisturbed, output, start, wait_until_alone

from checkout import BIN, ROOT, copy_checkout, run

MAKE = ("make", "--assume-old=ready", "READY=ready", f"BIN={BIN}")


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(("snakemake", "--cores", "all"), id="snakemake"),
        pytest.param(MAKE, id="make", marks=pytest.mark.slow),
        pytest.param(("dvc", "repro"), id="dvc", marks=pytest.mark.slow),
    ],
)
def test_ctrl_c_ends_within_seconds_and_the_same_command_goes_on(
    command: tuple[str, ...], edited: Path, recorded: Path, tmp_path: Path
) -> None:
    folder = copy_checkout(edited, tmp_path / "checkout")
    shutil.copy(ROOT / "Makefile", folder)
    ledger = tmp_path / "ledger"
    running = start(folder, *command, QUICK_STEPS_SECONDS="4", QUICK_STEPS_LEDGER=str(ledger))
    while running.poll() is None and not ledger.exists():
        time.sleep(0.1)
    assert running.poll() is None, output(folder)
    os.killpg(running.pid, signal.SIGINT)
    wait_until_alone(folder, seconds=15)
    assert running.wait() != 0
    assert alive_in(folder) == []
    assert "Traceback" not in output(folder), output(folder)

    again = run(folder, *command, QUICK_STEPS_LEDGER=str(ledger))
    assert again.returncode == 0, again.stdout
    lines = ledger.read_text().splitlines()
    assert len(lines) == len(set(lines)), "it goes on from the state that was saved"
    assert_as_undisturbed(folder, recorded)
