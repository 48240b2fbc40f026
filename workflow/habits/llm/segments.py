"""Where the response store is, and the names of its segments: recorded by DVC, or new.

DVC deletes what it did not record whenever it restores a folder (``dvc exp run``, ``dvc checkout --force``).
So new segments carry a name that ``.dvcignore`` hides; they get their lasting name just before DVC takes
them into its cache.
"""

from __future__ import annotations

from pathlib import Path

REPLIES = Path("data/replies")
NEW = ".new.parquet"
EXPERIMENTS = (".dvc", "tmp", "exps")


def workspace() -> Path:
    """The folder whose replies and budget count: the working directory, or the one that it experiments for.

    DVC runs queued experiments in copies of the project, which it deletes when they fail: what they pay for
    must not go with them, and they all spend one budget.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        if folder.parent.parts[-3:] == EXPERIMENTS:
            return folder.parents[3]
    return Path()


def segments(folder: Path) -> dict[str, Path]:
    """The segments of a store: content hash -> file."""
    return {path.name.split(".")[0]: path for path in sorted(folder.glob("*.parquet"))}


def admit(folder: Path) -> list[Path]:
    """Give new segments their lasting names; the folder is there afterwards.

    Returns:
        the files as they are called now.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.glob("*.journal")):
        from habits.llm.store import seal_dead  # Not before: a run that asked nobody need not import it.

        seal_dead(folder)
    return [path.replace(folder / path.name.replace(NEW, ".parquet")) for path in folder.glob(f"*{NEW}")]


def withdraw(files: list[Path]) -> None:
    """Take the lasting names back: DVC has not recorded them after all."""
    for path in files:
        path.replace(path.with_name(path.name.replace(".parquet", NEW)))
