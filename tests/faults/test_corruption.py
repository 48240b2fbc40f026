"""Broken results and broken objects of DVC's cache: named by the next run, healed by `habits repair`."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from strikes import HABITS, assert_as_undisturbed, broken_objects

from checkout import assert_nothing_to_do, copy_checkout, run, succeed

TABLE = "results/rollouts/plain/backtracking_verification/ppo/seed1.parquet"
CHECKPOINT = "results/rl/plain/backtracking_verification/ppo/seed1/checkpoints/step4/model.safetensors"
MANIFEST = "results/rl/MANIFEST.json"


def flip_a_bit(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def cut_off(content: bytes) -> bytes:
    return content[: len(content) // 2]


def empty(content: bytes) -> bytes:
    return b""


def damage(path: Path, how: Callable[[bytes], bytes], *, in_place: bool = True) -> None:
    """Change a file; in place, every hard link of it changes, the object in DVC's cache too."""
    content = how(path.read_bytes())
    path.chmod(0o644)
    if not in_place:
        path.unlink()
    path.write_bytes(content)


@pytest.fixture
def checkout(ran: Path, tmp_path: Path) -> Path:
    """A checkout with everything, and its remote."""
    folder = copy_checkout(ran, tmp_path / "checkout")
    copy_checkout(ran.parent / "remote", tmp_path / "remote")
    return folder


def repair(checkout: Path) -> str:
    return succeed(checkout, *HABITS, "repair")


def without_remote(checkout: Path) -> None:
    succeed(checkout, "dvc", "remote", "remove", "shared")


SLOW = pytest.mark.slow
KINDS = [flip_a_bit, pytest.param(cut_off, marks=SLOW), pytest.param(empty, marks=SLOW)]


@pytest.mark.parametrize("how", KINDS)
def test_a_broken_object_is_named_and_comes_back_from_the_remote(
    how: Callable[[bytes], bytes], checkout: Path, ran: Path
) -> None:
    damage(checkout / CHECKPOINT, how)
    damage(checkout / TABLE, how)
    refused = run(checkout, "snakemake", "--dry-run")
    assert refused.returncode != 0
    assert CHECKPOINT in refused.stdout and TABLE in refused.stdout and "`habits repair`" in refused.stdout
    assert "Traceback" not in refused.stdout
    assert broken_objects(checkout)
    assert f"Restored:\n  {CHECKPOINT}\n  {TABLE}\n" in repair(checkout)
    assert_as_undisturbed(checkout, ran)


@pytest.mark.slow
@pytest.mark.parametrize("how", KINDS)
def test_without_a_remote_the_rule_makes_it_again(
    how: Callable[[bytes], bytes], checkout: Path, ran: Path
) -> None:
    without_remote(checkout)
    damage(checkout / TABLE, how)
    told = repair(checkout)
    advice = re.search("Deleted; make it again with `(.+)`", told)
    assert advice and TABLE in advice[1], told
    assert "Rule: rollouts" in (said := succeed(checkout, *advice[1].split())) and "statistics" not in said
    succeed(checkout, "snakemake", "--cores", "all")
    assert_as_undisturbed(checkout, ran)


def test_a_result_with_a_sound_object_comes_back_from_the_cache(checkout: Path, ran: Path) -> None:
    without_remote(checkout)
    damage(checkout / TABLE, cut_off, in_place=False)
    (checkout / CHECKPOINT).unlink()
    told = repair(checkout)
    assert f"Restored:\n  {CHECKPOINT}\n  {TABLE}\n" in told and "Broken" not in told
    assert_as_undisturbed(checkout, ran)
    assert repair(checkout) == "All results are as recorded.\n"


@pytest.mark.slow
def test_damage_that_left_size_and_time_alone_is_found_by_repair(checkout: Path, ran: Path) -> None:
    before = (checkout / TABLE).stat()
    damage(checkout / TABLE, flip_a_bit)
    (checkout / TABLE).chmod(before.st_mode)
    os.utime(checkout / TABLE, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert_nothing_to_do(checkout)  # Neither tool looks into files whose size and time are as they know them.
    assert TABLE in repair(checkout)
    assert_as_undisturbed(checkout, ran)


@pytest.mark.slow
@pytest.mark.parametrize("how", [cut_off, empty])
def test_a_broken_manifest_is_named_and_restored(
    how: Callable[[bytes], bytes], checkout: Path, ran: Path
) -> None:
    damage(checkout / MANIFEST, how)
    refused = run(checkout, "snakemake", "--dry-run")
    assert f"{MANIFEST} is broken; `habits repair` restores it" in refused.stdout
    assert "Traceback" not in refused.stdout
    repair(checkout)
    assert_as_undisturbed(checkout, ran)


@pytest.mark.slow
def test_an_object_that_only_the_cache_has_broken_is_taken_in_again(checkout: Path, ran: Path) -> None:
    """As with caches of copies, or a folder's list of files."""
    without_remote(checkout)
    (listing, *_) = (checkout / ".dvc/cache/files/md5").glob("??/*.dir")
    damage(listing, cut_off)
    assert "Broken or unfinished" in repair(checkout)
    succeed(checkout, "snakemake", "--cores", "all")
    assert listing.exists()
    assert_as_undisturbed(checkout, ran)


@pytest.mark.slow
def test_a_file_that_no_step_wrote_stays(checkout: Path, ran: Path) -> None:
    notes = checkout / CHECKPOINT.replace("model.safetensors", "notes.txt")
    notes.write_text("mine")
    assert "notes.txt" in run(checkout, "snakemake", "--dry-run").stdout
    assert f"move it elsewhere and repair again:\n  {notes.relative_to(checkout)}" in repair(checkout)
    notes.rename(checkout / "notes.txt")
    assert_as_undisturbed(checkout, ran)


@pytest.mark.slow
def test_records_that_a_crash_of_the_machine_emptied_are_made_again(checkout: Path, ran: Path) -> None:
    """A power failure leaves files that were written last with no content."""
    for record in (checkout / ".snakemake/metadata").iterdir():
        damage(record, empty)
    for name in ("hashes.json", "exported.json"):
        damage(checkout / ".snakemake/habits" / name, cut_off)
    assert_as_undisturbed(checkout, ran)
