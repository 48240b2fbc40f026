"""The glue around verl's objective: reward placement, masks, micro-batches, and which function is called."""

import numpy as np
import pytest
import torch
from verl.trainer.config import AlgoConfig
from verl.trainer.ppo import core_algos

from habits.params import Rl
from habits.training import objective

BASE = {
    "algorithm": "ppo",
    "steps": 2,
    "prompts_per_step": 4,
    "group_size": 2,
    "max_response_tokens": 6,
    "temperature": 1.0,
    "learning_rate": 1e-4,
    "critic_learning_rate": 1e-3,
    "mini_batches": 2,
    "epochs": 1,
    "clip_ratio": 0.2,
    "value_clip": 0.5,
    "gamma": 1.0,
    "lam": 0.95,
    "entropy_coeff": 0.0,
    "kl_in_reward": False,
    "use_kl_loss": False,
    "kl_coef": 0.0,
    "kl_penalty": "kl",
    "loss_agg_mode": "token-mean",
    "grad_clip": 1.0,
    "save_every": 1,
}
MODES = ("token-mean", "seq-mean-token-sum", "seq-mean-token-mean")


def settings(**changes: object) -> Rl:
    return Rl.model_validate({**BASE, **changes})


@pytest.fixture
def batch() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    lengths = torch.tensor([6, 1, 3, 5, 2, 6, 4, 1])
    mask = (torch.arange(6) < lengths[:, None]).float()
    names = ("old", "new", "reference", "value", "value_old", "advantage", "returns")
    return {"mask": mask, **{name: torch.randn(8, 6) * mask for name in names}}


def test_the_reward_stands_on_the_last_response_token(batch: dict[str, torch.Tensor]) -> None:
    rewards = [1.0, 0.1, 0.0, 1.0, 0.1, 1.0, 0.0, 1.0]
    placed = objective.token_rewards(rewards, batch["mask"], batch["old"], None, settings())
    assert torch.equal(placed.sum(1), torch.tensor(rewards))
    last = batch["mask"].sum(1).long() - 1
    assert torch.equal(placed[torch.arange(8), last], torch.tensor(rewards))


def test_kl_in_the_reward_lowers_the_reward_of_tokens_that_left_the_reference(
    batch: dict[str, torch.Tensor],
) -> None:
    rl = settings(kl_in_reward=True, kl_coef=0.5)
    plain = objective.token_rewards([0.0] * 8, batch["mask"], batch["old"], None, rl)
    penalized = objective.token_rewards([0.0] * 8, batch["mask"], batch["old"], batch["reference"], rl)
    assert torch.allclose(plain - penalized, 0.5 * (batch["old"] - batch["reference"]) * batch["mask"])


def test_ppo_is_verls_gae(batch: dict[str, torch.Tensor]) -> None:
    reward = batch["advantage"]
    ours = objective.targets(reward, batch["value"], batch["mask"], ["0"] * 8, settings())
    advantage, returns = core_algos.compute_gae_advantage_return(
        reward, batch["value"], batch["mask"], 1.0, 0.95
    )
    assert torch.allclose(ours.advantage_B_R, advantage * batch["mask"], atol=1e-6)
    assert torch.allclose(ours.return_B_R, returns, atol=1e-6)


@pytest.mark.parametrize("algorithm", ["grpo", "reinforce_plus_plus"])
def test_the_others_are_verls_estimators(batch: dict[str, torch.Tensor], algorithm: str) -> None:
    groups = ["0", "0", "1", "1", "2", "2", "3", "3"]
    ours = objective.targets(
        batch["returns"], batch["value"], batch["mask"], groups, settings(algorithm=algorithm)
    )
    expected, _ = core_algos.get_adv_estimator_fn(algorithm)(
        token_level_rewards=batch["returns"],
        response_mask=batch["mask"],
        index=np.array(groups),
        config=AlgoConfig(gamma=1.0, lam=0.95),
    )
    assert torch.allclose(ours.advantage_B_R, expected * batch["mask"], atol=1e-6)


def test_grpo_advantages_of_a_group_sum_to_zero(batch: dict[str, torch.Tensor]) -> None:
    reward = objective.token_rewards([1.0, 0.0] * 4, batch["mask"], batch["old"], None, settings())
    groups = [str(i // 2) for i in range(8)]
    result = objective.targets(reward, batch["value"], batch["mask"], groups, settings(algorithm="grpo"))
    assert torch.allclose(result.advantage_B_R[0::2, 0], -result.advantage_B_R[1::2, 0], atol=1e-5)
    assert (result.advantage_B_R[0::2, 0] > 0.5).all()


@pytest.mark.parametrize("mode", MODES)
def test_micro_batches_add_up_to_the_mini_batch(batch: dict[str, torch.Tensor], mode: str) -> None:
    losses = objective.Losses(settings(loss_agg_mode=mode), batch["mask"])

    def parts(rows: slice) -> torch.Tensor:
        b = {name: tensor[rows] for name, tensor in batch.items()}
        policy, _ = losses.policy(b["old"], b["new"], b["advantage"], b["mask"])
        value = losses.value(b["value"], b["returns"], b["value_old"], b["mask"])
        return torch.stack([policy, value, losses.kl(b["new"], b["reference"], b["mask"])])

    whole = parts(slice(None))
    assert torch.allclose(whole, parts(slice(0, 3)) + parts(slice(3, 8)), atol=1e-6)


def test_the_policy_loss_is_verls_clipped_loss(batch: dict[str, torch.Tensor]) -> None:
    ours, clipped = objective.Losses(settings(), batch["mask"]).policy(
        batch["old"], batch["new"], batch["advantage"], batch["mask"]
    )
    ratio = (batch["new"] - batch["old"]).exp()
    advantage = batch["advantage"]
    surrogate = torch.min(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage)
    surrogate = torch.where(advantage < 0, torch.max(surrogate, objective.DUAL_CLIP * advantage), surrogate)
    assert float(ours) == pytest.approx(
        float(-(surrogate * batch["mask"]).sum() / batch["mask"].sum()), abs=1e-6
    )
    assert 0 < clipped < 1


def test_the_kl_loss_pulls_towards_the_reference(batch: dict[str, torch.Tensor]) -> None:
    """The sign that the paper's vendored trainer had wrong: adding this term must lower the KL."""
    logits = torch.randn(1, 1, 16, requires_grad=True)
    reference = torch.randn(1, 1, 16).log_softmax(-1)
    mask = torch.ones(1, 1)
    losses = objective.Losses(settings(kl_penalty="low_var_kl"), mask)

    def exact() -> torch.Tensor:
        log_p = logits.log_softmax(-1)
        return (log_p.exp() * (log_p - reference)).sum()

    before = float(exact())
    optimizer = torch.optim.SGD([logits], lr=0.5)
    for _ in range(20):
        log_p = logits.log_softmax(-1)
        expected = sum(
            log_p[0, 0, a].exp().detach() * losses.kl(log_p[:, :, a], reference[:, :, a], mask)
            for a in range(16)
        )
        optimizer.zero_grad()
        expected.backward()
        optimizer.step()
    assert float(exact()) < before
