"""Attention by the textbook formula: slow, quadratic in memory, and the only one that returns its weights."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def attend_eagerly(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    dropout: float = 0.0,
    **_: object,
) -> tuple[Tensor, Tensor]:
    """Attend and keep the weights: the implementation `eager`, with the signature transformers asks for.

    Args:
        module: The attention layer.
        query: `(batch, heads, tokens, head_dim)`.
        key: `(batch, kv_heads, keys, head_dim)`.
        value: Like `key`.
        attention_mask: Added to the scores, `(batch, 1, tokens, keys)`.
        scaling: Factor on the scores.
        dropout: Share of the weights to drop.

    Returns:
        Output `(batch, tokens, heads, head_dim)` and weights `(batch, heads, tokens, keys)`.
    """
    batch, heads, tokens, dim = query.shape
    kv_heads = key.shape[1]
    grouped = query.reshape(batch, kv_heads, -1, dim)  # (B, K, H / K * T, D): the group shares its key head
    scores = (grouped @ key.transpose(2, 3)).view(batch, heads, tokens, -1) * scaling  # (B, H, T, S)
    if attention_mask is not None:
        scores = scores + attention_mask
    weights = F.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)
    weights = F.dropout(weights, p=dropout, training=module.training)
    output = weights.reshape(batch, kv_heads, -1, key.shape[2]) @ value  # (B, K, H / K * T, D)
    return output.view(batch, heads, tokens, dim).transpose(1, 2).contiguous(), weights
