"""The attention implementation `interval`, for our model and for every model of transformers.

It is registered twice: as attention, and as the mask it wants. With the first alone transformers would give
it no mask, and left padding would be lost. The mask is an interval per token; a pattern that is none (holes
in the padding, custom 4D masks) goes to `scaled_dot_product_attention`.

`torch.compile` and `torch.export` see operators: `find_spans` for padding, `interval_attention` for a layer,
which plans each time. A graph cannot turn to another implementation while it runs: holes are refused there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import causal_mask_function, sdpa_mask
from transformers.utils.import_utils import is_tracing

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.attention.interval import attend, interval_attention
from cwm_trace.model.attention.schedule import Plan, plan_intervals

NAME = "interval"
_ROWS = 256
"""Query rows of a mask looked at together, when intervals have to be read off a mask function."""


class IntervalMask:
    """The keys each token attends, and the plan for all layers of a kind.

    Args:
        lo: First key, `(batch, tokens)`.
        hi: Key after the last, `(batch, tokens)`.
        keys: Keys of each text.
    """

    def __init__(self, lo: Tensor, hi: Tensor, keys: int) -> None:
        batch, tokens = lo.shape
        self.store = torch.arange(batch, device=lo.device).repeat_interleave(tokens)
        self.lo, self.hi = lo.flatten(), hi.flatten()
        self.keys = keys

    @cached_property
    def plan(self) -> Plan:
        """How the layers attend; made for the first of them."""
        return plan_intervals(self.store, self.lo, self.hi, self.keys)

    def contiguous(self) -> IntervalMask:
        """Return itself: `generate` asks this of every mask it prepares."""
        return self


def attend_intervals(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: IntervalMask | Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attend by intervals, with the signature transformers asks for.

    Args:
        module: The attention layer.
        query: `(batch, heads, tokens, head_dim)`.
        key: `(batch, kv_heads, keys, head_dim)`.
        value: Like `key`.
        attention_mask: From `interval_mask`; a tensor goes to `scaled_dot_product_attention`, as does None.
        dropout: Not offered here.
        scaling: Factor on the scores; head_dim ** -0.5 if None.
        **kwargs: For `scaled_dot_product_attention`.

    Returns:
        Output `(batch, tokens, heads, head_dim)`, and None for the weights.

    Raises:
        CwmTraceError: Dropout is asked for.
    """
    if not isinstance(attention_mask, IntervalMask):
        out, _ = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
        return out, None
    if dropout:
        raise CwmTraceError(
            f"interval attention has no dropout, attention_dropout is {dropout}: train with sdpa"
        )
    batch, heads, tokens, dim = query.shape
    scale = dim**-0.5 if scaling is None else scaling
    q = query.transpose(1, 2).reshape(batch * tokens, heads, dim)
    keys, values = key.transpose(1, 2), value.transpose(1, 2)  # (B, S, K, D)
    if not is_tracing(query) and (query.device.type == "cpu" or not torch.is_grad_enabled()):
        # the plan is at hand; and on a CPU PyTorch's own gradients are faster than ours
        out, _ = attend(q, keys, values, attention_mask.plan, scale, need_lse=False)
    else:
        mask = attention_mask
        out, _ = interval_attention(q, keys, values, mask.store, mask.lo, mask.hi, scale)
    return out.view(batch, tokens, heads, dim), None


def interval_mask(
    batch_size: int,
    q_length: int,
    kv_length: int,
    q_offset: int | Tensor = 0,
    kv_offset: int = 0,
    mask_function: Callable[..., Any] = causal_mask_function,
    attention_mask: Tensor | None = None,
    local_size: int | None = None,
    allow_is_causal_skip: bool = True,
    use_vmap: bool = False,
    device: torch.device | str = "cpu",
    config: Any = None,
    **kwargs: Any,
) -> IntervalMask | Tensor | None:
    """Turn a mask function and padding into an interval per token, with the signature transformers asks for.

    Args:
        batch_size: Texts.
        q_length: Query tokens.
        kv_length: Keys.
        q_offset: Position of the first query.
        kv_offset: Position of the first key.
        mask_function: Says whether a query position sees a key position.
        attention_mask: True for tokens and False for padding, `(batch, seen + q_length)`.
        local_size: The window, if there is one.
        allow_is_causal_skip: False if `mask_function` is more than causality and window.
        use_vmap: True for mask functions that do not broadcast.
        device: Of the mask.
        config: Of the model.
        **kwargs: For `sdpa_mask`.

    Returns:
        Intervals, or the mask of `sdpa` where there are none.

    Raises:
        CwmTraceError: A compiled graph finds holes in the padding or the mask function.
    """
    mask: IntervalMask | Tensor | None = None
    if not use_vmap:
        real = None if attention_mask is None else attention_mask[:, kv_offset : kv_offset + kv_length]
        if real is not None and real.shape[1] < kv_length:  # static caches have room for more
            real = nn.functional.pad(real, (0, kv_length - real.shape[1]))
        chunked = getattr(config, "attention_chunk_size", None) is not None  # also passes a local_size
        if allow_is_causal_skip and not chunked:
            rows = torch.arange(q_length, device=device) + q_offset - kv_offset
            hi = (rows + 1).clamp(max=kv_length).expand(batch_size, -1)
            lo = (
                torch.zeros_like(hi)
                if local_size is None
                else (rows + 1 - local_size).clamp(min=0).expand_as(hi)
            )
            if real is None:
                return IntervalMask(lo, hi, kv_length)
            first, last, whole = _interval(real)
            if whole:
                return IntervalMask(
                    torch.maximum(lo, first[:, None]), torch.minimum(hi, last[:, None]), kv_length
                )
        else:
            mask = _read_off(
                batch_size, q_length, kv_length, q_offset, kv_offset, mask_function, real, device
            )
    if mask is not None:
        return mask
    dense: Tensor | None = sdpa_mask(
        batch_size=batch_size,
        q_length=q_length,
        kv_length=kv_length,
        q_offset=cast(int, q_offset),
        kv_offset=kv_offset,
        mask_function=mask_function,
        attention_mask=attention_mask,
        local_size=local_size,
        allow_is_causal_skip=allow_is_causal_skip,
        use_vmap=use_vmap,
        device=device,
        config=config,
        **kwargs,
    )
    return dense


