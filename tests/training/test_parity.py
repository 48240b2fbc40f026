"""Both backends' objectives on the same tensors: verl's own code, with the configuration that we generate for
it, against the local trainer's glue around the same functions (masks, alignment, reward placement)."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from tensordict import TensorDict
from verl.protocol import DataProto
from verl.trainer.ppo import core_algos
from verl.trainer.ppo.ray_trainer import apply_kl_penalty
from verl.trainer.ppo.v1.utils import compute_advantage_for_multi_trajectories
from verl.utils import tensordict_utils as tu
from verl.utils.config import omega_conf_to_dataclass
from verl.workers.utils.losses import ppo_loss, value_loss

from habits import params as settings
from habits.cli import PRESETS
from habits.models.policy import Policy, Sequences, save_checkpoint
from habits.models.tokenizer import build_tokenizer
from habits.params import Rl
from habits.training import objective
from habits.training.rl import spread
from habits.training.verl.config import compose
from habits.training.verl.overrides import Job
from habits.training.verl.rl_overrides import rl_overrides

PROMPTS, RESPONSES = (8, 6, 9, 7, 8, 8), (6, 1, 3, 5, 2, 6)
REWARDS = [1.0, 0.0, 0.1, 1.0, 0.1, 0.0]
GROUPS = ["0", "0", "1", "1", "2", "2"]
ALGORITHMS = ["ppo", "grpo", "reinforce_plus_plus", "reinforce_plus_plus_baseline"]
Rows = list[torch.Tensor]


@pytest.fixture
def rows() -> list[list[int]]:
    dice = np.random.default_rng(0)
    return [dice.integers(3, 100, p + r).tolist() for p, r in zip(PROMPTS, RESPONSES, strict=True)]


@pytest.fixture
def policies(tiny_policy: Policy) -> dict[str, Policy]:
    """The policy now, before the update and at the start of RL; far enough apart that ratios are clipped."""
    found = {}
    for number, name in enumerate(("new", "old", "reference")):
        torch.manual_seed(number)
        state = {
            key: weight + 0.05 * torch.randn_like(weight) for key, weight in tiny_policy.state_dict().items()
        }
        policy = Policy(type(tiny_policy.model)(tiny_policy.model.config).eval(), torch.float32)
        policy.load_state_dict(state)
        found[name] = policy
    return found


def paper_settings(**changes: object) -> tuple[settings.Params, Rl]:
    raw = yaml.safe_load((PRESETS / "paper.yaml").read_text())
    raw["rl"] |= {"clip_ratio": 0.05, "lam": 0.95, "kl_coef": 0.1, **changes}
    params = settings.validate(raw)
    return params, params.rl


def verl_config(params: settings.Params, rl: Rl, tmp_path: Path, policy: Policy) -> object:
    save_checkpoint(policy, build_tokenizer(), tmp_path)  # with a critic verl reads the model's configuration
    job = Job("parity", *[tmp_path] * 5, seed=1, gpus=4, prompt_tokens=256)
    return compose("ppo_trainer", rl_overrides(params, rl, params.reward, job))


def local_scores(policy: Policy, rows: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Log-probabilities, mask and hidden states ``[B, R]`` as the local trainer computes them."""
    prompts = [row[:p] for row, p in zip(rows, PROMPTS, strict=True)]
    responses = [row[p:] for row, p in zip(rows, PROMPTS, strict=True)]
    with torch.no_grad():
        scores = policy.score(Sequences.build(prompts, responses, 0, torch.device("cpu")))
    mask = (torch.arange(max(RESPONSES)) < torch.tensor(RESPONSES)[:, None]).float()
    return spread(scores.logprob_N, mask), mask, spread(scores.hidden_N_D.mean(-1), mask)


