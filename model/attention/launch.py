"""Interval attention by the CUDA kernels: arguments, outputs, launches.

Nothing is copied where the last dimension is dense and all else is a multiple of 16 bytes, as in our caches:
keys and values may have any strides, and so may the rows of q, which the model cuts out of one product.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from ctypes import Structure, c_float, c_int, c_longlong, c_void_p

import torch
from torch import Tensor

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.attention.kernels import Kernels
from cwm_trace.model.attention.schedule import Schedule, Stores
from cwm_trace.model.attention.work import FAR

MOST_SEGMENTS = 2
_ALIGNED = 8
"""Numbers in the 16 bytes that a thread copies at a time."""


class RowsArgument(Structure):
    """`Rows` of layout.cuh."""

    _fields_ = [
        ("data", c_void_p),
        ("store_stride", c_longlong),
        ("slot_stride", c_int),
        ("head_stride", c_int),
    ]


class StoreArgument(Structure):
    """`Store` of layout.cuh."""

    _fields_ = [
        ("keys", RowsArgument),
        ("values", RowsArgument),
        ("pages", c_void_p),
        ("capacity", c_int),
        ("pages_per_text", c_int),
    ]


class AttendArgs(Structure):
    """`AttendArgs` of layout.cuh."""

    _fields_ = [
        ("q", c_void_p),
        ("q_token_stride", c_int),
        ("q_head_stride", c_int),
        ("stores", StoreArgument * MOST_SEGMENTS),
        ("bounds", c_void_p),
        ("items", c_void_p),
        ("out", c_void_p),
        ("lse", c_void_p),
        ("part_out", c_void_p),
        ("part_lse", c_void_p),
        ("tokens", c_int),
        ("heads", c_int),
        ("kv_heads", c_int),
        ("part_rows", c_int),
        ("scale_log2", c_float),
    ]


class CombineArgs(Structure):
    """`CombineArgs` of layout.cuh."""

    _fields_ = [
        ("first", c_void_p),
        ("part_row", c_void_p),
        ("part_out", c_void_p),
        ("part_lse", c_void_p),
        ("out", c_void_p),
        ("lse", c_void_p),
        ("heads", c_int),
        ("kv_heads", c_int),
        ("part_rows", c_int),
    ]


def launch_attention(
    kernels: Kernels, q: Tensor, stores: Sequence[Stores], schedule: Schedule, scale: float
) -> tuple[Tensor, Tensor]:
    """Attend a schedule.

    Args:
        kernels: That take these tensors.
        q: `(tokens, heads, head_dim)`.
        stores: Of each segment, one or two.
        schedule: Of the step.
        scale: Factor on the scores, above 0.

    Returns:
        Output `(tokens, heads, head_dim)` and log-sum-exp in nats, float32 `(tokens, heads)`.

    Raises:
        CwmTraceError: The driver refuses, or a tensor has 2 ** 31 numbers between neighbours.
    """
    tokens, heads, head_dim = q.shape
    kv_heads = stores[0].keys.shape[2]
    work, planned = schedule.work(q.device, kernels.blocks, heads, kv_heads)
    q = _align(q)
    stores = [Stores(_align(s.keys), _align(s.values), s.pages) for s in stores]
    out, lse = q.new_empty(tokens, heads, head_dim), q.new_empty(tokens, heads, dtype=torch.float32)
    if not work.covered:
        out.zero_(), lse.fill_(-math.inf)
    part_out = q.new_empty(kv_heads, work.part_rows, head_dim, dtype=torch.float32)
    part_lse = q.new_empty(kv_heads, work.part_rows, dtype=torch.float32)
    plan = planned.data_ptr()
    reads: dict[str, Tensor | None] = {"q": q, "plan": planned}
    for segment, each in enumerate(stores):
        reads |= {f"{name} {segment}": x for name, x in each._asdict().items()}
    kernels.watch(reads, {"out": out, "lse": lse, "part_out": part_out, "part_lse": part_lse})
    described = [_describe(each) for each in stores]
    argument = AttendArgs(
        q.data_ptr(),
        *(_fit(stride) for stride in q.stride()[:2]),
        (StoreArgument * MOST_SEGMENTS)(described[0], described[-1]),
        plan,
        0,
        *(x.data_ptr() for x in (out, lse, part_out, part_lse)),
        tokens,
        heads,
        kv_heads,
        work.part_rows,
        scale * math.log2(math.e),
    )
    with kernels.current():
        for tile, offset, count in work.launches:
            argument.items = plan + 4 * offset
            shared = tile.shared_bytes(head_dim)
            kernels.launch(tile.kernel, head_dim, q.dtype, (count, kv_heads), shared, argument)
        if work.part_rows:
            merging = CombineArgs(
                plan + 4 * work.first,
                plan + 4 * work.part_row,
                *(x.data_ptr() for x in (part_out, part_lse, out, lse)),
                heads,
                kv_heads,
                work.part_rows,
            )
            kernels.launch("combine_parts", head_dim, q.dtype, (tokens, kv_heads), 0, merging)
    return out, lse


def _align(x: Tensor) -> Tensor:
    """Return the tensor, or a dense copy if threads could not copy 16 bytes of it at a time."""
    aligned = x.stride(-1) == 1 and all(stride % _ALIGNED == 0 for stride in x.stride()[:-1])
    return x if aligned and x.data_ptr() % 16 == 0 else x.contiguous()


def _describe(stores: Stores) -> StoreArgument:
    keys, values, pages = stores
    rows = []
    for x in (keys, values):
        if x.shape[1] * x.stride(1) > FAR:  # kernels count within a store by 32 bits
            raise CwmTraceError(f"a store of {x.shape[1]} slots with stride {x.stride(1)} is too large")
        rows.append(RowsArgument(x.data_ptr(), x.stride(0), x.stride(1), _fit(x.stride(2))))
    table = (None, 0) if pages is None else (pages.data_ptr(), pages.shape[1])
    return StoreArgument(*rows, table[0], keys.shape[1], table[1])


def _fit(stride: int) -> int:
    if stride > FAR:
        raise CwmTraceError(f"a stride of {stride} numbers does not fit 32 bits: copy the tensor")
    return stride
