"""A use of interval attention, what must come out in float64, and how far a kernel may be from it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from cwm_trace.model.attention.schedule import Schedule, Stores

_OUT_BOUND = 2.0**-7
"""Largest error of the output, relative to the largest value: that of weights and results in bf16."""
_LSE_BOUND = 1e-4
"""Largest error of the log-sum-exp, in nats."""


@dataclass
class Case:
    """Arguments of `attend_segments`, on a CPU."""

    name: str
    q: Tensor  # (tokens, heads, head_dim)
    stores: list[Stores]
    schedule: Schedule
    scale: float

    def to(self, device: torch.device | str) -> tuple[Tensor, list[Stores], Schedule, float]:
        """Return the arguments with tensors on a device, strides kept."""
        stores = [
            Stores(_move(k, device), _move(v, device), None if pages is None else _move(pages, device))
            for k, v, pages in self.stores
        ]
        return _move(self.q, device), stores, self.schedule, self.scale


def _move(x: Tensor, device: torch.device | str) -> Tensor:
    if torch.device(device).type == "cpu":
        return x
    moved = torch.empty_strided(x.shape, x.stride(), dtype=x.dtype, device=device)
    return moved.copy_(x)


def expect(case: Case) -> tuple[Tensor, Tensor]:
    """Attend by the definition: softmax over an explicit list of keys per token, in float64."""
    tokens, heads, dim = case.q.shape
    kv_heads = case.stores[0].keys.shape[2]
    out = torch.zeros(tokens, heads, dim, dtype=torch.float64)
    lse = torch.full((tokens, heads), -math.inf, dtype=torch.float64)
    q = case.q.double().view(tokens, kv_heads, -1, dim)  # (T, K, G, D)
    gathered = [each.gather() for each in case.stores]
    for t in range(tokens):
        keys, values = [], []
        for each, plan in zip(gathered, case.schedule.plans, strict=True):
            numbers = torch.arange(int(plan.lo[t]), max(int(plan.lo[t]), int(plan.hi[t])))
            slots = numbers % each.keys.shape[1]
            keys.append(each.keys[plan.store[t], slots].double())
            values.append(each.values[plan.store[t], slots].double())
        k, v = torch.cat(keys), torch.cat(values)  # (S, K, D)
        if len(k):
            scores = torch.einsum("kgd,skd->kgs", q[t], k) * case.scale
            lse[t] = scores.logsumexp(-1).flatten()
            out[t] = torch.einsum("kgs,skd->kgd", scores.softmax(-1), v).reshape(heads, dim)
    return out, lse


def find_faults(
    case: Case, out: Tensor, lse: Tensor, expected: tuple[Tensor, Tensor] | None = None
) -> list[str]:
    """Compare with the definition; return what is out of bounds."""
    want, want_lse = expected or expect(case)
    out, lse = out.cpu().double(), lse.cpu().double()
    faults = []
    if not bool(out.isfinite().all()):
        faults.append("the output is not finite")
    elif float((out - want).abs().max()) > _OUT_BOUND * _largest_value(case):
        faults.append(f"the output is off by {float((out - want).abs().max()):.2e}")
    empty = want_lse.isinf()
    if not torch.equal(lse == -math.inf, empty):
        faults.append("rows without keys do not have log-sum-exp -inf, or others do")
    elif not bool(((lse - want_lse)[~empty].abs() <= _LSE_BOUND).all()):
        faults.append(f"the log-sum-exp is off by {float((lse - want_lse)[~empty].abs().max()):.2e}")
    return faults


def _largest_value(case: Case) -> float:
    """Return the largest value that is stored, in absolute terms; NaN is where nobody looks."""
    return max(float(each.values.float().nan_to_num().abs().max()) for each in case.stores)
