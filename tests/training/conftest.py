"""A small random model for the tests of models, training and rollouts."""

import pytest
import torch
from transformers import Qwen2ForCausalLM

from habits.models.base_model import new_model
from habits.models.policy import Policy
from habits.models.tokenizer import build_tokenizer
from habits.params import BaseModelSpec

SPEC = BaseModelSpec(
    prompt_template="short",
    hidden_size=32,
    layers=2,
    heads=4,
    kv_heads=2,
    mlp_size=64,
    max_positions=256,
    corpus_worksheets=0.4,
    corpus_facts=0.3,
    corpus_search=0.0,
    corpus_correct=0.5,
    steps=2,
    batch_tokens=320,
    sequence_length=80,
    learning_rate=0.003,
    seed=1,
)


@pytest.fixture
def spec() -> BaseModelSpec:
    return SPEC


@pytest.fixture
def tiny_policy() -> Policy:
    torch.manual_seed(0)
    return Policy(new_model(SPEC, build_tokenizer()), torch.float32)


@pytest.fixture
def tiny_model() -> Qwen2ForCausalLM:
    torch.manual_seed(0)
    model = new_model(SPEC, build_tokenizer()).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 2:
                weight.mul_(4)  # far from uniform, so that errors show
    return model.requires_grad_(False)
