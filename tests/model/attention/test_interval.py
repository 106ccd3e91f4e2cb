"""Interval attention against its definition, in float64, one token at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.attention.interval import attend, count_traffic, interval_attention, merge
from cwm_trace.model.attention.schedule import StepPlan, plan_intervals
from tests.effort import examples

CLOSE = 2e-5


@dataclass
class Case:
    q: Tensor  # (tokens, heads, head_dim)
    keys: Tensor  # (stores, capacity, kv_heads, head_dim)
    values: Tensor
    store: Tensor
    lo: Tensor
    hi: Tensor
    scale: float

    def arguments(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, float]:
        return self.q, self.keys, self.values, self.store, self.lo, self.hi, self.scale


def by_definition(case: Case) -> tuple[Tensor, Tensor]:
    """Softmax over an explicit list of keys per token, in float64."""
    tokens, heads, dim = case.q.shape
    capacity, kv_heads = case.keys.shape[1:3]
    out = torch.zeros(tokens, heads, dim, dtype=torch.float64)
    lse = torch.full((tokens, heads), -math.inf, dtype=torch.float64)
    for t in range(tokens):
        slots = torch.arange(int(case.lo[t]), max(int(case.lo[t]), int(case.hi[t]))) % capacity
        if not len(slots):
            continue
        for head in range(heads):
            at = int(case.store[t]), slots, head // (heads // kv_heads)
            scores = case.keys[at].double() @ case.q[t, head].double() * case.scale
            lse[t, head] = scores.logsumexp(0)
            out[t, head] = scores.softmax(0) @ case.values[at].double()
    return out, lse


def draw_case(
    lo: Tensor,
    hi: Tensor,
    store: Tensor | None = None,
    capacity: int | None = None,
    kv_heads: int = 2,
    group: int = 2,
    dim: int = 8,
    seed: int = 0,
) -> Case:
    generator = torch.Generator().manual_seed(seed)
    store = torch.zeros_like(lo) if store is None else store
    capacity = int(hi.max()) if capacity is None else capacity
    q = torch.randn(len(lo), kv_heads * group, dim, generator=generator)
    shape = (int(store.max()) + 1, capacity, kv_heads, dim)
    keys, values = (torch.randn(shape, generator=generator) for _ in range(2))
    return Case(q, keys, values, store, lo, hi, dim**-0.5)


def check(case: Case) -> None:
    want, want_lse = by_definition(case)
    out, lse = interval_attention(*case.arguments())
    plan = plan_intervals(case.store, case.lo, case.hi, case.keys.shape[1])
    bare, none = attend(case.q, case.keys, case.values, plan, case.scale, need_lse=False)
    assert none is None
    for got in (out, bare):
        assert float((got - want).abs().max()) <= CLOSE
    full = case.hi > case.lo
    assert float((lse - want_lse)[full].abs().max() if full.any() else 0.0) <= CLOSE
    assert (lse[~full] == -math.inf).all()
    assert (out[~full] == 0).all()


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Any intervals over any stores: empty ones, wrapping ones, neighbours that have nothing in common."""
    capacity = draw(st.sampled_from([1, 3, 16, 70]))
    counts = draw(st.lists(st.integers(1, 6), min_size=1, max_size=5))
    if draw(st.booleans()):
        counts = [counts[0]] * len(counts)
    order = draw(st.permutations(range(len(counts)))) if draw(st.booleans()) else range(len(counts))
    store = torch.tensor([at for at, count in zip(order, counts, strict=True) for _ in range(count)])
    tokens = len(store)
    lengths = torch.tensor(draw(st.lists(st.integers(0, capacity), min_size=tokens, max_size=tokens)))
    lo = torch.tensor(draw(st.lists(st.integers(0, 3 * capacity), min_size=tokens, max_size=tokens)))
    return draw_case(
        lo,
        lo + lengths,
        store,
        capacity,
        kv_heads=draw(st.sampled_from([1, 3])),
        group=draw(st.sampled_from([1, 2, 6])),
        seed=draw(st.integers(0, 9)),
    )


