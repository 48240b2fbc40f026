"""SFT trains response tokens only, on tokens identical to those of RL and evaluation."""

import torch

from habits.models.base_model import new_model
from habits.models.policy import Policy, Sequences
from habits.models.tokenizer import build_tokenizer, encode_prompt, encode_response
from habits.params import BaseModelSpec, Sft
from habits.training.sft import epoch_batches, fine_tune

SETTINGS = Sft(optimizer="muon", epochs=2, batch_size=4, learning_rate=0.01, warmup_steps=2, grad_clip=1.0)
PROMPT = "nums 6 13 3 target 81 <think>"
RESPONSES = ["6 * 13 = 78 </think> <answer> ( 6 * 13 ) + 3 </answer>", "</think> <answer> 3 + 6 </answer>"]


def pairs() -> list[tuple[list[int], list[int]]]:
    tokenizer = build_tokenizer()
    return [(encode_prompt(tokenizer, PROMPT), encode_response(tokenizer, r)) for r in RESPONSES * 4]


def test_prompt_tokens_get_no_loss(tiny_policy: Policy) -> None:
    """The log-probabilities summed are those of the response and its EOS, none of the prompt."""
    tokenizer = build_tokenizer()
    prompt, response = pairs()[0]
    sequences = Sequences.build([prompt], [response], tokenizer.pad_token_id, torch.device("cpu"))
    scores = tiny_policy.score(sequences)
    log_p = tiny_policy.model(torch.tensor([prompt + response])).logits[0].log_softmax(-1)
    expected = [log_p[len(prompt) - 1 + i, token] for i, token in enumerate(response)]
    assert len(scores.logprob_N) == len(response)
    assert torch.allclose(scores.logprob_N, torch.stack(expected), atol=1e-5)
    assert response[-1] == tokenizer.eos_token_id


def test_padding_does_not_change_a_sequences_scores(tiny_policy: Policy) -> None:
    tokenizer, data = build_tokenizer(), pairs()[:2]
    build = lambda rows: Sequences.build(  # noqa: E731
        [p for p, _ in rows], [r for _, r in rows], tokenizer.pad_token_id, torch.device("cpu")
    )
    together = tiny_policy.score(build(data)).logprob_N
    alone = torch.cat([tiny_policy.score(build([row])).logprob_N for row in data])
    assert torch.allclose(together, alone, atol=1e-5)


def test_fine_tuning_learns_the_responses_and_repeats_exactly(
    tiny_policy: Policy, spec: BaseModelSpec
) -> None:
    settings = SETTINGS.model_copy(update={"epochs": 15})
    first = fine_tune(tiny_policy, build_tokenizer(), pairs(), settings, 512, seed=3, name="test")
    torch.manual_seed(0)
    again = Policy(new_model(spec, build_tokenizer()), torch.float32)
    second = fine_tune(again, build_tokenizer(), pairs(), settings, 512, seed=3, name="test")
    assert first["loss"].iloc[-1] < 0.3 * first["loss"].iloc[0]
    assert first.equals(second)


def test_every_epoch_sees_every_trace_once_in_its_own_order() -> None:
    batches = epoch_batches(8, SETTINGS, seed=1)
    assert len(batches) == 4
    assert sorted(batches[0] + batches[1]) == list(range(8)) == sorted(batches[2] + batches[3])
    assert batches[:2] != batches[2:]
