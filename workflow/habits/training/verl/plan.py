"""Check every configuration that verl will be started with, before the first job is.

Reads and writes nothing that lasts. With a critic verl looks into the model's folder, and real models may
not have been fetched yet: it gets a folder with the configuration of some model and no weights.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from transformers import Qwen2Config

from habits.models.policy import save_tokenizer
from habits.models.tokenizer import build_tokenizer
from habits.params import Params, Rl
from habits.training.verl import config
from habits.training.verl.overrides import Job, verl_settings
from habits.training.verl.rl_overrides import rl_overrides
from habits.training.verl.sft_overrides import sft_overrides


def check_plan(params: Params) -> int:
    """Check the configurations of SFT and of all runs; returns how many different ones there are.

    Raises:
        VerlConfigError: verl would refuse one, or run otherwise than asked; the message names step and key.
    """
    runs: dict[str, str] = {}
    for run, line in params.runs.items():
        runs.setdefault(params.rl_settings(line).model_dump_json(), run.path)
    with tempfile.TemporaryDirectory() as folder:
        model = write_stand_in(Path(folder))
        with _named("sft"):
            job = _job(params, model, params.resources.sft.gpus)
            config.check_sft(config.compose("sft_trainer_engine", sft_overrides(params, job, steps=1)))
        for settings, run in runs.items():
            with _named(f"rl {run}"):
                job = _job(params, model, params.resources.rl.gpus)
                rl = Rl.model_validate_json(settings)
                config.check_rl(config.compose("ppo_trainer", rl_overrides(params, rl, job)))
    return 1 + len(runs)


def write_stand_in(folder: Path) -> Path:
    """A model's folder without the model."""
    Qwen2Config(architectures=["Qwen2ForCausalLM"]).save_pretrained(folder)
    save_tokenizer(build_tokenizer(), folder)
    return folder


def _job(params: Params, model: Path, gpus: int) -> Job:
    longest = verl_settings(params).max_prompt_tokens
    return Job("plan", *[model] * 5, seed=1, gpus=max(gpus, 1), prompt_tokens=longest)


@contextmanager
def _named(step: str) -> Iterator[None]:
    try:
        yield
    except config.VerlConfigError as error:
        raise config.VerlConfigError(f"{step}: {error}") from None