def verl_scores(policy: Policy, row: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """What a verl engine hands to its loss for one sequence: at each token, of the token that follows it."""
    ids = torch.tensor([row])
    with torch.no_grad():
        output = policy.model(ids, output_hidden_states=True)
    following = torch.roll(ids, -1, dims=1)
    logprob = output.logits.log_softmax(-1).gather(-1, following[..., None])[0, :, 0]
    return logprob, output.hidden_states[-1][0].mean(-1)


def nested(values: Rows) -> torch.Tensor:
    return torch.nested.as_nested_tensor(values, layout=torch.jagged)


def unpadded(padded: torch.Tensor) -> torch.Tensor:
    return nested([row[:length] for row, length in zip(padded, RESPONSES, strict=True)])


def targets_of_verl(
    config: object, batch: dict[str, torch.Tensor], rl: Rl
) -> tuple[torch.Tensor, torch.Tensor]:
    mask = batch["mask"]
    scores = torch.zeros_like(mask)
    scores[torch.arange(len(mask)), mask.sum(1).long() - 1] = torch.tensor(REWARDS)
    data = DataProto.from_single_dict(
        {
            "response_mask": mask,
            "token_level_scores": scores,
            "old_log_probs": batch["old"],
            "ref_log_prob": batch["reference"],
            "values": batch["value"],
            "token_level_rewards": scores,
            "uid": np.array(GROUPS, dtype=object),
        }
    )
    algorithm = config.algorithm  # type: ignore[attr-defined]
    if algorithm.use_kl_in_reward:
        control = core_algos.get_kl_controller(algorithm.kl_ctrl)
        data, _ = apply_kl_penalty(data, control, algorithm.kl_penalty)
    data = compute_advantage_for_multi_trajectories(
        data,
        batch_keys=[f"{group}_{number}_0" for number, group in enumerate(GROUPS)],
        adv_estimator=algorithm.adv_estimator,
        gamma=algorithm.gamma,
        lam=algorithm.lam,
        num_repeat=2,
        norm_adv_by_std_in_grpo=algorithm.norm_adv_by_std_in_grpo,
        config=omega_conf_to_dataclass(algorithm),
    )
    return data.batch["advantages"] * mask, data.batch["returns"] * mask


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_advantages_and_returns(
    algorithm: str, rows: list[list[int]], policies: dict[str, Policy], tmp_path: Path
) -> None:
    in_reward = algorithm != "grpo"
    params, rl = paper_settings(algorithm=algorithm, kl_in_reward=in_reward, use_kl_loss=not in_reward)
    old, mask, value = local_scores(policies["old"], rows)
    reference = local_scores(policies["reference"], rows)[0]
    reward = objective.token_rewards(REWARDS, mask, old, reference, rl)
    ours = objective.targets(reward, value, mask, GROUPS, rl)
    batch = {"mask": mask, "old": old, "reference": reference, "value": value}
    advantages, returns = targets_of_verl(verl_config(params, rl, tmp_path, policies["new"]), batch, rl)
    assert torch.allclose(ours.advantage_B_R, advantages, atol=1e-6)
    assert torch.allclose(ours.return_B_R * mask, returns, atol=1e-6)
    assert advantages.abs().max() > 0.5


@pytest.mark.parametrize("mode", ["token-mean", "seq-mean-token-sum", "seq-mean-token-mean"])
@pytest.mark.parametrize("use_kl_loss", [False, True])
def test_losses(
    mode: str, use_kl_loss: bool, rows: list[list[int]], policies: dict[str, Policy], tmp_path: Path
) -> None:
    """Policy loss (with its KL and entropy terms), value loss, and the log-probabilities they start from."""
    params, rl = paper_settings(
        loss_agg_mode=mode,
        kl_in_reward=not use_kl_loss,
        use_kl_loss=use_kl_loss,
        kl_penalty="low_var_kl" if use_kl_loss else "kl",
        entropy_coeff=0.0,
    )
    new, mask, value = local_scores(policies["new"], rows)
    old, _, value_old = local_scores(policies["old"], rows)
    reference = local_scores(policies["reference"], rows)[0]
    torch.manual_seed(5)
    advantage, returns = torch.randn_like(mask) * mask, torch.randn_like(mask) * mask
    losses = objective.Losses(rl, mask)
    policy_loss, _ = losses.policy(old, new, advantage, mask)
    ours = policy_loss + (rl.kl_coef * losses.kl(new, reference, mask) if use_kl_loss else 0.0)
    ours_value = losses.value(value, returns, value_old, mask)

    config = verl_config(params, rl, tmp_path, policies["new"])
    scored = [verl_scores(policies["new"], row) for row in rows]
    data = TensorDict(
        {
            "prompts": nested([torch.tensor(row[:p]) for row, p in zip(rows, PROMPTS, strict=True)]),
            "responses": nested([torch.tensor(row[p:]) for row, p in zip(rows, PROMPTS, strict=True)]),
            "response_mask": unpadded(mask),
            "old_log_probs": unpadded(old),
            "ref_log_prob": unpadded(reference),
            "advantages": unpadded(advantage),
            "returns": unpadded(returns),
            "values": unpadded(value_old),
        },
        batch_size=len(rows),
    )
    scale = {"dp_size": 1, "batch_num_tokens": int(mask.sum()), "global_batch_size": len(rows)}
    tu.assign_non_tensor(data, **scale)
    actor = omega_conf_to_dataclass(config.actor_rollout_ref.actor)  # type: ignore[attr-defined]
    theirs, _ = ppo_loss(actor, {"log_probs": nested([logprob for logprob, _ in scored])}, data)
    critic = omega_conf_to_dataclass(config.critic)  # type: ignore[attr-defined]
    theirs_value, _ = value_loss(critic, {"values": nested([hidden for _, hidden in scored])}, data)
    assert float(ours) == pytest.approx(float(theirs), abs=1e-6)
    assert float(ours_value) == pytest.approx(float(theirs_value), abs=1e-6)
