"""The angles of a rotary embedding: one formula, for arrays of NumPy and of PyTorch alike."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeVar

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

_A = TypeVar("_A", bound=Any)


def pair_frequencies(rope: Mapping[str, Any], pairs: _A, head_dim: int) -> _A:
    """Compute the angle per position of every rotated pair.

    `default` is RoPE (Su et al. 2021, arXiv:2104.09864, eq. 15): theta ** (-2i / D). `llama3` (Llama 3.1)
    keeps the pairs that turn fast, slows down by `factor` those whose wavelength exceeds the old context,
    and goes over smoothly in between.

    Args:
        rope: `rope_parameters` of a configuration, of one of `OWN_KINDS`.
        pairs: 2i of each pair, float32 `(head_dim / 2,)`.
        head_dim: numbers of a head.

    Returns:
        Radians per token, of the type and shape of `pairs`.
    """
    frequencies: _A = 1.0 / (rope["rope_theta"] ** (pairs / head_dim))
    if rope.get("rope_type", "default") == "default":
        return frequencies
    turns = rope["original_max_position_embeddings"] * frequencies / (2 * math.pi)  # in the original context
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    keep = ((turns - low) / (high - low)).clip(0, 1)  # 0: slowed down by the whole factor, 1: kept
    scaled: _A = (1 - keep) * frequencies / rope["factor"] + keep * frequencies
    return scaled
