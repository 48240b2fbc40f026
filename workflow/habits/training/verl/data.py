"""What verl reads: problems and traces as its trainers want them, and the tokenizer in a folder of its own.

Reads problems, traces and a checkpoint folder; writes parquet files and a tokenizer folder.
"""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
from transformers import PreTrainedTokenizerBase

from habits.artifacts import read_parquet, write_parquet
from habits.mistakes import ParamsError
from habits.models.policy import save_tokenizer
from habits.models.tokenizer import encode_prompt, encode_response, load_tokenizer
from habits.tasks.task import Problem, Task


def write_tokenizer(model: Path, folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of ``model``, also written to ``folder`` alone.

    verl loads tokenizers with ``AutoTokenizer``, which lets a model's type (qwen2) decide against a tiny
    model's own tokenizer; a folder without a model's configuration leaves it no choice.
    """
    tokenizer = load_tokenizer(model)
    save_tokenizer(tokenizer, folder)
    return tokenizer


def write_prompts(
    problems: list[Problem], task: Task, tokenizer: PreTrainedTokenizerBase, limit: int, path: Path
) -> None:
    """Problems in verl's schema; what a rollouts table says of each goes with it, as JSON.

    Raises:
        ParamsError: a prompt has more than ``limit`` tokens.
    """
    prompts = [task.render(problem, tokenizer) for problem in problems]
    longest = max(len(encode_prompt(tokenizer, prompt)) for prompt in prompts)
    if longest > limit:
        raise ParamsError(
            f"training.verl.max_prompt_tokens is {limit}, but a prompt of {path.stem} has {longest} tokens"
        )
    rows = [
        {
            "data_source": task.data_source,
            "prompt": [{"role": "user", "content": prompt}],
            "ability": task.name,
            "reward_model": {"style": "rule", "ground_truth": task.truth(problem)},
            "extra_info": {
                "index": index,
                "problem": json.dumps({"problem_id": problem.key, **task.columns(problem)}),
            },
        }
        for index, (problem, prompt) in enumerate(zip(problems, prompts, strict=True))
    ]
    write_parquet(pd.DataFrame(rows), path)


def trace_lengths(traces: Path, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Tokens of every trace, prompt and end-of-sequence included."""
    frame = read_parquet(traces, ["prompt", "response"])
    return [
        len(encode_prompt(tokenizer, prompt)) + len(encode_response(tokenizer, response))
        for prompt, response in zip(frame["prompt"], frame["response"], strict=True)
    ]
