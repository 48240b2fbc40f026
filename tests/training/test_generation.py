"""Sampling: what it reports must be what the model says, whatever left the batch and when."""

import torch
from transformers import Qwen2ForCausalLM

from habits.models.generation import sample

PROMPTS = [[1, 30, 40, 50], [1, 33], [1, 44, 55, 66, 77, 88], [1, 30, 40, 50]]


def draw(model: Qwen2ForCausalLM, prompts: list[list[int]], seed: int = 1, **options: object):
    generator = torch.Generator().manual_seed(seed)
    return sample(model, prompts, max_new_tokens=40, eos=2, pad=0, generator=generator, **options)


def test_log_probabilities_equal_a_full_forward_pass_for_unequal_prompts(
    tiny_model: Qwen2ForCausalLM,
) -> None:
    samples = draw(tiny_model, PROMPTS)
    for prompt, response, row, entropy in zip(
        PROMPTS, samples.responses, samples.logprob_B_R, samples.entropy_B_R, strict=True
    ):
        log_p = tiny_model(torch.tensor([prompt + response])).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
        expected = log_p.gather(1, torch.tensor(response)[:, None])[:, 0]
        assert torch.allclose(row[: len(response)], expected, atol=1e-5)
        assert torch.allclose(entropy[: len(response)], -(log_p.exp() * log_p).sum(-1), atol=1e-5)
        assert not row[len(response) :].any()


def test_responses_end_at_eos_or_at_the_limit(tiny_model: Qwen2ForCausalLM) -> None:
    samples = draw(tiny_model, PROMPTS * 16)
    assert any(samples.stopped) and not all(samples.stopped)
    for response, stopped in zip(samples.responses, samples.stopped, strict=True):
        assert (response[-1] == 2) == stopped
        assert 2 not in response[:-1]
        assert stopped or len(response) == 40


def test_compaction_keeps_rows_apart(tiny_model: Qwen2ForCausalLM) -> None:
    """Greedy decoding of many prompts, most of which end early, equals decoding each alone."""
    with torch.no_grad():
        tiny_model.lm_head.weight[2] *= 4  # makes EOS win at different moments
    prompts = [
        [1, *torch.randint(30, 120, (5,), generator=torch.Generator().manual_seed(i)).tolist()]
        for i in range(24)
    ]
    together = draw(tiny_model, prompts, temperature=0)
    alone = [draw(tiny_model, [prompt], temperature=0).responses[0] for prompt in prompts]
    assert together.responses == alone
    assert len({len(response) for response in alone}) > 3


def test_same_generator_state_same_samples(tiny_model: Qwen2ForCausalLM) -> None:
    assert draw(tiny_model, PROMPTS).responses == draw(tiny_model, PROMPTS).responses
    assert draw(tiny_model, PROMPTS).responses != draw(tiny_model, PROMPTS, seed=2).responses


def test_sampling_follows_the_distribution(tiny_model: Qwen2ForCausalLM) -> None:
    """First tokens of 4,000 draws against the model's probabilities (chi-square, 127 degrees of freedom)."""
    generator = torch.Generator().manual_seed(0)
    samples = sample(tiny_model, [[1, 30]] * 4000, max_new_tokens=1, eos=2, pad=0, generator=generator)
    counts = torch.bincount(torch.tensor([r[0] for r in samples.responses]), minlength=128).float()
    expected = tiny_model(torch.tensor([[1, 30]])).logits[0, -1].softmax(-1) * 4000
    assert float(((counts - expected) ** 2 / expected).sum()) < 190  # p = 0.0002


def test_values_are_the_heads_output_before_each_token(tiny_model: Qwen2ForCausalLM) -> None:
    head = torch.nn.Linear(tiny_model.config.hidden_size, 1)
    samples = draw(tiny_model, PROMPTS, value_head=head)
    prompt, response = PROMPTS[2], samples.responses[2]
    hidden = tiny_model.base_model(torch.tensor([prompt + response])).last_hidden_state[
        0, len(prompt) - 1 : -1
    ]
    assert torch.allclose(samples.value_B_R[2, : len(response)], head(hidden)[:, 0], atol=1e-5)
