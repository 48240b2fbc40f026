"""verl's checkpoints as Hugging Face folders, and no more of them on disk than resuming needs.

Reads ``global_step_{k}/`` folders, which verl writes with everything that resuming needs; writes
``checkpoints/step{k}/``. A folder of verl's is deleted when a later one is complete and exported.
"""

from __future__ import annotations

import os
import shutil
from fnmatch import fnmatch
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from habits.artifacts import ArtifactError, replacing

TRACKER = "latest_checkpointed_iteration.txt"
LEFT_OUT = ("*.safetensors", "*.safetensors.index.json", "*.parquet", "provenance.json", "MANIFEST.json")


def latest_complete(folder: Path) -> int:
    """Step of verl's last complete checkpoint; 0 when there is none.

    verl writes the tracker after the checkpoint, but not atomically; half a number falls back to nothing.
    """
    tracker = folder / TRACKER
    text = tracker.read_text().strip() if tracker.exists() else ""
    return int(text) if text.isdigit() and (folder / f"global_step_{text}").is_dir() else 0


def prune(folder: Path, keep: int) -> None:
    """Delete verl's checkpoints other than that of step ``keep``."""
    for path in folder.glob("global_step_*"):
        if path.name != f"global_step_{keep}":
            shutil.rmtree(path)


def export(weights: Path, start: Path, out: Path, dtype: torch.dtype) -> None:
    """A Hugging Face folder with verl's ``weights`` and all else as in ``start``.

    Args:
        weights: verl's ``huggingface`` folder of a checkpoint (float32).
        start: the folder that training started from.
        out: the folder to write.
        dtype: of the weights written; bfloat16 halves what a long run takes on disk.
    """
    files = sorted(weights.glob("*.safetensors"))
    if not files:
        raise ArtifactError(f"{weights} holds no weights; delete {weights.parents[1]} to go on from earlier")
    with replacing(out) as temporary:
        temporary.mkdir()
        copy_all_but_weights(start, temporary)
        for file in files:
            with safe_open(file, framework="pt") as tensors:
                kept = {name: tensors.get_tensor(name).to(dtype).contiguous() for name in tensors.keys()}  # noqa: SIM118
            save_file(kept, temporary / file.name, metadata={"format": "pt"})
        index = weights / "model.safetensors.index.json"
        if index.exists():
            shutil.copyfile(index, temporary / index.name)


def link_folder(source: Path, out: Path) -> None:
    """A second name for every file of ``source``, or a copy where the disk is another."""
    with replacing(out) as temporary:
        shutil.copytree(source, temporary, copy_function=link_or_copy)


def copy_all_but_weights(source: Path, out: Path) -> None:
    """Configuration and tokenizer."""
    for file in sorted(source.iterdir()):
        if file.is_file() and file.name[0] != "." and not any(fnmatch(file.name, kind) for kind in LEFT_OUT):
            shutil.copyfile(file, out / file.name)


def link_or_copy(source: str, target: str) -> str:
    """For `shutil.copytree`; finished artifacts are never written into."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
    return target
