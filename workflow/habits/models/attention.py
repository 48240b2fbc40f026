"""Attention for small models on CPU, registered with transformers under the name ``grouped``.

One batched matrix product over query groups, softmax, another product. transformers' own ways copy every
key and value head for each token that is sampled: with them sampling takes 1.2 to 2 times as long
(benchmarks/generation.py). In training this one is level with ``eager`` (benchmarks/training.py).
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface

NAME = "grouped"


def grouped_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention, Ainslie et al. 2023 (grouped queries) without expanding the key/value heads.

    Args:
        module: the attention layer (unused; part of transformers' interface).
        query: ``[batch, heads, T, head_dim]``; the last T positions of the sequence.
        key, value: ``[batch, kv_heads, S, head_dim]``.
        attention_mask: ``[batch, S]``, True for real tokens and False for left padding; None: no padding.
        scaling: factor of the scores.
        dropout: must be 0.

    Returns:
        ``[batch, T, heads, head_dim]`` and None (no attention weights).
    """
    if dropout:
        raise ValueError("grouped attention has no dropout; set attention_dropout to 0")
    batch, heads, length, width = query.shape
    kv_heads, total = key.shape[1], key.shape[2]
    q = query.reshape(batch, kv_heads, heads // kv_heads * length, width)
    scores = torch.matmul(q * scaling, key.transpose(2, 3))
    lowest = torch.finfo(scores.dtype).min
    if length > 1:
        future = torch.full((length, total), lowest, dtype=scores.dtype, device=scores.device)
        scores = scores + future.triu(1 + total - length).repeat(heads // kv_heads, 1)
    if attention_mask is not None:
        scores = scores.masked_fill(~attention_mask[:, None, None, :].bool(), lowest)
    mixed = torch.matmul(scores.softmax(-1), value)
    return mixed.view(batch, heads, length, width).transpose(1, 2), None


def padding_mask(attention_mask: torch.Tensor | None = None, **_: Any) -> torch.Tensor | None:
    """The padding mask as it is: `grouped_attention` adds causality itself."""
    return attention_mask


def register() -> str:
    """Make ``grouped`` known to transformers; returns its name for ``attn_implementation``."""
    AttentionInterface.register(NAME, grouped_attention)
    AttentionMaskInterface.register(NAME, padding_mask)
    return NAME
