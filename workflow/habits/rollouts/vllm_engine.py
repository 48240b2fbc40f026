"""Evaluation rollouts with vLLM, in the GPU environment and in shards, so that a killed job goes on.

Prompts are encoded here as in training and given to vLLM as token ids. Reads a checkpoint; works under
``scratch/``; returns what the sampler of the default environment returns.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import torch

from habits.artifacts import hash_json, hash_path, read_parquet, write_parquet
from habits.models.generation import Samples
from habits.models.tokenizer import decode_response, encode_prompt, load_tokenizer
from habits.params import Params
from habits.rollouts.vllm_worker import Request
from habits.tasks.task import Problem, Task
from habits.training import devices
from habits.training.interpreter import dies_with_parent, gpu_python, package_environment
from habits.training.roll_out import Graded

SHOWN = 30  # lines of vLLM's output that an error repeats


class VllmFailedError(RuntimeError):
    """vLLM ended with an error; the message has the end of its output and the log's name."""


def roll_out_with_vllm(
    params: Params,
    checkpoint: Path,
    problems: list[Problem],
    *,
    task: Task,
    max_response_tokens: int,
    temperature: float,
    seed: int,
    gpus: int,
    scratch: Path,
) -> Graded:
    """One graded response to each of ``problems``.

    vLLM tells the log-probability of what it sampled, not the entropy; the entropy that is returned is the
    usual estimate from it, minus the log-probability (exact in the mean at temperature 1).

    Args:
        params: the settings in effect.
        checkpoint: model folder.
        problems: one row each; a problem may stand several times.
        task: renders the prompts and grades the responses.
        max_response_tokens: longest response.
        temperature: 0 takes the most likely token.
        seed: every row's seed follows from it.
        gpus: over which the model is spread (tensor parallel).
        scratch: work in progress; deleted when it is done.

    Raises:
        VllmFailedError: the engine failed.
    """
    tokenizer = load_tokenizer(checkpoint)
    prompts = [task.render(problem, tokenizer) for problem in problems]
    prompt_ids = [encode_prompt(tokenizer, prompt) for prompt in prompts]
    request = Request(
        model=str(checkpoint.absolute()),
        prompts=str(scratch / "prompts.parquet"),
        shards=str(scratch / "shards"),
        shard_size=params.rollouts.batch_size,
        max_tokens=max_response_tokens,
        max_model_len=max(map(len, prompt_ids)) + max_response_tokens,
        temperature=temperature,
        eos=tokenizer.eos_token_id,
        tensor_parallel=max(gpus, 1),
        eager=gpus == 0,
        dtype=params.runtime.dtype,
        seed=seed % 2**31,
    )
    asked = pd.DataFrame(
        {
            "row": range(len(problems)),
            "prompt_ids": prompt_ids,
            "seed": [int(hash_json([seed, row])[:7], base=16) for row in range(len(problems))],
        }
    )
    _begin(request, asked, checkpoint, scratch)
    with devices.held(gpus) as shown:
        _run(scratch, shown)
    found = pd.concat([read_parquet(path) for path in sorted((scratch / "shards").glob("shard*.parquet"))])
    responses = [[int(token) for token in ids] for ids in found["response_ids"]]
    logprob = torch.tensor(found["logprob"].tolist())[:, None]
    stopped = [ids[-1] == tokenizer.eos_token_id for ids in responses]
    samples = Samples(responses, stopped, logprob, -logprob, torch.zeros_like(logprob))
    texts = [decode_response(tokenizer, ids) for ids in responses]
    verdicts = [
        task.grade(text, problem, done) for text, problem, done in zip(texts, problems, stopped, strict=True)
    ]
    shutil.rmtree(scratch)
    return Graded(task, problems, prompts, prompt_ids, samples, texts, verdicts)


def _begin(request: Request, asked: pd.DataFrame, checkpoint: Path, scratch: Path) -> None:
    """Write the request; shards of another one are thrown away."""
    key = hash_json([vars(request), hash_path(checkpoint), asked["seed"].tolist()])
    note = scratch / "key"
    if scratch.exists() and (not note.exists() or note.read_text() != key):
        shutil.rmtree(scratch)
    (scratch / "shards").mkdir(parents=True, exist_ok=True)
    write_parquet(asked, Path(request.prompts))
    request.write(scratch / "request.json")
    note.write_text(key)


def _run(scratch: Path, shown: dict[str, str]) -> None:
    """Run the worker, which sees the GPUs in ``shown``, until all shards are there."""
    log = scratch / "vllm.log"
    command = [gpu_python(), "-m", "habits.rollouts.vllm_worker", str(scratch / "request.json")]
    with log.open("ab") as file:
        done = subprocess.run(
            command,
            env=package_environment() | shown,
            stdout=file,
            stderr=subprocess.STDOUT,
            preexec_fn=dies_with_parent,
        )
    if done.returncode:
        said = log.read_text(errors="replace").splitlines()[-SHOWN:]
        print("\n".join(said), file=sys.stderr)
        raise VllmFailedError(f"vLLM ended with code {done.returncode}; all it said is in {log}")
