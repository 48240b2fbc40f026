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
from habits.params import Params, RunId
from habits.tasks.task import task_of
from habits.training.verl import config
from habits.training.verl.overrides import Job, verl_settings
from habits.training.verl.rl_overrides import rl_overrides
from habits.training.verl.sft_overrides import sft_overrides


def check_plan(params: Params) -> int:
    """Check the configurations of SFT and of all runs; returns how many different ones there are.

    Raises:
        VerlConfigError: verl would refuse one, or run otherwise than asked; the message names step and key.
    """
    runs: dict[str, RunId] = {}
    for run, line in params.runs.items():
        runs.setdefault(params.rl_settings(line).model_dump_json() + params.task_of(line), run)
    with tempfile.TemporaryDirectory() as folder:
        model = write_stand_in(Path(folder))
        with _named("sft"):
            longest = verl_settings(params).max_prompt_tokens
            job = _job(model, params.resources.sft.gpus, longest)
            config.check_sft(config.compose("sft_trainer_engine", sft_overrides(params, job, steps=1)))
        for run in runs.values():
            with _named(f"rl {run.path}"):
                line = params.runs[run]
                longest = params.prompt_tokens(params.task_of(line), verl_settings(params))
                job = _job(model, params.resources.rl.gpus, longest)
                reward = task_of(params, run.model).reward
                asked = rl_overrides(params, params.rl_settings(line), reward, job)
                config.check_rl(config.compose("ppo_trainer", asked))
    return 1 + len(runs)


def write_stand_in(folder: Path) -> Path:
    """A model's folder without the model."""
    Qwen2Config(architectures=["Qwen2ForCausalLM"]).save_pretrained(folder)
    save_tokenizer(build_tokenizer(), folder)
    return folder


def _job(model: Path, gpus: int, longest: int) -> Job:
    return Job("plan", model, model, model, model, model, 1, max(gpus, 1), longest)


@contextmanager
def _named(step: str) -> Iterator[None]:
    try:
        yield
    except config.VerlConfigError as error:
        raise config.VerlConfigError(f"{step}: {error}") from None
