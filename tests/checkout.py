"""A checkout of this repository in a folder of a test, with quick steps, and what users type in it."""

import json
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from habits import jobs
from habits.cli import PRESETS

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
CHECKOUT = ("Snakefile", "dvc.yaml", ".dvcignore", ".gitignore", "profiles", "workflow", "envs")


def environment(folder: Path, **extra: str) -> dict[str, str]:
    """What a user has who activated the environment of this checkout."""
    kept = {k: v for k, v in os.environ.items() if k not in {jobs.WORKFLOW_PID, jobs.PARAMS_FILE}}
    path = os.pathsep.join([str(BIN), kept["PATH"]])
    return kept | {"PATH": path, "PYTHONPATH": str(folder / "workflow"), "DVC_NO_ANALYTICS": "1"} | extra


def run(folder: Path, *words: str | Path, **extra: str) -> subprocess.CompletedProcess[str]:
    """A command in a checkout; its console output, both streams, is in ``stdout``."""
    return subprocess.run(
        [str(word) for word in words],
        cwd=folder,
        env=environment(folder, **extra),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def succeed(folder: Path, *words: str | Path, **extra: str) -> str:
    done = run(folder, *words, **extra)
    assert done.returncode == 0, f"{' '.join(map(str, words))}\n{done.stdout[-5000:]}"
    return done.stdout


def planned(folder: Path, *options: str | Path) -> dict[str, int]:
    """Jobs that Snakemake would run: rule -> count."""
    text = succeed(folder, "snakemake", "--dry-run", *options)
    if "Nothing to be done" in text:
        return {}
    table = text.split("Job stats:\n")[1].split("\n\n")[0]
    counts = dict(re.findall(r"^(\w+) +(\d+)$", table, flags=re.MULTILINE))
    return {rule: int(count) for rule, count in counts.items() if rule not in {"total", "all", "all_figures"}}


def changed_phases(folder: Path) -> set[str]:
    """Phases that DVC would run."""
    status = json.loads(succeed(folder, "dvc", "status", "--json"))
    return {name for name, changes in status.items() if changes}


def assert_nothing_to_do(folder: Path) -> None:
    assert planned(folder) == {}
    assert changed_phases(folder) == set()


def edit(folder: Path, key: str, value: object) -> None:
    settings = yaml.safe_load((folder / "params.yaml").read_text())
    section, name = key.split(".")
    settings[section][name] = value
    (folder / "params.yaml").write_text(yaml.safe_dump(settings))


def write_checkout(folder: Path) -> None:
    """A checkout whose steps take no time (tests/quick_steps.py) and whose matrix is small."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in CHECKOUT:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, folder / name)
    shutil.copytree(
        ROOT / ".dvc", folder / ".dvc", ignore=shutil.ignore_patterns("cache", "tmp", "config.local")
    )
    shutil.copy(ROOT / "tests/quick_steps.py", folder / "workflow/bin/habits")
    (folder / "workflow/bin/habits").chmod(0o755)
    settings = yaml.safe_load((PRESETS / "smoke.yaml").read_text())
    settings["matrix"] = [
        {"model": "plain", "priming": "none", "seeds": [1]},
        {"model": "searching", "priming": "none", "seeds": [1]},
        {"model": "plain", "priming": "backtracking_verification", "seeds": [1]},
    ]
    (folder / "params.yaml").write_text(yaml.safe_dump(settings))


def git_init(folder: Path) -> None:
    succeed(folder, "git", "init", "--quiet")
    git_identity(folder)


def git_identity(folder: Path) -> None:
    succeed(folder, "git", "config", "user.name", "test")
    succeed(folder, "git", "config", "user.email", "test@example.org")


def git_commit(folder: Path) -> None:
    succeed(folder, "git", "add", "--all")
    succeed(folder, "git", "commit", "--quiet", "--message", "state")


def copy_checkout(folder: Path, target: Path) -> Path:
    """A copy of a checkout with its hard links and times, as it is now."""
    subprocess.run(["cp", "--archive", str(folder), str(target)], check=True)
    return target


def clone(original: Path, folder: Path, *targets: str) -> Path:
    """A fresh clone that pulled ``targets`` (default: everything), its mtimes thrown about."""
    succeed(original, "git", "clone", "--quiet", original, folder)
    git_identity(folder)
    succeed(folder, "dvc", "pull", "--quiet", *targets)
    dice = random.Random(7)
    for path in sorted(
        path for root in ("data", "results", "reports") for path in (folder / root).rglob("*")
    ):
        os.utime(path, (time := dice.uniform(1e9, 1.7e9), time))
    return folder


def flip(path: Path) -> None:
    """Change one byte, in a file of its own: never in DVC's cache."""
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.unlink()
    path.write_bytes(content)
