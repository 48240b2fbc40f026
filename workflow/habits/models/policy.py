"""A language model as the trainers see it: token log-probabilities, entropies and hidden states.

Wraps any Hugging Face causal LM. Weights are kept in float32; the forward pass runs in the compute
dtype by casting them inside the graph, so gradients arrive in float32 (as in verl's mixed precision).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn
from torch.func import functional_call
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from habits.artifacts import ArtifactError, replacing
from habits.models import attention
from habits.models.tokenizer import load_tokenizer
from habits.params import Runtime


class TokenScores(NamedTuple):
    """Per response token, flat over the batch (N = number of response tokens)."""

    logprob_N: torch.Tensor
    entropy_N: torch.Tensor
    hidden_N_D: torch.Tensor


class Policy(nn.Module):
    """A causal LM that scores response tokens.

    Args:
        model: Hugging Face causal LM with float32 weights.
        dtype: compute dtype.
    """

    def __init__(self, model: PreTrainedModel, dtype: torch.dtype) -> None:
        super().__init__()
        self.model = model
        self.dtype = dtype
        self.entropy_gradient = False

    def cast(self) -> dict[str, torch.Tensor]:
        """Weights in the compute dtype; gradients flow back to the float32 weights."""
        return {name: weight.to(self.dtype) for name, weight in self.named_parameters()}

    def score(self, sequences: Sequences, weights: dict[str, torch.Tensor] | None = None) -> TokenScores:
        """Log-probability, entropy and final hidden state of every response token."""
        scores: TokenScores = functional_call(
            self, self.cast() if weights is None else weights, (sequences,), tie_weights=True
        )
        return scores

    def forward(self, sequences: Sequences) -> TokenScores:
        """See `score`, which runs this with the weights in the compute dtype."""
        ids = sequences.ids_B_T
        hidden = self.model.base_model(input_ids=ids[:, :-1], use_cache=False).last_hidden_state
        hidden_N_D = hidden[sequences.is_response_B_T[:, 1:]]
        logits_N_V = self.model.lm_head(hidden_N_D).float()
        targets_N = ids[:, 1:][sequences.is_response_B_T[:, 1:]]
        log_z_N = logits_N_V.logsumexp(-1)
        logprob_N = logits_N_V.gather(-1, targets_N[:, None])[:, 0] - log_z_N
        with torch.set_grad_enabled(self.entropy_gradient and torch.is_grad_enabled()):
            probability = (logits_N_V - log_z_N[:, None]).exp()
            entropy_N = log_z_N - (probability * logits_N_V).sum(-1)
        return TokenScores(logprob_N, entropy_N, hidden_N_D)


@dataclass(frozen=True)
class Sequences:
    """Prompt + response token ids, padded on the right (so that causal attention needs no mask).

    Attributes:
        ids_B_T: token ids.
        is_response_B_T: True at response tokens (EOS included).
    """

    ids_B_T: torch.Tensor
    is_response_B_T: torch.Tensor

    @staticmethod
    def build(
        prompts: list[list[int]], responses: list[list[int]], pad: int, device: torch.device
    ) -> Sequences:
        """Pad prompt/response pairs into one batch."""
        width = max(len(p) + len(r) for p, r in zip(prompts, responses, strict=True))
        ids = torch.full((len(prompts), width), pad)
        is_response = torch.zeros(len(prompts), width, dtype=torch.bool)
        for row, (prompt, response) in enumerate(zip(prompts, responses, strict=True)):
            end = len(prompt) + len(response)
            ids[row, :end] = torch.tensor([*prompt, *response])
            is_response[row, len(prompt) : end] = True
        return Sequences(ids.to(device), is_response.to(device))


def micro_batches(rows: list[int], lengths: list[int], tokens: int) -> list[list[int]]:
    """Rows sorted by length and cut into batches of at most ``tokens`` padded tokens (at least one row)."""
    batches: list[list[int]] = []
    current: list[int] = []
    for row in sorted(rows, key=lambda r: lengths[r]):
        if current and (len(current) + 1) * lengths[row] > tokens:
            batches.append(current)
            current = []
        current.append(row)
    return [*batches, current] if current else batches


def choose_device(runtime: Runtime) -> torch.device:
    """The device of ``runtime.device``; auto takes CUDA when there is one."""
    if runtime.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(runtime.device)


def choose_dtype(runtime: Runtime) -> torch.dtype:
    """The compute dtype; auto is bfloat16 where the hardware multiplies it natively, else float32."""
    if runtime.dtype != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16}[runtime.dtype]
    if choose_device(runtime).type == "cuda":
        return torch.bfloat16
    # Without these instructions bfloat16 is emulated and slower than float32.
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if native else torch.float32


def configure(runtime: Runtime, seed: int) -> None:
    """Set threads and seed of this process; deterministic kernels on CUDA as far as they exist."""
    torch.set_num_threads(runtime.threads)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True, warn_only=True)


def load_policy(folder: Path, runtime: Runtime) -> tuple[Policy, PreTrainedTokenizerBase]:
    """Policy and tokenizer of a checkpoint folder; ArtifactError when it is none."""
    if not (folder / "config.json").exists():
        raise ArtifactError(f"{folder} holds no model (config.json is missing); run the rule that makes it")
    implementation = attention.register() if choose_device(runtime).type == "cpu" else "sdpa"
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation=implementation
    )
    policy = Policy(model, choose_dtype(runtime)).to(choose_device(runtime))
    return policy, load_tokenizer(folder)


def save_checkpoint(policy: Policy, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write a Hugging Face folder atomically."""
    with replacing(folder) as temporary:
        policy.model.save_pretrained(temporary)
        save_tokenizer(tokenizer, temporary)


def save_tokenizer(tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write a tokenizer so that `load_tokenizer` gives the same one back."""
    tokenizer.save_pretrained(folder)
    _name_plain_fast_class(folder / "tokenizer_config.json")


def _name_plain_fast_class(settings: Path) -> None:
    """Keep ``tokenizer_class`` explicit for word-level tokenizers (see `load_tokenizer`)."""
    record = json.loads(settings.read_text())
    if record.get("tokenizer_class") == "TokenizersBackend":
        record["tokenizer_class"] = "PreTrainedTokenizerFast"
        settings.write_text(json.dumps(record, indent=2) + "\n")
