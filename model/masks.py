"""Which keys the tokens of each kind of layer may see: the kinds of a config checked, their masks made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from torch import Tensor
from transformers import CwmConfig
from transformers.cache_utils import Cache
from transformers.masking_utils import create_causal_mask, create_sliding_window_causal_mask

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.attention.implementation import NAME as INTERVAL
from cwm_trace.model.attention.implementation import packed_intervals

_MASKS: dict[str, Callable[..., Any]] = {
    "full_attention": create_causal_mask,
    "sliding_attention": create_sliding_window_causal_mask,
}


class LayerTypesError(CwmTraceError, ValueError):
    """The config describes layers that CWM does not have."""


def check_layer_types(config: CwmConfig) -> None:
    """Check that every layer of `config` has a kind this model knows.

    Raises:
        LayerTypesError: A kind is unknown, there is not one per layer, or window layers have no window.
    """
    kinds = config.layer_types
    assert kinds is not None, "CwmConfig fills in layer_types"
    unknown = sorted({kind for kind in kinds if kind not in _MASKS})
    if unknown:
        known = " or ".join(map(repr, _MASKS))
        raise LayerTypesError(f"layer_types holds {unknown[0]!r}: a CWM layer is {known}")
    layers = config.num_hidden_layers
    if len(kinds) != layers:
        raise LayerTypesError(f"layer_types has {len(kinds)} entries for {layers} layers: name each once")
    if "sliding_attention" in kinds and not config.sliding_window:
        raise LayerTypesError(
            f"sliding_window is {config.sliding_window}: window layers need at least 1 token"
        )


def make_masks(
    config: CwmConfig, x: Tensor, attention_mask: Any, cache: Cache | None, position_ids: Tensor
) -> dict[str, Any]:
    """Make the mask of each kind of layer, in the form its attention implementation takes.

    Args:
        config: Of the model.
        x: Embeddings `(batch, tokens, width)`.
        attention_mask: As for `CwmModel.forward`; masks that are ready come back.
        cache: What was seen before.
        position_ids: `(batch or 1, tokens)`.
    """
    if isinstance(attention_mask, dict):
        return attention_mask
    kinds = dict.fromkeys(cast("list[str]", config.layer_types))
    if attention_mask is None and cache is None and config._attn_implementation == INTERVAL:
        positions = position_ids.expand(x.shape[0], -1)
        windows = {kind: None if kind == "full_attention" else config.sliding_window for kind in kinds}
        return {kind: packed_intervals(positions, window) for kind, window in windows.items()}
    common = {
        "config": config,
        "inputs_embeds": x,
        "attention_mask": attention_mask,
        "past_key_values": cache,
        "position_ids": position_ids,
    }
    return {kind: _MASKS[kind](**common) for kind in kinds}
