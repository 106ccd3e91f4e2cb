"""What each of several cards takes that share a model: tensor parallel, as vLLM and transformers split it.

Every card holds its part of each matrix and of the vocabulary, the norms whole, and the keys and values of
its own heads; with more cards than key heads, some hold the same head. Nothing here imports torch or loads a
weight.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.info import CARDS, INT4_GROUP, USABLE, count_cache_bytes, list_cards
from cwm_trace.model.shape import CwmShape

DTYPES = ("fp32", "bf16", "fp8", "int4")
"""How the linear layers are stored; as in `count_weight_bytes`, the rest is bf16 with fp8 and int4."""


@dataclass(frozen=True, slots=True)
class Placement:
    """A model on several cards.

    Args:
        gpus: Cards.
        dtype: One of `DTYPES`.
        context: Tokens of a sequence.
        weights: Bytes of weights on a card.
        rings: Bytes of a sequence's keys and values on a card, window layers keeping their window only, bf16.
        full: The same, every layer keeping all.
    """

    gpus: int
    dtype: str
    context: int
    weights: int
    rings: int
    full: int

    def sequences(self, gibibytes: float, *, rings: bool = True) -> int | None:
        """How many sequences fit beside the weights on cards of this size; None if the weights do not."""
        left = gibibytes * 2**30 * USABLE - self.weights
        return None if left < 0 else int(left // (self.rings if rings else self.full))


def place_model(shape: CwmShape, gpus: int, dtype: str, context: int) -> Placement:
    """Count the bytes of a card.

    Args:
        shape: The model's measures.
        gpus: Cards that share it.
        dtype: One of `DTYPES`.
        context: Tokens of a sequence.

    Raises:
        CwmTraceError: The heads, the MLP or the key heads cannot be shared by so many.

    >>> from cwm_trace.model.shape import read_shape
    >>> placed = place_model(read_shape({"model_type": "cwm"}, "CWM-32B"), 2, "bf16", 131072)
    >>> round(placed.weights / 1e9, 1), round(placed.rings / 1e9, 1)
    (32.6, 5.1)
    """
    keys = shape.num_key_value_heads
    for what, count in (("heads", shape.num_attention_heads), ("rows of the MLP", shape.intermediate_size)):
        if count % gpus:
            raise CwmTraceError(f"{gpus} cards cannot share {count} {what}: take a number that divides them")
    if keys % gpus and gpus % keys:
        raise CwmTraceError(f"{gpus} cards cannot share {keys} key heads: take a number that divides them")
    held = max(1, keys // gpus)  # key heads on a card
    total = sum(
        _tensor_bytes(name, size, dtype, gpus, held / keys) for name, size in shape.tensor_shapes().items()
    )
    own = shape.model_copy(update={"num_key_value_heads": held})
    caches = (count_cache_bytes(own, context, 1, rings=rings) for rings in (True, False))
    return Placement(gpus, dtype, context, total, *caches)


def _tensor_bytes(name: str, size: tuple[int, ...], dtype: str, gpus: int, key_share: float) -> int:
    """Bytes of a card's part of one tensor."""
    numbers = math.prod(size)
    if "norm" in name:
        part = numbers
    elif ".k_proj." in name or ".v_proj." in name:
        part = round(numbers * key_share)
    else:
        part = -(-size[0] // gpus) * numbers // size[0]  # the last card may hold less of the vocabulary
    if dtype == "fp32":
        return 4 * part
    if dtype == "bf16" or "_proj." not in name:
        return 2 * part
    return part if dtype == "fp8" else part // 2 + 2 * (part // INT4_GROUP)


def list_placement(placed: Placement) -> dict[str, Any]:
    """The numbers for JSON; sizes in bytes."""
    return {
        "gpus": placed.gpus,
        "dtype": placed.dtype,
        "context": placed.context,
        "weight_bytes": placed.weights,
        "cache_bytes": {"full": placed.full, "rings": placed.rings},
        "sequences": {
            card: {"full": placed.sequences(size, rings=False), "rings": placed.sequences(size)}
            for card, size in CARDS.items()
        },
    }


def render_placement(placed: Placement) -> str:
    """What `model info --gpus` prints."""
    cards = "1 card" if placed.gpus == 1 else f"each of {placed.gpus} cards, tensor parallel"
    lines = [
        "",
        f"on {cards}: {placed.weights / 1e9:.1f} GB of weights in {placed.dtype}, and for a sequence of "
        f"{placed.context:,} tokens",
        f"{placed.rings / 1e9:.2f} GB of keys and values with rings, {placed.full / 1e9:.2f} GB in full",
        "",
        f"sequences beside the weights, {USABLE:.0%} of memory used (- : the weights do not fit)",
    ]
    counts = {c: (placed.sequences(size), placed.sequences(size, rings=False)) for c, size in CARDS.items()}
    return "\n".join([*lines, *list_cards(("rings", "full"), counts, 8)])
