"""Reinforcement learning on one machine: PPO, GRPO and REINFORCE++ as one loop.

    for every step: sample responses -> grade -> advantages -> a few optimizer steps

Reads the start checkpoint (an SFT model, or a base model) and the training problems. Writes
``checkpoints/step{k}/`` (Hugging Face folders), ``metrics.parquet`` (one row a step),
``timing.parquet`` and ``rollouts.parquet`` (every training rollout).

Work in progress lives under ``scratch/``: killed at any moment, the next run goes on from the last
checkpoint and ends with the same numbers. Randomness of step k depends on seed and k alone.
"""

from __future__ import annotations

import copy
import random
import shutil
import time
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from habits.artifacts import hash_json, hash_path, replacing, stamp, write_parquet
from habits.models.optimization import DivergedError, Optimizers, load_state, save_state, scratch_folder
from habits.models.policy import (
    Policy,
    Sequences,
    TokenScores,
    configure,
    load_policy,
    micro_batches,
    save_checkpoint,
)
from habits.params import Params, Rl, RunId
from habits.progress import Progress
from habits.tasks.task import Problem, Task, task_of
from habits.training import objective
from habits.training.guards import Watch
from habits.training.roll_out import Graded, records, roll_out

ADAM_BETAS = (0.9, 0.95)


def run_rl(params: Params, run: str, start: Path, problems: Path, out: Path) -> None:
    """Train ``run`` of the matrix from checkpoint ``start`` and write everything to ``out``."""
    run_id, line = params.run(run)
    rl, task = params.rl_settings(line), task_of(params, run_id.model)
    train = problems / "train.parquet"
    configure(params.runtime, run_id.seed)
    settings = {
        "run": run_id.model_dump(),
        "rl": rl.model_dump(),
        "reward": task.reward.model_dump(),
        "prompt_template": task.template,
        "runtime": params.runtime.model_dump(),
    }
    key = hash_json({**settings, "start": hash_path(start), "problems": hash_path(train)})
    policy, tokenizer = load_policy(start, params.runtime)
    trainer = Trainer(
        run_id=run_id,
        rl=rl,
        watch=Watch(f"rl {run}", params.training.guards),
        task=task,
        micro_batch_tokens=params.runtime.micro_batch_tokens,
        policy=policy,
        tokenizer=tokenizer,
        problems=task.read(train),
        scratch=scratch_folder(out),
        settings=key,
    )
    trainer.train()
    trainer.publish(out)
    stamp(out, settings=settings, parents=[start, train], seed=run_id.seed)
    shutil.rmtree(trainer.scratch)


