"""Sample responses to problems and grade them: the same code in RL and in evaluation.

Its table is the rollouts parquet of the project (one row a sample; see docs/architecture.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import torch
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from habits.mistakes import ParamsError
from habits.models.generation import Samples, sample
from habits.models.tokenizer import decode_response, encode_prompt
from habits.params import RunId
from habits.tasks.task import Problem, Task, Verdict


@dataclass(frozen=True)
class Graded:
    """A batch of B graded rollouts; row i of each field belongs to ``problems[i]``."""

    task: Task
    problems: list[Problem]
    prompts: list[str]
    prompt_ids: list[list[int]]
    samples: Samples
    responses: list[str]
    verdicts: list[Verdict]

    @property
    def lengths(self) -> list[int]:
        """Response tokens of each row, EOS included."""
        return [len(ids) for ids in self.samples.responses]

    @property
    def mask_B_R(self) -> torch.Tensor:
        """1 at response tokens (EOS included), 0 after; R is the longest response."""
        width = self.samples.logprob_B_R.shape[1]
        return (torch.arange(width) < torch.tensor(self.lengths)[:, None]).float()


def roll_out(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    problems: list[Problem],
    *,
    task: Task,
    max_response_tokens: int,
    temperature: float,
    generator: torch.Generator,
    value_head: nn.Module | None = None,
) -> Graded:
    """One graded response to each problem.

    Raises:
        ParamsError: prompt and response do not fit into the model's positions.
    """
    prompts = [task.render(problem, tokenizer) for problem in problems]
    prompt_ids = [encode_prompt(tokenizer, prompt) for prompt in prompts]
    needed = max(map(len, prompt_ids)) + max_response_tokens
    if needed > model.config.max_position_embeddings:
        raise ParamsError(
            f"prompt + rl.max_response_tokens need {needed} positions, the model has "
            f"{model.config.max_position_embeddings}: raise max_positions or lower max_response_tokens"
        )
    samples = sample(
        model,
        prompt_ids,
        max_new_tokens=max_response_tokens,
        eos=tokenizer.eos_token_id,
        pad=tokenizer.pad_token_id,
        generator=generator,
        temperature=temperature,
        value_head=value_head,
    )
    responses = [decode_response(tokenizer, ids) for ids in samples.responses]
    verdicts = [
        task.grade(response, problem, stopped)
        for response, problem, stopped in zip(responses, problems, samples.stopped, strict=True)
    ]
    return Graded(task, problems, prompts, prompt_ids, samples, responses, verdicts)


def records(
    graded: Graded,
    run: RunId,
    *,
    checkpoint: str,
    rl_step: int,
    split: str,
    sample_ids: list[int],
    temperature: float,
) -> pd.DataFrame:
    """The rows of a rollouts parquet for one graded batch."""
    lengths = torch.tensor(graded.lengths)
    entropy = graded.samples.entropy_B_R.sum(1) / lengths
    columns = [graded.task.columns(problem) for problem in graded.problems]
    return pd.DataFrame(
        {
            "rollout_id": [
                f"{run.path}/{split}/step{rl_step}/{problem.key}/{sample_id}"
                for problem, sample_id in zip(graded.problems, sample_ids, strict=True)
            ],
            **run.model_dump(),
            "checkpoint": checkpoint,
            "rl_step": rl_step,
            "split": split,
            "problem_id": [problem.key for problem in graded.problems],
            "numbers": [shown["numbers"] for shown in columns],
            "target": [shown["target"] for shown in columns],
            "sample_id": sample_ids,
            "temperature": temperature,
            "prompt": graded.prompts,
            "response": graded.responses,
            "n_tokens": graded.lengths,
            "stopped": graded.samples.stopped,
            "format_ok": [verdict.parts.format_ok for verdict in graded.verdicts],
            "correct": [verdict.reason == "correct" for verdict in graded.verdicts],
            "reward": [verdict.score for verdict in graded.verdicts],
            "reason": [verdict.reason for verdict in graded.verdicts],
            "mean_entropy": entropy.tolist(),
            "logprob": graded.samples.logprob_B_R.sum(1).tolist(),
        }
    )
