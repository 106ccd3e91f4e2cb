"""Gradients of interval attention, tile by tile, from its output and log-sum-exp."""

from __future__ import annotations

import torch
from torch import Tensor

from cwm_trace.model.attention.interval import interval_attention
from cwm_trace.model.attention.schedule import Tile, plan_intervals


@torch.library.custom_op("cwm_trace::interval_attention_backward", mutates_args=())
def interval_attention_backward(
    grad_out: Tensor,
    grad_lse: Tensor,
    out: Tensor,
    lse: Tensor,
    q: Tensor,
    keys: Tensor,
    values: Tensor,
    store: Tensor,
    lo: Tensor,
    hi: Tensor,
    scale: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Differentiate `interval_attention` (Dao et al. 2022, arXiv:2205.14135, algorithm 4).

    Args:
        grad_out: Gradient of the output, `(tokens, heads, head_dim)`.
        grad_lse: Gradient of the log-sum-exp, `(tokens, heads)`.
        out: The output.
        lse: The log-sum-exp.
        q: The arguments of `interval_attention`, here and below.
        keys: `(stores, capacity, kv_heads, head_dim)`.
        values: Like `keys`.
        store: `(tokens,)`.
        lo: `(tokens,)`.
        hi: `(tokens,)`.
        scale: Factor on the scores.

    Returns:
        Gradients of `q`, `keys` and `values`.
    """
    # d score = weight * (<grad_out, v> - <grad_out, out> + grad_lse)
    shift = grad_lse - (grad_out.float() * out.float()).sum(-1)  # (T, H)
    grad_q = torch.zeros_like(q, memory_format=torch.contiguous_format)
    grad_keys = torch.zeros_like(keys, memory_format=torch.contiguous_format)
    grad_values = torch.zeros_like(grad_keys)
    for tile in plan_intervals(store, lo, hi, keys.shape[1]).tiles:
        kv_heads = keys.shape[2]
        read = slice(tile.store, tile.store + tile.runs), slice(tile.start, tile.stop)
        k, v = keys[read].transpose(1, 2).float(), values[read].transpose(1, 2).float()  # (R, K, S, D)
        rows, up, total = (_fold(x, tile, kv_heads) for x in (q, grad_out, torch.stack((lse, shift), -1)))
        scores = rows @ k.transpose(-1, -2) * scale  # (R, K, T * G, S)
        mask = tile.mask(torch.float32, q.device)
        if mask is not None:
            scores += mask.repeat_interleave(q.shape[1] // kv_heads, dim=1).unsqueeze(1)
        elif tile.causal:
            group = q.shape[1] // kv_heads
            later = (
                torch.arange(tile.stop - tile.start)
                > torch.arange(tile.end).repeat_interleave(group)[:, None]
            )
            scores.masked_fill_(later.to(scores.device), -torch.inf)
        weights = (scores - total[..., :1].clamp(min=-1e30)).exp()  # (R, K, T * G, S)
        grad_scores = weights * (up @ v.transpose(-1, -2) + total[..., 1:]) * scale
        _unfold(grad_q, tile, kv_heads).add_(
            (grad_scores @ k).view(tile.runs, kv_heads, tile.end - tile.begin, -1)
        )
        grad_keys[read] += (grad_scores.transpose(-1, -2) @ rows).transpose(1, 2).to(keys.dtype)
        grad_values[read] += (weights.transpose(-1, -2) @ up).transpose(1, 2).to(values.dtype)
    return grad_q, grad_keys, grad_values


def _unfold(x: Tensor, tile: Tile, kv_heads: int) -> Tensor:
    """View the tile's part of `(tokens, heads, dim)` as `(runs, kv_heads, tokens, group * dim)`."""
    rows = x[tile.first : tile.first + tile.runs * tile.stride]
    rows = rows.view(tile.runs, tile.stride, kv_heads, -1)[:, tile.begin : tile.end]
    return rows.transpose(1, 2)


def _fold(x: Tensor, tile: Tile, kv_heads: int) -> Tensor:
    """Copy the tile's part of `(tokens, heads, dim)` into float32 `(runs, kv_heads, tokens * group, dim)`."""
    part = _unfold(x.contiguous(), tile, kv_heads)
    return part.reshape(tile.runs, kv_heads, -1, x.shape[-1]).float()


@interval_attention_backward.register_fake
def _(
    _grad_out: Tensor,
    _grad_lse: Tensor,
    _out: Tensor,
    _lse: Tensor,
    q: Tensor,
    keys: Tensor,
    values: Tensor,
    *_: object,
) -> tuple[Tensor, Tensor, Tensor]:
    grads = (torch.empty_like(x, memory_format=torch.contiguous_format) for x in (q, keys, values))
    return next(grads), next(grads), next(grads)


def _save(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    *tensors, ctx.scale = inputs
    ctx.save_for_backward(*output, *tensors)


def _differentiate(ctx, grad_out, grad_lse):  # type: ignore[no-untyped-def]
    operator = torch.ops.cwm_trace.interval_attention_backward
    grads = operator(grad_out, grad_lse, *ctx.saved_tensors, ctx.scale)
    return (*grads, None, None, None, None)


interval_attention.register_autograd(_differentiate, setup_context=_save)
