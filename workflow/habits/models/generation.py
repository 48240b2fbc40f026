"""Batched sampling from a Hugging Face causal LM.

Finished rows leave the batch ("compaction"): with ``generate`` one straggler keeps every row busy up to
the longest response. Keys and values live in a buffer that is written once instead of grown by copying.
Measured against transformers' generate in benchmarks/generation.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import Cache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

COMPACT_BELOW = 0.8  # compaction copies the cache, so wait until a fifth of the rows are finished


@dataclass(frozen=True)
class Samples:
    """Sampled responses of a batch of prompts; R is the longest response in tokens.

    Attributes:
        responses: token ids of each response, EOS included when it stopped.
        stopped: whether the response ended by EOS (False: cut at the token limit).
        logprob_B_R: log-probability of each token under the sampling distribution, 0 after the end.
        entropy_B_R: entropy of that distribution in nats, 0 after the end.
        value_B_R: value head's estimate before each token, 0 after the end (zeros without a head).
    """

    responses: list[list[int]]
    stopped: list[bool]
    logprob_B_R: torch.Tensor
    entropy_B_R: torch.Tensor
    value_B_R: torch.Tensor


class BufferLayer(DynamicLayer):
    """Keys and values of one layer in a preallocated buffer of ``capacity`` positions."""

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self.capacity = capacity
        self.length = 0

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Allocate the buffers for this batch."""
        batch, heads, _, width = key_states.shape
        self.key_buffer = key_states.new_empty(batch, heads, self.capacity, width)
        self.value_buffer = value_states.new_empty(batch, heads, self.capacity, width)
        self.dtype, self.device = key_states.dtype, key_states.device
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append new positions; returns all positions so far, ``[batch, kv_heads, S, head_dim]``."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        end = self.length + key_states.shape[2]
        self.key_buffer[:, :, self.length : end] = key_states
        self.value_buffer[:, :, self.length : end] = value_states
        self.length = end
        return self.key_buffer[:, :, :end], self.value_buffer[:, :, :end]

    def get_seq_length(self) -> int:
        """Positions filled so far."""
        return self.length

    def keep_rows(self, rows: torch.Tensor) -> None:
        """Drop every batch row but ``rows``."""
        for name in ("key_buffer", "value_buffer"):
            old = getattr(self, name)
            new = old.new_empty(len(rows), *old.shape[1:])
            new[:, :, : self.length] = old[rows, :, : self.length]
            setattr(self, name, new)


@torch.no_grad()
def sample(
    model: PreTrainedModel,
    prompts: list[list[int]],
    *,
    max_new_tokens: int,
    eos: int,
    pad: int,
    generator: torch.Generator,
    temperature: float = 1.0,
    value_head: nn.Module | None = None,
) -> Samples:
    """Sample one response to each prompt.

    Args:
        model: causal LM in the dtype it shall compute in.
        prompts: token ids; prompts of unequal length are padded on the left.
        max_new_tokens: limit of a response; a longer one is cut (``stopped`` False).
        eos, pad: token ids.
        generator: source of randomness; same generator state, same prompts -> same samples.
        temperature: divides the logits; 0 takes the most likely token.
        value_head: maps final hidden states to values, if values are wanted.
    """
    state = _State.begin(prompts, max_new_tokens, pad, model)
    hidden = state.run(model, state.prompt_ids)
    for step in range(max_new_tokens):
        logits = model.lm_head(hidden).float()
        if value_head is not None:
            state.value[state.rows, step] = value_head(hidden.float())[:, 0] * state.alive
        tokens = state.choose(logits, step, temperature, generator, eos)
        if not state.alive.any() or step == max_new_tokens - 1:
            break
        hidden = state.run(model, state.compact(tokens)[:, None])
    return state.finish()


