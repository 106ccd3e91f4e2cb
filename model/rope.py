"""Rotary position embedding: the angles of a configuration, and turning by them."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from cwm_trace.model.frequencies import OWN_KINDS, pair_frequencies


def rope_frequencies(config: Any) -> tuple[Tensor, float]:
    """Compute the angle per position of every rotated pair, and the factor on cos and sin.

    Kinds that `cwm_trace.model.frequencies` does not know come from transformers.

    Args:
        config: A `CwmConfig`; of the kinds in `OWN_KINDS`, anything with `rope_parameters` and `head_dim`.

    Returns:
        Radians per token, float32 `(head_dim / 2,)`, and the factor (1 but for yarn and longrope).
    """
    rope = cast("dict[str, Any]", config.rope_parameters)
    kind = rope.get("rope_type", "default")
    if kind not in OWN_KINDS:
        from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

        frequencies, factor = ROPE_INIT_FUNCTIONS[kind](config)
        return frequencies, float(factor)
    pairs = torch.arange(0, config.head_dim, 2, dtype=torch.int64).float()  # (D / 2)
    return pair_frequencies(rope, pairs, config.head_dim), 1.0


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate each pair (x[i], x[i + D / 2]) of `(batch, tokens, heads, head_dim)` by its angle."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin
