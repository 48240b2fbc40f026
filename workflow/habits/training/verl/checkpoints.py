"""verl's checkpoints as Hugging Face folders, and no more of them on disk than resuming needs.

Reads ``global_step_{k}/`` folders, which verl writes with everything that resuming needs; writes
``checkpoints/step{k}/``. A folder of verl's is deleted when a later one is complete and exported.
"""

from __future__ import annotations

import json
import os
import shutil
from contextlib import ExitStack
from fnmatch import fnmatch
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from habits.artifacts import ArtifactError, replacing, write_text

INDEX, ADAPTER = "model.safetensors.index.json", "lora_train_meta.json"
TRACKER = "latest_checkpointed_iteration.txt"
LEFT_OUT = ("*.safetensors", "*.safetensors.index.json", "*.parquet", "provenance.json", "MANIFEST.json")


def latest_complete(folder: Path) -> int:
    """Step of verl's last complete checkpoint; 0 when there is none.

    verl writes the tracker after the checkpoint, but not atomically; half a number falls back to nothing.
    """
    tracker = folder / TRACKER
    text = tracker.read_text().strip() if tracker.exists() else ""
    return int(text) if text.isdigit() and (folder / f"global_step_{text}").is_dir() else 0


def complete(folder: Path) -> list[int]:
    """Steps of verl's complete checkpoints, oldest first; an unfinished one is newer than all of them."""
    steps = sorted(int(path.name.removeprefix("global_step_")) for path in folder.glob("global_step_*"))
    return [step for step in steps if step <= latest_complete(folder)]


def prune(folder: Path, before: int) -> None:
    """Delete verl's checkpoints of the steps before ``before``."""
    for step in complete(folder):
        if step < before:
            shutil.rmtree(folder / f"global_step_{step}")


def export(weights: Path, start: Path, out: Path, dtype: torch.dtype) -> None:
    """A Hugging Face folder with verl's ``weights`` and all else as in ``start``.

    Args:
        weights: verl's ``huggingface`` folder of a checkpoint (float32), with LoRA the adapters beside them.
        start: the folder that training started from.
        out: the folder to write.
        dtype: of the weights written; bfloat16 halves what a long run takes on disk.
    """
    files = sorted(weights.glob("*.safetensors"))
    if not files:
        raise ArtifactError(f"{weights} holds no weights; delete {weights.parents[1]} to go on from earlier")
    with replacing(out) as temporary, ExitStack() as stack:
        temporary.mkdir()
        copy_all_but_weights(start, temporary)
        trained = Weights(files, stack)
        # With LoRA verl writes a tied matrix twice; transformers would then take it for two.
        tied = json.loads((start / "config.json").read_text()).get("tie_word_embeddings", False)
        index: dict[str, str] = {}
        for file in files:
            names = [name for name in trained.names[file] if not (tied and name == "lm_head.weight")]
            kept = {name: trained[name].to(dtype).contiguous() for name in names}
            save_file(kept, temporary / file.name, metadata={"format": "pt"})
            index |= dict.fromkeys(kept, file.name)
        if len(files) > 1:
            write_text(json.dumps({"metadata": {}, "weight_map": index}), temporary / INDEX)


class Weights:
    """The weights of a checkpoint of verl's by the names that the model has, adapters merged into them.

    With LoRA, verl writes the names of peft: ``base_model.model.{layer}.base_layer.weight`` and, of rank r,
    ``base_model.model.{layer}.lora_A.default.weight`` [r, in] and ``lora_B`` [out, r]. The merged weight is
    W + alpha / r * B A (Hu et al., arXiv 2106.09685).

    Args:
        files: of one model, in safetensors.
        stack: keeps the files open.
    """

    def __init__(self, files: list[Path], stack: ExitStack) -> None:
        opened = {path: stack.enter_context(safe_open(path, framework="pt")) for path in files}
        self.sources = {name: file for file in opened.values() for name in file.keys()}  # noqa: SIM118
        self.written = {plain_name(name): name for name in self.sources if ".lora_" not in name}
        self.names = {
            path: [plain_name(name) for name in file.keys() if ".lora_" not in name]  # noqa: SIM118
            for path, file in opened.items()
        }
        self.adapter = files[0].parents[1] / ADAPTER

    def __getitem__(self, name: str) -> torch.Tensor:
        weight = self._tensor(self.written[name])
        down, up = (
            self.written[name].replace(".base_layer.", f".lora_{side}.default.") for side in ("A", "B")
        )
        if ".base_layer." not in self.written[name] or down not in self.sources:
            return weight
        settings = json.loads(self.adapter.read_text())
        scale = settings["lora_alpha"] / settings["r"]
        added: torch.Tensor = scale * self._tensor(up).float() @ self._tensor(down).float()
        return weight.float() + added

    def _tensor(self, name: str) -> torch.Tensor:
        tensor: torch.Tensor = self.sources[name].get_tensor(name)
        return tensor


def plain_name(name: str) -> str:
    """The name of a weight without what peft adds."""
    return name.removeprefix("base_model.model.").replace(".base_layer.", ".")


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
