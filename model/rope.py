"""Rotary position embedding: the angles of a configuration, and turning by them."""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import Tensor

OWN_KINDS = {
    "default": ("rope_theta",),
    "llama3": (
        "rope_theta",
        "factor",
        "low_freq_factor",
        "high_freq_factor",
        "original_max_position_embeddings",
    ),
}
"""Kinds of scaling that are computed here, and the numbers that each needs."""


def rope_frequencies(config: Any) -> tuple[Tensor, float]:
    """Compute the angle per position of every rotated pair, and the factor on cos and sin.

    `default` is RoPE (Su et al. 2021, arXiv:2104.09864, eq. 15): theta ** (-2i / D). `llama3` (Llama 3.1)
    keeps the pairs that turn fast, slows down by `factor` those whose wavelength exceeds the old context,
    and goes over smoothly in between. Other kinds come from transformers.

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
    frequencies = 1.0 / (rope["rope_theta"] ** (pairs / config.head_dim))
    if kind == "default":
        return frequencies, 1.0
    turns = rope["original_max_position_embeddings"] * frequencies / (2 * math.pi)  # in the original context
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    keep = ((turns - low) / (high - low)).clamp(0, 1)  # 0: slowed down by the whole factor, 1: kept
    return (1 - keep) * frequencies / rope["factor"] + keep * frequencies, 1.0


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate each pair (x[i], x[i + D / 2]) of `(batch, tokens, heads, head_dim)` by its angle."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin
