"""A disk that runs full while something is written: told by name, nothing half-written, all right afterwards.

Each test has a small file system of its own; where mounting one is not permitted, they are skipped.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import torch
from strikes import HABITS, assert_as_undisturbed

from checkout import copy_checkout, run, succeed
from habits.artifacts import ArtifactError, read_parquet, write_parquet
from habits.llm.requests import Reply, Request, Usage
from habits.llm.store import Record, ReplyStore
from habits.models.optimization import load_state, save_state

MEGABYTE = 2**20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """An empty file system of 64 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "none", place], capture_output=True, text=True
    )
    if mount.returncode:
        pytest.skip(f"no small file system to fill, as mounting is not permitted: {mount.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def fill(disk: Path, leave: int) -> Path:
    """Fill a disk up to some bytes; removing the returned file frees it."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(MEGABYTE))
        except OSError:
            file.truncate(file.tell() - leave)
    return filler


def table(rows: int) -> pd.DataFrame:
    return pd.DataFrame({"x": torch.rand(rows, generator=torch.Generator().manual_seed(1)).numpy()})


def named(disk: Path) -> str:
    return rf"The disk of {disk} is full \(\d\.\d MB free\)\. Free some space there and run again"


def test_a_table_is_written_whole_or_not_at_all(disk: Path, tmp_path: Path) -> None:
    path = disk / "results/table.parquet"
    write_parquet(table(10), path)
    filler = fill(disk, leave=200_000)
    with pytest.raises(ArtifactError, match=named(disk)):
        write_parquet(table(MEGABYTE), path)
    assert read_parquet(path).equals(table(10)), "the old one stays"
    assert [file.name for file in path.parent.iterdir()] == ["table.parquet"]
    filler.unlink()
    write_parquet(table(MEGABYTE), path)
    write_parquet(table(MEGABYTE), tmp_path / "elsewhere.parquet")
    assert path.read_bytes() == (tmp_path / "elsewhere.parquet").read_bytes()


def test_a_checkpoint_is_saved_whole_or_not_at_all(disk: Path) -> None:
    """torch has an error of its own for a full disk."""
    scratch = disk / "scratch/rl"
    save_state(scratch, {"settings": "s", "weights": torch.zeros(10)})
    filler = fill(disk, leave=200_000)
    later = {"settings": "s", "weights": torch.rand(MEGABYTE)}
    with pytest.raises(ArtifactError, match=named(disk)):
        save_state(scratch, later)
    state = load_state(scratch, "s")
    assert state is not None and len(state["weights"]) == 10
    assert [file.name for file in scratch.iterdir()] == ["trainer.pt"]
    filler.unlink()
    save_state(scratch, later)
    state = load_state(scratch, "s")
    assert state is not None and torch.equal(state["weights"], later["weights"])


def paid(number: int, text: str) -> Record:
    request = Request("openai", "gpt", f"question {number}", max_tokens=10)
    reply = Reply(text, "stop", Usage(1, 0, 0, 1), "id", "gpt")
    return Record(request, reply, f"payment {number}", 1.0, "rule", 0.1, False)


def test_a_paid_reply_is_logged_whole_or_not_at_all(disk: Path) -> None:
    folder = disk / "data/replies"
    with ReplyStore(folder) as store:
        store.add([paid(1, "first")])
        filler = fill(disk, leave=8192)
        with pytest.raises(ArtifactError, match=named(disk)):
            store.add([paid(2, "x" * 100_000)])
        filler.unlink()
        store.add([paid(3, "third")])
    with ReplyStore(folder) as store:
        found = store.get([paid(number, "").request.key for number in (1, 2, 3)])
    assert sorted(reply.text for reply in found.values()) == ["first", "third"]
    assert [path.suffix for path in folder.iterdir()] == [".parquet"]


def test_dvc_takes_results_in_once_there_is_space(disk: Path, unrecorded: Path, recorded: Path) -> None:
    folder = copy_checkout(unrecorded, disk / "checkout")
    filler = fill(disk, leave=0)
    failed = run(folder, *HABITS, "record")
    assert failed.returncode == 2
    assert f"The disk of {disk} is full" in failed.stdout and "Traceback" not in failed.stdout
    filler.unlink()
    succeed(folder, *HABITS, "record")
    assert_as_undisturbed(folder, recorded)


SOME_BYTES = [pytest.param(size, marks=pytest.mark.slow) for size in (20_000, 60_000, 120_000, 240_000)]


@pytest.mark.parametrize("leave", [0, *SOME_BYTES])
def test_the_workflow_goes_on_once_there_is_space(
    leave: int, disk: Path, edited: Path, recorded: Path
) -> None:
    folder = copy_checkout(edited, disk / "checkout")
    filler = fill(disk, leave)
    failed = run(folder, "snakemake", "--cores", "all")
    assert failed.returncode != 0
    assert f"The disk of {disk} is full" in failed.stdout or "No space left on device" in failed.stdout
    filler.unlink()
    succeed(folder, "snakemake", "--cores", "all")
    assert_as_undisturbed(folder, recorded)
