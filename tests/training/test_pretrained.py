"""Fetching a pretrained model: complete, as it is, and refusals that say what to do."""

from pathlib import Path

import pytest

from habits.artifacts import ArtifactError, hash_path
from habits.models.policy import Policy, load_policy, save_checkpoint
from habits.models.pretrained import fetch_pretrained
from habits.models.tokenizer import build_tokenizer
from habits.params import Runtime
from habits.sections import PretrainedModel

RUNTIME = Runtime(threads=1, micro_batch_tokens=1000, dtype="float32", device="cpu")


def from_folder(path: Path) -> PretrainedModel:
    return PretrainedModel(pretrained=str(path), revision=None, prompt_template="paper_base")


def test_a_folder_becomes_a_base_model(tiny_policy: Policy, tmp_path: Path) -> None:
    save_checkpoint(tiny_policy, build_tokenizer(), tmp_path / "given")
    (tmp_path / "given" / "training.bin").write_text("of no use here")
    fetch_pretrained(from_folder(tmp_path / "given"), tmp_path / "out")
    assert load_policy(tmp_path / "out", RUNTIME)[0].model.config.model_type == "qwen2"
    assert not (tmp_path / "out" / "training.bin").exists()
    before = hash_path(tmp_path / "out")
    fetch_pretrained(from_folder(tmp_path / "given"), tmp_path / "out")
    assert hash_path(tmp_path / "out") == before


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ArtifactError, match=r"no Hugging Face model.*config.json"):
        fetch_pretrained(from_folder(tmp_path / "empty"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_without_a_network_the_message_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    spec = PretrainedModel(pretrained="Qwen/none", revision="0" * 40, prompt_template="paper_base")
    with pytest.raises(ArtifactError, match=r"cannot fetch Qwen/none at 0000.*hf download"):
        fetch_pretrained(spec, tmp_path / "out")