@dataclass
class Trainer:
    """State of one RL run; `train` is the algorithm."""

    run_id: RunId
    rl: Rl
    watch: Watch
    task: Task
    micro_batch_tokens: int
    policy: Policy
    tokenizer: PreTrainedTokenizerBase
    problems: list[Problem]
    scratch: Path
    settings: str
    step: int = 0
    metrics: list[dict[str, float]] = field(default_factory=list)
    timing: list[dict[str, float]] = field(default_factory=list)
    unsaved: list[pd.DataFrame] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.policy.entropy_gradient = self.rl.entropy_coeff > 0
        self.sampler = copy.deepcopy(self.policy).to(self.policy.dtype).eval().requires_grad_(False).model
        uses_reference = self.rl.kl_coef > 0 and (self.rl.kl_in_reward or self.rl.use_kl_loss)
        self.reference = copy.deepcopy(self.policy).requires_grad_(False) if uses_reference else None
        self.value_head = nn.Linear(self.policy.model.config.hidden_size, 1).to(self.policy.model.device)
        nn.init.zeros_(self.value_head.weight)
        nn.init.zeros_(self.value_head.bias)
        self.actor = Optimizers([self.policy], "adamw", self.rl.learning_rate, ADAM_BETAS)
        self.critic = Optimizers([self.value_head], "adamw", self.rl.critic_learning_rate, ADAM_BETAS)

    def train(self) -> None:
        """Run all steps, from the last saved one on."""
        self.resume()
        progress = Progress(f"rl {self.run_id.path}", self.rl.steps, self.step)
        while self.step < self.rl.steps:
            self.step += 1
            started = time.monotonic()
            generator = torch.Generator().manual_seed(self.run_id.seed * 1_000_003 + self.step)
            graded, groups = self.sample(generator)
            mask = graded.mask_B_R
            reference = None if self.reference is None else self.reference_logprob(graded)
            rewards = [verdict.score for verdict in graded.verdicts]
            reward_B_R = objective.token_rewards(
                rewards, mask, graded.samples.logprob_B_R, reference, self.rl
            )
            targets = objective.targets(reward_B_R, graded.samples.value_B_R, mask, groups, self.rl)
            update = self.update(graded, targets, reference, generator)
            self.record(graded, reference, update, time.monotonic() - started)
            self.watch.check(self.metrics[-1], graded.responses)
            progress.update(
                self.step, accuracy=self.metrics[-1]["accuracy"], tokens=self.metrics[-1]["mean_tokens"]
            )
            if self.step % self.rl.save_every == 0:
                self.save()

    def sample(self, generator: torch.Generator) -> tuple[Graded, list[str]]:
        """Grade ``group_size`` responses to each of this step's prompts; also names each row's group."""
        for target, source in zip(self.sampler.parameters(), self.policy.model.parameters(), strict=True):
            target.copy_(source)
        problems = self.next_problems()
        rows = [problem for problem in problems for _ in range(self.rl.group_size)]
        graded = roll_out(
            self.sampler,
            self.tokenizer,
            rows,
            task=self.task,
            max_response_tokens=self.rl.max_response_tokens,
            temperature=self.rl.temperature,
            generator=generator,
            value_head=self.value_head if self.rl.algorithm == "ppo" else None,
        )
        return graded, [str(i) for i in range(len(problems)) for _ in range(self.rl.group_size)]

    def next_problems(self) -> list[Problem]:
        """This step's problems: passes over all training problems, each pass in its own order."""
        count, first = self.rl.prompts_per_step, (self.step - 1) * self.rl.prompts_per_step
        size, seed = len(self.problems), self.run_id.seed
        return [
            self.problems[pass_order(size, seed, i // size)[i % size]] for i in range(first, first + count)
        ]

    @torch.no_grad()
    def reference_logprob(self, graded: Graded) -> torch.Tensor:
        """Log-probability ``[B, R]`` of the responses under the policy that RL started from."""
        assert self.reference is not None
        result = torch.zeros_like(graded.mask_B_R)
        for rows in self.micro_batches(graded, list(range(len(graded.problems)))):
            scores = self.reference.score(self.sequences(graded, rows))
            result[rows] = spread(scores.logprob_N.cpu(), graded.mask_B_R[rows])
        return result

    def update(
        self,
        graded: Graded,
        targets: objective.Targets,
        reference: torch.Tensor | None,
        generator: torch.Generator,
    ) -> dict[str, float]:
        """Optimizer steps on one batch of rollouts; returns token-weighted means of the step's metrics."""
        totals = dict.fromkeys(("policy_loss", "value_loss", "entropy", "clip_fraction", "grad_norm"), 0.0)
        updates = self.rl.epochs * self.rl.mini_batches
        for _ in range(self.rl.epochs):
            order = torch.randperm(len(graded.problems), generator=generator).tolist()
            for part in range(self.rl.mini_batches):
                mini_batch = order[part :: self.rl.mini_batches]
                losses = objective.Losses(self.rl, graded.mask_B_R[mini_batch])
                for rows in self.micro_batches(graded, mini_batch):
                    for name, value in self.backward(graded, targets, reference, losses, rows).items():
                        totals[name] += value / updates
                norm = self.actor.step(self.rl.grad_clip)
                if not torch.isfinite(torch.tensor(norm)):
                    raise DivergedError(
                        f"rl {self.run_id.path}: gradient {norm} at step {self.step}; lower rl.learning_rate"
                    )
                totals["grad_norm"] += norm / updates
                if self.rl.algorithm == "ppo":
                    self.critic.step(self.rl.grad_clip)
        return totals

    def backward(
        self,
        graded: Graded,
        targets: objective.Targets,
        reference: torch.Tensor | None,
        losses: objective.Losses,
        rows: list[int],
    ) -> dict[str, float]:
        """Back-propagate the losses of one micro-batch; returns its share of the mini-batch's metrics."""
        mask = graded.mask_B_R[rows]
        width = int(mask.sum(1).max())
        mask = mask[:, :width]
        scores: TokenScores = self.policy.score(self.sequences(graded, rows))
        new = spread(scores.logprob_N.cpu(), mask)
        old = graded.samples.logprob_B_R[rows, :width]
        policy_loss, clipped = losses.policy(old, new, targets.advantage_B_R[rows, :width], mask)
        entropy = losses.mean(spread(scores.entropy_N.cpu(), mask), mask)
        loss = policy_loss - self.rl.entropy_coeff * entropy
        if self.rl.use_kl_loss and reference is not None:
            loss = loss + self.rl.kl_coef * losses.kl(new, reference[rows, :width], mask)
        value_loss = torch.zeros(())
        if self.rl.algorithm == "ppo":
            # The head reads detached hidden states: value learning does not move the policy.
            value = spread(self.value_head(scores.hidden_N_D.detach().float())[:, 0].cpu(), mask)
            value_loss = losses.value(
                value, targets.return_B_R[rows, :width], graded.samples.value_B_R[rows, :width], mask
            )
        (loss + value_loss).backward()
        share = float(mask.sum()) / losses.scale["batch_num_tokens"]
        return {
            "policy_loss": float(policy_loss.detach()),
            "value_loss": float(value_loss.detach()),
            "entropy": float(entropy.detach()),
            "clip_fraction": clipped * share,
        }

    def micro_batches(self, graded: Graded, rows: list[int]) -> list[list[int]]:
        """``rows`` cut into micro-batches of similar length."""
        lengths = [len(p) + n for p, n in zip(graded.prompt_ids, graded.lengths, strict=True)]
        return micro_batches(rows, lengths, self.micro_batch_tokens)

    def sequences(self, graded: Graded, rows: list[int]) -> Sequences:
        """Prompt + response tokens of ``rows``."""
        return Sequences.build(
            [graded.prompt_ids[row] for row in rows],
            [graded.samples.responses[row] for row in rows],
            self.tokenizer.pad_token_id,
            self.policy.model.device,
        )

    def record(
        self, graded: Graded, reference: torch.Tensor | None, update: dict[str, float], seconds: float
    ) -> None:
        """Append this step's metrics, timing and rollouts."""
        count, tokens = len(graded.problems), sum(graded.lengths)
        kl = 0.0
        if reference is not None:
            kl = float(((graded.samples.logprob_B_R - reference) * graded.mask_B_R).sum() / tokens)
        before = self.metrics[-1]["cumulative_rollout_tokens"] if self.metrics else 0
        self.metrics.append(
            {
                "step": self.step,
                "accuracy": sum(v.reason == "correct" for v in graded.verdicts) / count,
                "reward": sum(v.score for v in graded.verdicts) / count,
                "format_rate": sum(v.parts.format_ok for v in graded.verdicts) / count,
                "truncated_rate": 1 - sum(graded.samples.stopped) / count,
                "mean_tokens": tokens / count,
                "rollout_tokens": tokens,
                "cumulative_rollout_tokens": before + tokens,
                "kl": kl,
                **update,
            }
        )
        self.timing.append({"step": self.step, "seconds": seconds, "tokens_per_second": tokens / seconds})
        # Rollouts of step k are drawn by the policy before its update, i.e. after k - 1 updates.
        frame = records(
            graded,
            self.run_id,
            checkpoint="",
            rl_step=self.step - 1,
            split="train",
            sample_ids=list(range(count)),
            temperature=self.rl.temperature,
        )
        self.unsaved.append(frame)

    def save(self) -> None:
        """Make the work so far survive a kill: rollouts and checkpoint first, the trainer state last."""
        write_parquet(pd.concat(self.unsaved), self.scratch / "rollouts" / f"until{self.step:06d}.parquet")
        save_checkpoint(self.policy, self.tokenizer, self.scratch / "checkpoints" / f"step{self.step}")
        save_state(
            self.scratch,
            {
                "settings": self.settings,
                "step": self.step,
                "metrics": self.metrics,
                "timing": self.timing,
                "policy": self.policy.state_dict(),
                "value_head": self.value_head.state_dict(),
                "actor": self.actor.state_dict(),
                "critic": self.critic.state_dict(),
            },
        )
        self.unsaved = []

    def resume(self) -> None:
        """Go on from the last saved step, or begin and save the start checkpoint as step 0."""
        state: dict[str, Any] | None = load_state(self.scratch, self.settings)
        if state is None:
            save_checkpoint(self.policy, self.tokenizer, self.scratch / "checkpoints" / "step0")
            return
        self.step, self.metrics, self.timing = state["step"], state["metrics"], state["timing"]
        self.policy.load_state_dict(state["policy"])
        self.value_head.load_state_dict(state["value_head"])
        self.actor.load_state_dict(state["actor"])
        self.critic.load_state_dict(state["critic"])

    def publish(self, out: Path) -> None:
        """Copy the finished run from scratch to ``out``, all of it or nothing."""
        parts = sorted((self.scratch / "rollouts").glob("until*.parquet"))
        with replacing(out) as temporary:
            shutil.copytree(self.scratch / "checkpoints", temporary / "checkpoints")
            write_parquet(
                pd.concat([pd.read_parquet(part) for part in parts]), temporary / "rollouts.parquet"
            )
            write_parquet(pd.DataFrame(self.metrics), temporary / "metrics.parquet")
            write_parquet(pd.DataFrame(self.timing), temporary / "timing.parquet")


@lru_cache(maxsize=2)
def pass_order(size: int, seed: int, number: int) -> list[int]:
    """Order in which pass ``number`` visits the problems; a function of the seed and the pass alone."""
    return random.Random(f"{seed}:{number}").sample(range(size), size)


def spread(flat_N: torch.Tensor, mask_B_R: torch.Tensor) -> torch.Tensor:
    """Per-token values, flat over the response tokens of a batch, laid out as ``[B, R]`` with zeros after."""
    return torch.zeros_like(mask_B_R, dtype=flat_N.dtype).masked_scatter(mask_B_R.bool(), flat_N)
