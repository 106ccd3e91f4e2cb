"""Times on a GPU: the kernels against SDPA, flex_attention and varlen_attn, on the same numbers."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention.flex_attention import create_block_mask, flex_attention
from torch.nn.attention.varlen import varlen_attn

from cwm_trace.model.attention.interval import attend, attend_segments
from cwm_trace.model.attention.schedule import Schedule, Stores, plan_intervals

HEADS, KV_HEADS, HEAD_DIM = 48, 8, 128
"""Of CWM-32B."""


def milliseconds(work: Callable[[], object], repeats: int = 20) -> float:
    """Return the median time of a call on the current stream, after three that do not count."""
    for _ in range(3):
        work()
    times: list[float] = []
    event: Any = torch.cuda.Event
    for _ in range(repeats):
        begin, end = event(enable_timing=True), event(enable_timing=True)
        begin.record()
        work()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end))
    return statistics.median(times)


def time_all(device: torch.device) -> Iterator[str]:
    """Yield a table's lines: each use, ours and the others, in milliseconds."""
    yield (
        "| bf16, 48/8 heads of 128 | ours, ms | "
        + " | ".join(("SDPA", "flex_attention", "varlen_attn"))
        + " |"
    )
    yield "|---|---|---|---|---|"
    rows = [(f"prefill {n}, window {w}", *_prefill(device, n, w)) for n, w in ((4096, 4096), (16384, 8192))]
    rows += [
        (f"{n} branches of a prefix of {p}", *_branches(device, n, p)) for n, p in ((16, 32768), (128, 8192))
    ]
    for name, ours, others in rows:
        cells = [f"{milliseconds(ours):.3f}"]
        cells += [_try(other) for other in others]
        yield f"| {name} | " + " | ".join(cells) + " |"


def _try(work: Callable[[], object]) -> str:
    """Return the time, or why there is none: not offered here, or out of memory."""
    try:
        return f"{milliseconds(work):.3f}"
    except (RuntimeError, ValueError, NotImplementedError) as error:
        return str(error).splitlines()[0][:60]


Sides = tuple[Callable[[], object], list[Callable[[], object]]]


def _numbers(device: torch.device, *shape: int) -> Tensor:
    return torch.randn(shape, device=device, dtype=torch.bfloat16)


def _prefill(device: torch.device, tokens: int, window: int) -> Sides:
    q, k, v = (_numbers(device, tokens, heads, HEAD_DIM) for heads in (HEADS, KV_HEADS, KV_HEADS))
    at = torch.arange(tokens)
    plan = plan_intervals(torch.zeros_like(at), (at + 1 - window).clamp(min=0), at + 1, tokens)
    heads_first = [x.transpose(0, 1)[None] for x in (q, k, v)]  # (1, H, T, D)
    numbers = at.to(device)
    seen = (numbers[None] <= numbers[:, None]) & (numbers[None] > numbers[:, None] - window)  # (T, S)

    def inside(_batch: Tensor, _head: Tensor, row: Tensor, column: Tensor) -> Tensor:
        return (column <= row) & (column > row - window)

    block_mask = create_block_mask(inside, None, None, tokens, tokens, device=str(device))
    sdpa: Any = F.scaled_dot_product_attention
    flex: Any = torch.compile(flex_attention)
    begins = torch.tensor([0, tokens], device=device, dtype=torch.int32)
    varlen: Any = varlen_attn
    return (
        lambda: attend(q, k[None], v[None], plan, HEAD_DIM**-0.5),
        [
            lambda: sdpa(*heads_first, attn_mask=seen, enable_gqa=True),
            lambda: flex(*heads_first, block_mask=block_mask, enable_gqa=True),
            lambda: varlen(
                q, k, v, begins, begins, tokens, tokens, window_size=(window - 1, 0), enable_gqa=True
            ),
        ],
    )


def _branches(device: torch.device, branches: int, prefix: int, own: int = 64) -> Sides:
    """The others read the prefix again for every branch, through views; their suffix is left out."""
    q = _numbers(device, branches, HEADS, HEAD_DIM)
    shared = [_numbers(device, 1, KV_HEADS, prefix, HEAD_DIM) for _ in range(2)]
    private = [_numbers(device, branches, KV_HEADS, own, HEAD_DIM) for _ in range(2)]
    zeros = torch.zeros(branches, dtype=torch.int64)
    plans = [
        plan_intervals(zeros, zeros, torch.full_like(zeros, prefix), prefix),
        plan_intervals(torch.arange(branches), zeros, torch.full_like(zeros, own), own),
    ]
    stores = [Stores(k.transpose(1, 2), v.transpose(1, 2)) for k, v in (shared, private)]
    schedule = Schedule(plans)
    rows = q[:, :, None]  # (N, H, 1, D)
    many = [x.expand(branches, -1, -1, -1) for x in shared]
    sdpa: Any = F.scaled_dot_product_attention
    flex: Any = torch.compile(flex_attention)
    varlen: Any = varlen_attn
    packed = [x.transpose(1, 2).expand(branches, -1, -1, -1).flatten(0, 1) for x in shared]
    one = torch.arange(branches + 1, device=device, dtype=torch.int32)
    return (
        lambda: attend_segments(q, stores, schedule, HEAD_DIM**-0.5),
        [
            lambda: sdpa(rows, *many, enable_gqa=True),
            lambda: flex(rows, *many, enable_gqa=True),
            lambda: varlen(q, *packed, one, one * prefix, 1, prefix, enable_gqa=True),
        ],
    )