@examples(2)
@given(cases())
def test_any_intervals(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("window", [1, 3, 64, 127, 128, 129, 1000])
@pytest.mark.parametrize("tokens", [1, 40, 300])
def test_prefill_of_packed_documents_with_a_window(window: int, tokens: int) -> None:
    positions = torch.arange(tokens)
    begins = (positions // 45) * 45
    check(draw_case(torch.maximum(begins, positions - window + 1), positions + 1, group=3))


def test_rows_of_packed_documents_are_cut_where_documents_begin() -> None:
    sizes = [[40, 90, 170], [300], [33, 267]]
    begins = torch.tensor(
        [[sum(row[:n]) for n, size in enumerate(row) for _ in range(size)] for row in sizes]
    ).flatten()
    places, rows = torch.arange(300).repeat(3), torch.arange(3).repeat_interleave(300)
    case = draw_case(begins, places + 1, rows, group=3)
    check(case)
    tiles = plan_intervals(case.store, case.lo, case.hi, 300).tiles
    assert [(tile.first, tile.stop - tile.start) for tile in tiles] == [
        (0, 40), (40, 90), (130, 170), (300, 300), (600, 33), (633, 267)
    ]  # fmt: skip
    assert all(tile.mask(torch.float32) is None for tile in tiles)
    crumbs = plan_intervals(torch.zeros(256, dtype=torch.int64), places[:256], places[:256] + 1, 256)
    assert len(crumbs.tiles) == 2  # documents of one token are read together


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("seen", [0, 5])
def test_causal_prefill_of_a_batch(batch: int, seen: int) -> None:
    positions = torch.arange(seen, seen + 140).repeat(batch)
    store = torch.arange(batch).repeat_interleave(140)
    check(draw_case(torch.zeros_like(positions), positions + 1, store))


def test_batch_with_left_padding() -> None:
    starts = torch.tensor([0, 7, 90]).repeat_interleave(100)
    positions = torch.arange(100).repeat(3)
    store = torch.arange(3).repeat_interleave(100)
    lo = torch.maximum(starts, positions - 20)
    check(draw_case(lo, positions + 1, store))  # padding attends nothing: empty intervals


@pytest.mark.parametrize("capacity", [3, 64, 65])
def test_rings_at_every_turn(capacity: int) -> None:
    for seen in range(1, 5 * capacity, max(1, capacity // 7)):
        lo = torch.full((2,), max(0, seen - capacity))
        case = draw_case(lo, torch.full((2,), seen), torch.arange(2), capacity)
        check(case)
        plan = StepPlan(2, int(lo[0]), seen, capacity)
        assert plan.tiles[0].mask(torch.float32) is None  # a full ring or the start of one
        out, _ = attend(case.q, case.keys, case.values, plan, case.scale)
        assert float((out - by_definition(case)[0]).abs().max()) <= CLOSE


@pytest.mark.parametrize(("lo", "hi"), [(0, 3), (6, 10), (5, 13), (14, 19)])
@pytest.mark.parametrize("starts", [None, [0, 7, 9]])
def test_plan_of_a_step_equals_the_general_plan(lo: int, hi: int, starts: list[int] | None) -> None:
    begins = None if starts is None else torch.tensor(starts).clamp(max=hi - 1)
    lows = torch.full((3,), lo) if begins is None else begins.clamp(min=lo)
    case = draw_case(lows, torch.full((3,), hi), torch.arange(3), capacity=8)
    out, _ = attend(case.q, case.keys, case.values, StepPlan(3, lo, hi, 8, begins), case.scale)
    assert float((out - by_definition(case)[0]).abs().max()) <= CLOSE


@examples(0.3)
@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 9))
def test_merged_parts_equal_the_whole(first: int, second: int, seed: int) -> None:
    lo = torch.zeros(3, dtype=torch.int64)
    hi, cut = torch.full((3,), first + second), torch.full((3,), first)
    case = draw_case(lo, hi, capacity=max(1, first + second), seed=seed)
    left = interval_attention(*draw_replaced(case, hi=cut))
    right = interval_attention(*draw_replaced(case, lo=cut))
    out, lse = merge(*left, *right)
    want, want_lse = by_definition(case)
    assert float((out - want).abs().max()) <= CLOSE
    assert torch.equal(lse.isinf(), want_lse.isinf())
    assert torch.allclose(lse.double(), want_lse, atol=CLOSE)


def draw_replaced(case: Case, lo: Tensor | None = None, hi: Tensor | None = None) -> tuple[Tensor, ...]:
    q, keys, values, store, old_lo, old_hi, scale = case.arguments()
    return q, keys, values, store, old_lo if lo is None else lo, old_hi if hi is None else hi, scale  # type: ignore[return-value]


def test_large_scores_do_not_overflow() -> None:
    case = draw_case(torch.zeros(5, dtype=torch.int64), torch.full((5,), 30))
    case.q *= 40
    check(case)
    case.q *= 1000
    out, lse = interval_attention(*case.arguments())
    assert out.isfinite().all()
    assert lse.isfinite().all()


def test_what_lies_outside_the_intervals_is_never_seen() -> None:
    lo, hi = torch.tensor([4, 4, 6]), torch.tensor([9, 9, 9])
    case = draw_case(lo, hi, capacity=16)
    want = interval_attention(*case.arguments())[0]
    case.keys[:, :4] = case.values[:, :4] = math.nan
    case.keys[:, 9:] = case.values[:, 9:] = math.nan
    assert torch.equal(interval_attention(*case.arguments())[0], want)


def test_strided_stores_are_read_in_place() -> None:
    case = draw_case(torch.zeros(4, dtype=torch.int64), torch.full((4,), 12))
    joint = torch.stack((case.keys, case.values), dim=2)  # (stores, capacity, 2, kv_heads, head_dim)
    want = interval_attention(*case.arguments())[0]
    case.keys, case.values = joint[:, :, 0], joint[:, :, 1]
    assert torch.allclose(interval_attention(*case.arguments())[0], want, atol=1e-6)


def test_interval_longer_than_the_store_is_one_sentence() -> None:
    case = draw_case(torch.tensor([0]), torch.tensor([9]), capacity=8)
    with pytest.raises(CwmTraceError, match="an interval of 9 keys does not fit 8 slots"):
        plan_intervals(case.store, case.lo, case.hi, 8)


@pytest.mark.parametrize("window", [10, 150])
def test_gradients_equal_those_of_the_formula(window: int) -> None:
    positions = torch.arange(150)
    case = draw_case((positions - window + 1).clamp(min=0), positions + 1, dim=4)
    leaves = [x.requires_grad_() for x in (case.q, case.keys, case.values)]
    upstream = torch.randn(150, 4, 4), torch.randn(150, 4)
    got = torch.autograd.grad(interval_attention(*case.arguments()), leaves, upstream)
    numbers = torch.arange(150)
    shut = (numbers < case.lo[:, None]) | (numbers >= case.hi[:, None])
    keys, values = (x[0].repeat_interleave(2, dim=1) for x in (case.keys, case.values))
    scores = (torch.einsum("thd,shd->hts", case.q, keys) * case.scale).masked_fill(shut, -math.inf)
    out = torch.einsum("hts,shd->thd", scores.softmax(-1), values)
    want = torch.autograd.grad((out, scores.logsumexp(-1).T), leaves, upstream)
    for a, b in zip(got, want, strict=True):
        assert float((a - b).abs().max()) <= 1e-4


def test_operator_passes_torchs_own_checks() -> None:
    positions = torch.arange(20)
    case = draw_case((positions - 5).clamp(min=0), positions + 1)
    torch.library.opcheck(interval_attention, case.arguments())
    for x in (case.q, case.keys, case.values):
        x.requires_grad_()
    torch.library.opcheck(interval_attention, case.arguments())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(dtype: torch.dtype) -> None:
    positions = torch.arange(200)
    case = draw_case((positions - 30).clamp(min=0), positions + 1)
    case.q, case.keys, case.values = (x.to(dtype) for x in (case.q, case.keys, case.values))
    want, want_lse = by_definition(case)
    out, lse = interval_attention(*case.arguments())
    assert out.dtype is dtype
    assert lse.dtype is torch.float32
    assert float((out - want).abs().max()) <= 2**-7 * float(case.values.abs().max())
    assert float((lse - want_lse).abs().max()) <= 1e-2


def test_traffic_of_branches_does_not_grow_with_their_number() -> None:
    def read(branches: int) -> int:
        lo = torch.zeros(branches, dtype=torch.int64)
        case = draw_case(lo, torch.full((branches,), 100))
        with count_traffic() as traffic:
            interval_attention(*case.arguments())
        return traffic.bytes

    assert read(1) == read(64) == 100 * 2 * 8 * 4 * 2  # keys, kv_heads, head_dim, bytes, K and V


def test_traffic_of_a_window_is_its_band() -> None:
    positions = torch.arange(1024)
    case = draw_case((positions - 31).clamp(min=0), positions + 1)
    with count_traffic() as traffic:
        interval_attention(*case.arguments())
    per_key = 2 * 8 * 4 * 2
    assert traffic.bytes <= (1024 + 8 * 31) * per_key  # eight tiles of 128 tokens and what lies before each


def test_no_mask_is_larger_than_a_tile() -> None:
    positions = torch.arange(4096)
    store = torch.zeros_like(positions)
    window = plan_intervals(store, (positions - 31).clamp(min=0), positions + 1, 4096)
    masks = [tile.mask(torch.float32) for tile in window.tiles]
    assert max(mask.numel() for mask in masks if mask is not None) <= 128 * (128 + 31)
    whole = plan_intervals(store, torch.zeros_like(positions), positions + 1, 4096)
    assert [tile.mask(torch.float32) for tile in whole.tiles] == [None]
