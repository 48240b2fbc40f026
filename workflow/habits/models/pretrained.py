"""Fetch a pretrained base model: from the Hugging Face Hub at a pinned commit, or from a folder.

Reads the Hub (through its own cache, so an interrupted download goes on) or the folder; writes weights,
configuration and tokenizer to the out folder. A gated model (Llama) needs its license accepted on the Hub
and ``HF_TOKEN`` in the environment.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from habits.artifacts import ArtifactError, replacing, stamp
from habits.sections import PretrainedModel

WANTED = ("*.json", "*.safetensors", "*.txt", "*.model", "*.jinja", "LICENSE*")


def fetch_pretrained(spec: PretrainedModel, out: Path) -> None:
    """Write the model that ``spec`` names to ``out``, stamped.

    Raises:
        ArtifactError: the model cannot be had, or is no Hugging Face folder with safetensors.
    """
    source = Path(spec.pretrained) if spec.is_folder else _download(spec)
    missing = [name for name in ("config.json", "tokenizer_config.json") if not (source / name).exists()]
    if missing or not list(source.glob("*.safetensors")):
        raise ArtifactError(
            f"{source} is no Hugging Face model with safetensors; missing: {missing or 'weights'}"
        )
    with replacing(out) as temporary:
        temporary.mkdir()
        for file in sorted({file for pattern in WANTED for file in source.glob(pattern)}):
            _link_or_copy(file.resolve(), temporary / file.name)
    stamp(out, settings={"model": spec.model_dump()}, parents=[], seed=None)


def _download(spec: PretrainedModel) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    name = f"{spec.pretrained} at {spec.revision}"
    print(f"[base_model] fetching {name} from the Hugging Face Hub", file=sys.stderr, flush=True)
    try:
        folder = snapshot_download(spec.pretrained, revision=spec.revision, allow_patterns=list(WANTED))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ArtifactError(
            f"cannot fetch {name}: {reason}. Is the Hub reachable from here? A gated model needs its license "
            f"accepted on https://huggingface.co/{spec.pretrained} and HF_TOKEN in the environment; or fetch "
            f"it elsewhere (`hf download {spec.pretrained} --revision {spec.revision}`) and name the folder "
            "in models.*.pretrained"
        ) from None
    return Path(folder)


def _link_or_copy(source: Path, target: Path) -> None:
    """A second name where the disk is the same, as nothing writes into a finished artifact."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