def packed_intervals(positions: Tensor, window: int | None) -> IntervalMask:
    """The intervals of rows that hold one document after the other.

    The same as `interval_mask` reads off the mask function that transformers makes for such rows, without
    looking at every pair of tokens.

    Args:
        positions: `(batch, tokens)`; one that does not follow the one before it begins a document.
        window: Latest keys that a token sees, itself included; None: its whole document.
    """
    places = torch.arange(positions.shape[1], device=positions.device)
    begins = positions.diff(prepend=positions[:, :1]) != 1  # (B, T); the first is one in any case
    lo = torch.where(begins, places, 0).cummax(1).values
    if window is not None:
        lo = torch.maximum(lo, places + 1 - window)
    return IntervalMask(lo, (places + 1).expand_as(lo), positions.shape[1])


def _interval(seen: Tensor) -> tuple[Tensor, Tensor, bool]:
    """Return first and last + 1 of the True entries of the last dimension, and whether they are one run."""
    if is_tracing(seen):
        return *find_spans(seen), True
    return _find_run(seen)


def _find_run(seen: Tensor) -> tuple[Tensor, Tensor, bool]:
    count = seen.sum(-1)
    first = seen.int().argmax(-1)
    last = seen.shape[-1] - seen.flip(-1).int().argmax(-1)
    last = torch.where(count > 0, last, first)
    return first, last, bool((last - first == count).all())


@torch.library.custom_op("cwm_trace::find_spans", mutates_args=())
def find_spans(seen: Tensor) -> tuple[Tensor, Tensor]:
    """Find where the True entries of the last dimension begin and end, in a compiled graph.

    Args:
        seen: bool `(..., keys)`.

    Returns:
        First and last + 1, int64 `(...)`; equal where there are none.

    Raises:
        CwmTraceError: They are not one run.
    """
    first, last, whole = _find_run(seen)
    if not whole:
        raise CwmTraceError(
            "interval attention in a compiled model takes padding before and after a text, and this mask has "
            "holes: compile it with sdpa, or do not compile it"
        )
    return first, last


@find_spans.register_fake
def _(seen: Tensor) -> tuple[Tensor, Tensor]:
    return seen.new_empty(seen.shape[:-1], dtype=torch.int64), seen.new_empty(
        seen.shape[:-1], dtype=torch.int64
    )


def _read_off(
    batch: int,
    tokens: int,
    keys: int,
    q_offset: int | Tensor,
    kv_offset: int,
    mask_function: Callable[..., Any],
    real: Tensor | None,
    device: torch.device | str,
) -> IntervalMask | None:
    """Find the intervals of any mask function, a few rows at a time; None if one has holes."""
    texts = torch.arange(batch, device=device)[:, None, None, None]
    head = torch.zeros(1, dtype=torch.int64, device=device)[None, :, None, None]
    columns = torch.arange(keys, device=device) + kv_offset
    lows, highs = [], []
    step = (
        tokens if is_tracing(columns) else _ROWS
    )  # a graph of as many parts as rows would be a graph per length
    for begin in range(0, tokens, step):
        rows = torch.arange(begin, min(begin + step, tokens), device=device) + q_offset
        seen = mask_function(texts, head, rows[None, None, :, None], columns[None, None, None, :])
        seen = seen.expand(batch, 1, len(rows), keys)[:, 0]  # (B, T, S)
        if real is not None:
            seen = seen & real[:, None]
        first, last, whole = _interval(seen)
        if not whole:
            return None
        lows.append(first)
        highs.append(last)
    return IntervalMask(torch.cat(lows, 1), torch.cat(highs, 1), keys)


AttentionInterface.register(NAME, attend_intervals)
AttentionMaskInterface.register(NAME, cast(Any, interval_mask))