@dataclass
class _State:
    """The batch while it is being sampled; ``rows`` maps batch rows to the caller's prompts."""

    prompt_ids: torch.Tensor
    mask: torch.Tensor | None
    positions: torch.Tensor
    cache: Cache
    layers: list[BufferLayer]
    rows: torch.Tensor
    alive: torch.Tensor
    tokens: torch.Tensor
    lengths: torch.Tensor
    stopped: torch.Tensor
    logprob: torch.Tensor
    entropy: torch.Tensor
    value: torch.Tensor
    pad: int

    @staticmethod
    def begin(prompts: list[list[int]], limit: int, pad: int, model: PreTrainedModel) -> _State:
        device = model.device
        count, width = len(prompts), max(map(len, prompts))
        ids = torch.full((count, width), pad, device=device)
        for row, prompt in enumerate(prompts):
            ids[row, width - len(prompt) :] = torch.tensor(prompt, device=device)
        lengths = torch.tensor([len(p) for p in prompts], device=device)
        even = bool((lengths == width).all())
        mask = None if even else (torch.arange(width, device=device) >= width - lengths[:, None]).long()
        first = torch.arange(width, device=device).expand(count, -1)
        positions = first if mask is None else (mask.cumsum(-1) - 1).clamp(min=0)
        layers = [BufferLayer(width + limit) for _ in range(model.config.num_hidden_layers)]
        floats = [torch.zeros(count, limit, device=device) for _ in range(3)]
        return _State(
            prompt_ids=ids,
            mask=mask,
            positions=positions,
            cache=Cache(layers=list(layers)),
            layers=layers,
            rows=torch.arange(count, device=device),
            alive=torch.ones(count, dtype=torch.bool, device=device),
            tokens=torch.full((count, limit), pad, device=device),
            lengths=torch.full((count,), limit, device=device),
            stopped=torch.zeros(count, dtype=torch.bool, device=device),
            logprob=floats[0],
            entropy=floats[1],
            value=floats[2],
            pad=pad,
        )

    def run(self, model: PreTrainedModel, ids: torch.Tensor) -> torch.Tensor:
        """Feed tokens; returns the last position's hidden state ``[batch, D]``."""
        output = model.base_model(
            input_ids=ids,
            attention_mask=self.mask,
            position_ids=self.positions,
            past_key_values=self.cache,
            use_cache=True,
        )
        self.positions = self.positions[:, -1:] + 1
        if self.mask is not None:
            self.mask = torch.cat([self.mask, self.mask.new_ones(len(self.mask), 1)], dim=1)
        hidden: torch.Tensor = output.last_hidden_state[:, -1]
        return hidden

    def choose(
        self, logits: torch.Tensor, step: int, temperature: float, generator: torch.Generator, eos: int
    ) -> torch.Tensor:
        """Draw the next token of every row (Gumbel-max) and record it for the rows still alive."""
        if temperature > 0:
            logits = logits / temperature
            uniform = torch.rand(logits.shape, generator=generator, device=generator.device).to(logits.device)
            drawn = (logits - (-uniform.clamp(min=1e-20).log()).log()).argmax(-1)
        else:
            drawn = logits.argmax(-1)
        log_p = logits.log_softmax(-1)
        tokens = torch.where(self.alive, drawn, self.pad)
        self.tokens[self.rows, step] = tokens
        self.logprob[self.rows, step] = log_p.gather(1, drawn[:, None])[:, 0] * self.alive
        self.entropy[self.rows, step] = -(log_p.exp() * log_p).sum(-1) * self.alive
        ended = self.alive & (drawn == eos)
        self.lengths[self.rows[ended]] = step + 1
        self.stopped[self.rows[ended]] = True
        self.alive = self.alive & ~ended
        return tokens

    def compact(self, tokens: torch.Tensor) -> torch.Tensor:
        """Drop finished rows once enough of them have gathered; returns the tokens of the rows kept."""
        if int(self.alive.sum()) > COMPACT_BELOW * len(self.rows):
            return tokens
        keep = self.alive.nonzero()[:, 0]
        for layer in self.layers:
            layer.keep_rows(keep)
        self.rows, self.alive = self.rows[keep], self.alive[keep]
        if len(self.positions) > 1:
            self.positions = self.positions[keep]
        if self.mask is not None:
            self.mask = self.mask[keep]
        return tokens[keep]

    def finish(self) -> Samples:
        longest = int(self.lengths.max())
        rows = self.tokens.tolist()
        return Samples(
            responses=[row[:n] for row, n in zip(rows, self.lengths.tolist(), strict=True)],
            stopped=self.stopped.tolist(),
            logprob_B_R=self.logprob[:, :longest].cpu(),
            entropy_B_R=self.entropy[:, :longest].cpu(),
            value_B_R=self.value[:, :longest].cpu(),
        )
