"""Time interval attention on a CPU against eager, SDPA and flex_attention: one layer, same numbers.

    python benchmarks/attention.py [--threads 1] [--repeats 5] [--compile] [--json out.json]

Window prefill: n tokens with a window of 256. Branch decode: N branches of one token each, over a prefix of
2,048 tokens and 16 own ones. The other sides get what they ask for before the clock starts: a mask of n x n
tokens (SDPA, eager), a block mask (flex), one sequence of prefix and all suffixes (flex, branches), a copy of
the prefix for every branch (SDPA, eager). Our plan is made inside the time of prefill, at each call. A
decode step plans once for all layers of a kind, so there it is left out, as are the others' masks. Sides take
turns; a number is the best time of the other side over our best.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

from cwm_trace.model.attention import Schedule, Stores, attend, attend_segments, plan_intervals

HEADS, KV_HEADS, DIM, WINDOW, PREFIX, OWN = 12, 2, 64, 256, 2048, 16
SCALE = DIM**-0.5
Side = Callable[[], Tensor]


def eager(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """The textbook formula, on `(batch, heads, tokens, head_dim)`."""
    group = q.shape[1] // k.shape[1]
    folded = q.view(q.shape[0], -1, group, *q.shape[2:])  # (B, K, G, T, D)
    scores = folded @ k.unsqueeze(2).transpose(-1, -2) * SCALE
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    out: Tensor = (scores.softmax(-1) @ v.unsqueeze(2)).flatten(1, 2)
    return out


def prefill_sides(tokens: int, flex: Any) -> dict[str, Side]:
    """A layer with a window over a text."""
    q, k, v = (torch.randn(1, heads, tokens, DIM) for heads in (HEADS, KV_HEADS, KV_HEADS))
    at = torch.arange(tokens)
    mask = (at[None] <= at[:, None]) & (at[None] > at[:, None] - WINDOW)

    def inside(_batch: Tensor, _head: Tensor, row: Tensor, column: Tensor) -> Tensor:
        return (column <= row) & (column > row - WINDOW)

    block_mask = create_block_mask(inside, None, None, tokens, tokens, device="cpu")
    flat, keys, values = q[0].transpose(0, 1).contiguous(), k.transpose(1, 2), v.transpose(1, 2)

    def ours() -> Tensor:
        plan = plan_intervals(torch.zeros_like(at), (at + 1 - WINDOW).clamp(min=0), at + 1, tokens)
        return attend(flat, keys, values, plan, SCALE, need_lse=False)[0].transpose(0, 1)[None]

    sdpa: Any = F.scaled_dot_product_attention
    return {
        "ours": ours,
        "eager": lambda: eager(q, k, v, mask),
        "SDPA": lambda: sdpa(q, k, v, attn_mask=mask, enable_gqa=True),
        "flex": lambda: flex(q, k, v, block_mask=block_mask, enable_gqa=True),
    }


def branch_sides(branches: int, flex: Any) -> dict[str, Side]:
    """A decode step of branches over one prefix."""
    q = torch.randn(branches, HEADS, DIM)
    k, v = (torch.randn(1, KV_HEADS, PREFIX, DIM) for _ in range(2))
    own_k, own_v = (torch.randn(branches, KV_HEADS, OWN, DIM) for _ in range(2))
    zeros = torch.zeros(branches, dtype=torch.int64)
    plans = [
        plan_intervals(zeros, zeros, torch.full_like(zeros, PREFIX), PREFIX),
        plan_intervals(torch.arange(branches), zeros, torch.full_like(zeros, OWN), OWN),
    ]
    stores = [Stores(a.transpose(1, 2), b.transpose(1, 2)) for a, b in ((k, v), (own_k, own_v))]
    schedule = Schedule(plans)
    copies = [torch.cat((a.expand(branches, -1, -1, -1), b), 2) for a, b in ((k, own_k), (v, own_v))]
    joined = [
        torch.cat((a[0], b.transpose(0, 1).flatten(1, 2)), 1)[None] for a, b in ((k, own_k), (v, own_v))
    ]
    rows = q.transpose(0, 1)[None]  # (1, H, N, D): branches as the tokens of one text

    def seen(_batch: Tensor, _head: Tensor, row: Tensor, column: Tensor) -> Tensor:
        return (column < PREFIX) | ((column - PREFIX) // OWN == row)

    block_mask = create_block_mask(seen, None, None, branches, PREFIX + branches * OWN, device="cpu")
    sdpa: Any = F.scaled_dot_product_attention
    return {
        "ours": lambda: attend_segments(q, stores, schedule, SCALE)[0],
        "eager": lambda: eager(q[:, :, None], copies[0], copies[1], None)[:, :, 0],
        "SDPA": lambda: sdpa(q[:, :, None], *copies, enable_gqa=True)[:, :, 0],
        "flex": lambda: flex(rows, *joined, block_mask=block_mask, enable_gqa=True)[0].transpose(0, 1),
    }


def time_sides(sides: dict[str, Side], repeats: int) -> dict[str, float]:
    """Return the best seconds of each side, after a call that must agree with ours."""
    want = sides["ours"]()
    for name, side in sides.items():
        assert float((side() - want).abs().max()) < 1e-3, f"{name} computes something else"
    best = dict.fromkeys(sides, float("inf"))
    for _ in range(repeats):
        for name, side in sides.items():
            start = time.perf_counter()
            side()
            best[name] = min(best[name], time.perf_counter() - start)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--compile", action="store_true", help="compile flex_attention (needs a C++ compiler)"
    )
    parser.add_argument("--lengths", type=int, nargs="+", default=[512, 1024, 2048])
    parser.add_argument("--branches", type=int, nargs="+", default=[1, 4, 16, 64, 256])
    parser.add_argument("--json", help="write the times to this file")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    warnings.filterwarnings("ignore", message="flex_attention called without")
    flex: Any = torch.compile(flex_attention, dynamic=False) if arguments.compile else flex_attention
    kind = "compiled" if arguments.compile else "not compiled"
    print(
        f"{HEADS}/{KV_HEADS} heads of {DIM}, float32, {arguments.threads} thread(s), "
        f"torch {torch.__version__}, {platform.machine()}; "
        f"times of the others divided by ours; flex_attention {kind}\n"
    )
    print("| | ours, ms | eager | SDPA | flex |\n|---|---|---|---|---|")
    rows = {}
    with torch.inference_mode():
        uses: list[tuple[str, Callable[[], dict[str, Side]]]] = [
            *((f"prefill {n:,}", lambda n=n: prefill_sides(n, flex)) for n in arguments.lengths),
            *((f"{n} branches", lambda n=n: branch_sides(n, flex)) for n in arguments.branches),
        ]
        for name, make in uses:
            times = rows[name] = time_sides(make(), arguments.repeats)
            ratios = " | ".join(f"{times[side] / times['ours']:.1f}" for side in ("eager", "SDPA", "flex"))
            print(f"| {name} | {times['ours'] * 1e3:.2f} | {ratios} |", flush=True)
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(rows, file, indent=1)


if __name__ == "__main__":
    main()
