"""The RL objective: advantages and losses, all from verl's own functions (`core_algos`).

This module only brings our tensors into verl's shapes; the mathematics is verl's, so the objective on
a laptop is the one that runs on a cluster. B rollouts, R response positions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from verl.trainer.config import AlgoConfig
from verl.trainer.ppo import core_algos
from verl.workers.config import FSDPActorConfig

from habits.params import Rl
from habits.training.constants import DUAL_CLIP


@dataclass(frozen=True)
class Targets:
    """What a step's rollouts are trained on.

    Attributes:
        advantage_B_R: whitened (PPO, REINFORCE++) or group-relative (GRPO) advantages.
        return_B_R: targets of the value head (PPO).
    """

    advantage_B_R: torch.Tensor
    return_B_R: torch.Tensor


def token_rewards(
    rewards: list[float],
    mask_B_R: torch.Tensor,
    logprob_B_R: torch.Tensor,
    reference_B_R: torch.Tensor | None,
    rl: Rl,
) -> torch.Tensor:
    """Reward on the last response token, less the KL penalty of every token if it is in the reward."""
    last = mask_B_R.sum(1).long() - 1
    placed = torch.zeros_like(mask_B_R)
    placed[torch.arange(len(rewards)), last] = torch.tensor(rewards)
    if rl.kl_in_reward and reference_B_R is not None:
        penalty = kl_per_token(logprob_B_R, reference_B_R, rl)
        placed = placed - rl.kl_coef * penalty * mask_B_R
    return placed


def targets(
    reward_B_R: torch.Tensor, value_B_R: torch.Tensor, mask_B_R: torch.Tensor, groups: list[str], rl: Rl
) -> Targets:
    """Advantages and returns of a step.

    Args:
        reward_B_R: token-level rewards.
        value_B_R: value head's estimates (PPO; ignored by the others).
        mask_B_R: 1 at response tokens.
        groups: name of each rollout's prompt; GRPO compares rollouts of one group.
        rl: settings; ``rl.algorithm`` names the estimator.
    """
    if rl.algorithm == "ppo":
        advantage, returns = core_algos.compute_gae_advantage_return(
            reward_B_R, value_B_R, mask_B_R, rl.gamma, rl.lam
        )
    else:
        estimator = core_algos.get_adv_estimator_fn(rl.algorithm)
        advantage, returns = estimator(
            token_level_rewards=reward_B_R,
            response_mask=mask_B_R,
            index=np.array(groups),
            config=AlgoConfig(gamma=rl.gamma, lam=rl.lam),
        )
    return Targets(advantage * mask_B_R, returns)


def kl_per_token(logprob: torch.Tensor, reference: torch.Tensor, rl: Rl) -> torch.Tensor:
    """verl's estimate of the KL to the reference at each token (``rl.kl_penalty`` names the estimator)."""
    estimate: torch.Tensor = core_algos.kl_penalty(
        cast(torch.FloatTensor, logprob), cast(torch.FloatTensor, reference), rl.kl_penalty
    )
    return estimate


class Losses:
    """Losses of one mini-batch, which is processed in micro-batches.

    Sums over micro-batches equal the loss of the whole mini-batch: verl divides by the mini-batch's
    own token and sequence counts.

    Args:
        rl: settings.
        mask_B_R: response mask of the whole mini-batch.
    """

    def __init__(self, rl: Rl, mask_B_R: torch.Tensor) -> None:
        self.rl = rl
        self.scale = {
            "dp_size": 1,
            "batch_num_tokens": int(mask_B_R.sum()),
            "global_batch_size": len(mask_B_R),
        }
        self.actor = FSDPActorConfig(
            strategy="fsdp",
            rollout_n=rl.group_size,
            ppo_micro_batch_size_per_gpu=1,
            clip_ratio=rl.clip_ratio,
            clip_ratio_low=rl.clip_ratio,
            clip_ratio_high=rl.clip_ratio,
            clip_ratio_c=DUAL_CLIP,
            loss_agg_mode=rl.loss_agg_mode,
            entropy_coeff=rl.entropy_coeff,
        )
        self.actor.global_batch_info.update(self.scale)

    def policy(
        self, old: torch.Tensor, new: torch.Tensor, advantage: torch.Tensor, mask: torch.Tensor
    ) -> tuple[torch.Tensor, float]:
        """Clipped policy loss and the fraction of clipped tokens; all arguments ``[b, R]``."""
        loss, metrics = core_algos.get_policy_loss_fn("vanilla")(
            old_log_prob=old,
            log_prob=new,
            advantages=advantage,
            response_mask=mask,
            loss_agg_mode=self.rl.loss_agg_mode,
            config=self.actor,
        )
        return loss, float(metrics["actor/pg_clipfrac"])

    def value(
        self, new: torch.Tensor, returns: torch.Tensor, old: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        """Clipped value loss; all arguments ``[b, R]``."""
        loss: torch.Tensor = core_algos.compute_value_loss(
            vpreds=new,
            returns=returns,
            values=old,
            response_mask=mask,
            cliprange_value=self.rl.value_clip,
            loss_agg_mode=self.rl.loss_agg_mode,
            **self.scale,
        )[0]
        return loss

    def mean(self, per_token: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """A per-token quantity (entropy, KL) aggregated as the policy loss is."""
        aggregated: torch.Tensor = core_algos.agg_loss(per_token, mask, self.rl.loss_agg_mode, **self.scale)
        return aggregated

    def kl(self, new: torch.Tensor, reference: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """KL to the reference policy, to be *added* to the loss with its coefficient."""
        return self.mean(kl_per_token(new, reference, self.rl), mask)
