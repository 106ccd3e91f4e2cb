"""Interval attention: the one attention operation of this model, in PyTorch.

Definition. A store holds the keys and values of one text, in `capacity` slots; key number n (its position in
the text) lies in slot `n mod capacity`, so a store may be a ring that keeps the latest keys. Query token t
attends the keys numbered `lo[t] <= n < hi[t]` of store `store[t]` and nothing else:

    score(t, n) = scale * <q_t, k_n>
    lse_t       = log sum_n exp(score(t, n))
    out_t       = sum_n exp(score(t, n) - lse_t) * v_n

Query head h reads key head `h // (heads / kv_heads)`. An empty interval gives output 0 and log-sum-exp -inf.
What a token gets from two disjoint sets of keys merges by log-sum-exp (`merge`). That covers packed prefill,
where lo is the start of the document or of the window; decoding over ring and growing caches; and branches,
which attend a prefix they share and a suffix of their own.

How it runs on a CPU. Intervals are planned once per step and kind of layer (`plan.py`) and cut into tiles.
Tokens of one store are folded into the query dimension, so a prefix is read once for all its branches and
never copied; a window costs its band, and no mask is larger than one tile. Gradients are in `backward.py`.

How it runs on a GPU. By the CUDA kernels in `csrc/`, if `kernels.py` finds all they need and no gradient is
wanted; else by the same operations as on a CPU.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from cwm_trace.model.attention.kernels import find_kernels
from cwm_trace.model.attention.launch import MOST_SEGMENTS, launch_attention
from cwm_trace.model.attention.schedule import Plan, Schedule, Stores, Tile, plan_intervals

_FEW_ROWS = 64
"""Up to so many rows per key head the mask is repeated for every head; above, the keys are."""


@dataclass(slots=True)
class Traffic:
    """Bytes of keys and values that tiles have read from stores."""

    bytes: int = 0


_counters: list[Traffic] = []


@contextmanager
def count_traffic() -> Iterator[Traffic]:
    """Count the bytes of keys and values that PyTorch's operations read from stores, in this process.

    A tile counts once for all its tokens and heads: that is what the shared prefix is about.
    """
    traffic = Traffic()
    _counters.append(traffic)
    try:
        yield traffic
    finally:
        _counters.remove(traffic)


def attend(
    q: Tensor, keys: Tensor, values: Tensor, plan: Plan, scale: float, need_lse: bool = True
) -> tuple[Tensor, Tensor | None]:
    """Attend planned intervals; differentiable in the output.

    Args:
        q: `(tokens, heads, head_dim)`.
        keys: `(stores, capacity, kv_heads, head_dim)`, any strides.
        values: Like `keys`.
        plan: From `plan_intervals`, for this capacity.
        scale: Factor on the scores, usually head_dim ** -0.5.
        need_lse: Return the log-sum-exp too.

    Returns:
        Output `(tokens, heads, head_dim)` and, if asked for, log-sum-exp in nats, float32 `(tokens, heads)`.
    """
    kernels = find_kernels(q, keys, values)
    if kernels is not None:
        return launch_attention(kernels, q, (Stores(keys, values),), plan.schedule, scale)
    tokens, heads, dim = q.shape
    if len(plan.tiles) == 1 and plan.empty is None:
        return _attend_tile(q, keys, values, plan.tiles[0], scale, need_lse)
    out = q.new_zeros(tokens, heads, dim)
    lse = q.new_full((tokens, heads), -math.inf, dtype=torch.float32) if need_lse else None
    for tile in plan.tiles:
        part, part_lse = _attend_tile(q, keys, values, tile, scale, need_lse)
        shape = (tile.runs, tile.stride, heads, dim)
        rows = slice(tile.first, tile.first + tile.runs * tile.stride)
        columns = slice(tile.begin, tile.end)
        out[rows].view(shape)[:, columns] = part.view(tile.runs, -1, heads, dim)  # (R, T, H, D)
        if lse is not None and part_lse is not None:
            lse[rows].view(shape[:3])[:, columns] = part_lse.view(tile.runs, -1, heads)  # (R, T, H)
    if plan.empty is not None:  # a masked-out row is 0 or NaN by now, as the kernel pleases
        empty = plan.empty.to(out.device)
        out = out.masked_fill(empty[:, None, None], 0.0)
        lse = lse.masked_fill(empty[:, None], -math.inf) if lse is not None else None
    return out, lse


def attend_segments(
    q: Tensor, stores: Sequence[Stores], schedule: Schedule, scale: float
) -> tuple[Tensor, Tensor]:
    """Attend all segments of a step: a shared prefix and private suffixes, or paged stores.

    The CUDA kernels take one or two segments at once. Otherwise each is attended by itself, with its
    pages side by side in a copy, and the parts are merged.

    Args:
        q: `(tokens, heads, head_dim)`.
        stores: Of each segment, which are disjoint sets of keys.
        schedule: Of the step.
        scale: Factor on the scores, usually head_dim ** -0.5.

    Returns:
        Output `(tokens, heads, head_dim)` and log-sum-exp in nats, float32 `(tokens, heads)`.
    """
    kernels = find_kernels(q, *(x for each in stores for x in (each.keys, each.values)))
    if kernels is not None and len(stores) <= MOST_SEGMENTS:
        return launch_attention(kernels, q, stores, schedule, scale)
    merged: tuple[Tensor, Tensor] | None = None
    for each, plan in zip(stores, schedule.plans, strict=True):
        keys, values, _ = each.gather()
        out, lse = attend(q, keys, values, plan, scale)
        assert lse is not None
        merged = (out, lse) if merged is None else merge(*merged, out, lse)
    assert merged is not None
    return merged


def _attend_tile(
    q: Tensor, keys: Tensor, values: Tensor, tile: Tile, scale: float, need_lse: bool
) -> tuple[Tensor, Tensor | None]:
    """Attend one tile: `(runs * tokens, heads, head_dim)` and log-sum-exp `(runs * tokens, heads)`."""
    runs, count = tile.runs, tile.end - tile.begin
    tokens, heads, dim = q.shape
    kv_heads = keys.shape[2]
    group = heads // kv_heads
    k, v = _read(keys, tile), _read(values, tile)  # (R, K, S, D)
    for counter in _counters:
        counter.bytes += 2 * k.numel() * k.element_size()
    rows = q if runs * tile.stride == tokens else q[tile.first : tile.first + runs * tile.stride]
    mask = tile.mask(q.dtype, q.device)
    if tile.stride == 1:  # a decode step, where views must not cost more than the attention
        folded = rows.view(runs, kv_heads, group, dim)  # (R, K, G, D)
        if mask is not None:
            mask = mask.unsqueeze(1).expand(-1, -1, group, -1)  # (R or 1, 1, G, S)
        out, lse = _softmax_product(folded, k, v, mask, False, scale, need_lse)
        return out.reshape(runs, heads, dim), lse.reshape(runs, heads) if lse is not None else None
    rows = rows.view(runs, tile.stride, kv_heads, group, dim)[:, tile.begin : tile.end]  # (R, T, K, G, D)
    if not tile.causal and (mask is None or count * group <= _FEW_ROWS):
        # a key head serves its whole group and all tokens of the run as rows of one product
        folded = rows.transpose(1, 2).reshape(runs, kv_heads, count * group, dim)  # (R, K, T * G, D)
        if mask is not None:
            mask = mask.repeat_interleave(group, dim=1).unsqueeze(1)  # (R or 1, 1, T * G, S)
        out, lse = _softmax_product(folded, k, v, mask, False, scale, need_lse)
        out = out.view(runs, kv_heads, count, group, dim).transpose(1, 2)  # (R, T, K, G, D)
        if lse is not None:
            lse = lse.view(runs, kv_heads, count, group).transpose(1, 2)  # (R, T, K, G)
    else:
        # many rows: one product per query head, whose mask is as small as the tile
        grouped = rows.permute(0, 2, 3, 1, 4)  # (R, K, G, T, D)
        k = k.unsqueeze(2).expand(-1, -1, group, -1, -1)  # (R, K, G, S, D)
        v = v.unsqueeze(2).expand(-1, -1, group, -1, -1)  # (R, K, G, S, D)
        # one store: views; several: a copy of the keys per group, little beside this many rows
        shape = (kv_heads, group) if runs == 1 else (runs, heads)
        mask = mask.unsqueeze(1) if mask is not None else None  # (R or 1, 1, T, S)
        out, lse = _softmax_product(
            grouped.reshape(*shape, count, dim),
            k.reshape(*shape, -1, dim),
            v.reshape(*shape, -1, dim),
            mask,
            tile.causal,
            scale,
            need_lse,
        )
        out = out.view(runs, kv_heads, group, count, dim).permute(0, 3, 1, 2, 4)  # (R, T, K, G, D)
        if lse is not None:
            lse = lse.view(runs, kv_heads, group, count).permute(0, 3, 1, 2)  # (R, T, K, G)
    out = out.reshape(runs * count, heads, dim)
    return out, lse.reshape(runs * count, heads) if lse is not None else None


def _read(store: Tensor, tile: Tile) -> Tensor:
    """View the slots a tile reads, `(runs, kv_heads, slots, head_dim)`."""
    if store.shape[0] != tile.runs:
        store = store.narrow(0, tile.store, tile.runs)
    if store.shape[1] != tile.stop - tile.start:
        store = store.narrow(1, tile.start, tile.stop - tile.start)
    return store.transpose(1, 2)


def _softmax_product(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool, scale: float, need_lse: bool
) -> tuple[Tensor, Tensor | None]:
    """Attend q `(batch, heads, rows, head_dim)` to k, v `(batch, heads, slots, head_dim)`.

    PyTorch's flash kernel for the CPU returns the log-sum-exp that `scaled_dot_product_attention` hides.
    """
    if not need_lse:
        attention = F.scaled_dot_product_attention
        return attention(q, k, v, attn_mask=mask, is_causal=causal, scale=scale), None
    if q.device.type == "cpu" and not q.requires_grad:
        kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
        out, lse = kernel(q, k, v, 0.0, causal, attn_mask=mask, scale=scale)
        return out, lse.float()
    scores = (q @ k.transpose(-1, -2)).float() * scale  # (B, H, T, S)
    if mask is not None:
        scores = scores + mask
    if causal:
        later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu(1)
        scores = scores.masked_fill(later, -math.inf)
    lse = scores.logsumexp(-1)  # (B, H, T)
    weights = (scores - lse.clamp(min=-1e30).unsqueeze(-1)).exp().to(v.dtype)
    return weights @ v, lse


def merge(out_a: Tensor, lse_a: Tensor, out_b: Tensor, lse_b: Tensor) -> tuple[Tensor, Tensor]:
    """Merge what tokens got from two disjoint sets of keys (Dao et al. 2022, arXiv:2205.14135, section 3.1).

    Args:
        out_a: `(tokens, heads, head_dim)`.
        lse_a: Log-sum-exp in nats, `(tokens, heads)`.
        out_b: Like `out_a`.
        lse_b: Like `lse_a`.

    Returns:
        Output and log-sum-exp over both sets; 0 and -inf where both are empty.
    """
    lse = torch.logaddexp(lse_a, lse_b)
    base = lse.clamp(min=-1e30)  # -inf - -inf is not a number
    weight_a = (lse_a - base).exp().unsqueeze(-1)  # (T, H, 1)
    weight_b = (lse_b - base).exp().unsqueeze(-1)  # (T, H, 1)
    return (out_a * weight_a + out_b * weight_b).to(out_a.dtype), lse


@torch.library.custom_op("cwm_trace::interval_attention", mutates_args=())
def interval_attention(
    q: Tensor, keys: Tensor, values: Tensor, store: Tensor, lo: Tensor, hi: Tensor, scale: float
) -> tuple[Tensor, Tensor]:
    """Attend intervals: the operator, for every device; differentiable in both results.

    It plans each time, which on a GPU waits for the three tensors of intervals; layers and caches plan once
    per step and call `attend`.

    Args:
        q: `(tokens, heads, head_dim)`.
        keys: `(stores, capacity, kv_heads, head_dim)`.
        values: Like `keys`.
        store: Store of each token, int64 `(tokens,)`.
        lo: First key number, int64 `(tokens,)`.
        hi: Key number after the last, int64 `(tokens,)`.
        scale: Factor on the scores.

    Returns:
        Output `(tokens, heads, head_dim)` and log-sum-exp in nats, float32 `(tokens, heads)`.

    Raises:
        CwmTraceError: An interval holds more keys than a store has slots.
    """
    plan = plan_intervals(store, lo, hi, keys.shape[1])
    out, lse = attend(q, keys, values, plan, scale)
    assert lse is not None
    return out.contiguous(), lse.contiguous()


@interval_attention.register_fake
def _(q: Tensor, *_: object) -> tuple[Tensor, Tensor]:
    out = torch.empty_like(q, memory_format=torch.contiguous_format)
    return out, q.new_empty(q.shape[:2], dtype=torch.float32)
