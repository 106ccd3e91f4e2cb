"""What a step attends: intervals become tiles, or work of the CUDA kernels, once for all layers of a kind."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.attention.work import WHOLE_TILES, Segment, TileShape, Work, plan_work

_TILE_TOKENS = 128
"""Query tokens of one tile: large enough for matrix products, small enough that a band wastes little."""
_DOCUMENT_TOKENS = 32
"""Documents of a packed row are cut apart if they are at least this long on average."""
_KEPT_MASK = 1 << 20
"""A mask up to this many elements is kept for the next layer; a larger one is built again."""


@dataclass(slots=True)
class Tile:
    """Some tokens and the stretch of slots they read: `runs` rows of tokens, row r on store `store + r`.

    The tokens are `first + r * stride + i` for `begin <= i < end`. Bounds have one row of tokens per run,
    `(runs, tokens)`, or one row for all runs.
    """

    first: int
    runs: int
    stride: int
    begin: int
    end: int
    store: int
    start: int  # slots [start, stop)
    stop: int
    causal: bool = False  # token i of a run sees slots [start, start + i + 1): no mask needs building
    lo: Tensor | None = None
    hi: Tensor | None = None
    numbers: Tensor | None = None  # key number in each slot, (slots)
    kept: Tensor | None = None

    def mask(self, dtype: torch.dtype, device: torch.device | str = "cpu") -> Tensor | None:
        """Return what to add to the scores, `(runs or 1, tokens, slots)`; None if every key is attended."""
        if self.lo is None or self.hi is None or self.numbers is None:
            return None
        if self.kept is not None and self.kept.dtype == dtype:
            return self.kept
        shut = (self.numbers < self.lo[..., None]) | (self.numbers >= self.hi[..., None])  # (R, T, S)
        added = torch.zeros(shut.shape, dtype=dtype, device=device).masked_fill_(shut.to(device), -math.inf)
        if added.numel() <= _KEPT_MASK:
            self.kept = added
        return added


class Plan:
    """The intervals of one step, for all layers that share them, on the host.

    PyTorch's operations attend `tiles`, CUDA kernels the items of `work.py`; either is made when first asked
    for.

    Args:
        store: Store of each token, int64 `(tokens,)`. Tokens of one store should be neighbours.
        lo: First key number, int64 `(tokens,)`.
        hi: Key number after the last, int64 `(tokens,)`.
        capacity: Slots of a store, in tokens.
    """

    def __init__(self, store: Tensor, lo: Tensor, hi: Tensor, capacity: int) -> None:
        self.store, self.lo, self.hi = store, lo, hi
        self.capacity = capacity
        self.tokens = store.numel()

    @cached_property
    def tiles(self) -> list[Tile]:
        """Tiles; each token whose interval is not empty is in exactly one."""
        return _cut_tiles(self.store, self.lo, self.hi, self.capacity)

    @cached_property
    def empty(self) -> Tensor | None:
        """Tokens whose interval is empty, bool `(tokens,)`; None if there are none."""
        live = self.hi > self.lo
        return None if bool(live.all()) else ~live

    @cached_property
    def schedule(self) -> Schedule:
        """The plan as the one segment of a step."""
        return Schedule((self,))


class Stores(NamedTuple):
    """Keys and values of a segment; key n of text t is in slot n mod capacity of a store.

    That is store t; with `pages` it is store `pages[t, n // capacity]`, and the stores are pages.
    """

    keys: Tensor  # (stores, capacity, kv_heads, head_dim)
    values: Tensor
    pages: Tensor | None = None  # int32 (texts, pages per text)

    def gather(self) -> Stores:
        """Copy the pages of each text side by side, if there are pages."""
        if self.pages is None:
            return self
        keys, values = (x[self.pages.long()].flatten(1, 2) for x in (self.keys, self.values))
        return Stores(keys, values)


class Schedule:
    """The segments of a step: one plan, or those of a shared prefix and of private suffixes.

    Args:
        plans: Of each segment, for the same tokens.
        pages: Slots of a page in each segment whose stores are paged; 0 for the others.
        tiles: Kernel of each segment; the fitting ones if left out.
        split: Most keys of a work item; as many as keep the GPU busy if left out.

    Raises:
        CwmTraceError: A page does not hold whole tiles of keys.
    """

    def __init__(
        self,
        plans: Sequence[Plan],
        pages: Sequence[int] = (),
        tiles: Sequence[TileShape] | None = None,
        split: int | None = None,
    ) -> None:
        self.plans = tuple(plans)
        self.page_slots = tuple(pages) or (0,) * len(self.plans)
        self._tiles, self._split = tiles, split
        self._work: dict[tuple[torch.device, int, int], tuple[Work, Tensor]] = {}
        for slots in self.page_slots:
            if slots % WHOLE_TILES:
                raise CwmTraceError(f"a page of {slots} slots is no multiple of {WHOLE_TILES}")

    def work(self, device: torch.device, blocks: int, heads: int, kv_heads: int) -> tuple[Work, Tensor]:
        """Return the work items for so many heads, and their copy on a device that `blocks` keep busy."""
        key = device, heads, kv_heads
        if key not in self._work:
            segments = [
                Segment(plan.store.numpy(), plan.lo.numpy(), plan.hi.numpy(), page or plan.capacity, page > 0)
                for plan, page in zip(self.plans, self.page_slots, strict=True)
            ]
            work = plan_work(segments, heads // kv_heads, kv_heads, blocks, self._tiles, self._split)
            self._work[key] = work, torch.from_numpy(work.buffer).to(device)
        return self._work[key]


def plan_intervals(store: Tensor, lo: Tensor, hi: Tensor, capacity: int) -> Plan:
    """Plan any intervals; see `Plan` for the arguments. Tensors of a GPU are copied, which waits for it.

    Returns:
        The plan, good for every layer whose caches have this capacity.

    Raises:
        CwmTraceError: An interval holds more keys than a store has slots.
    """
    store, lo, hi = store.cpu(), lo.cpu(), hi.cpu()
    longest = int((hi - lo).max()) if store.numel() else 0
    if longest > capacity:
        raise CwmTraceError(f"an interval of {longest} keys does not fit {capacity} slots: enlarge the store")
    return Plan(store, lo, hi, capacity)


def _cut_tiles(store: Tensor, lo: Tensor, hi: Tensor, capacity: int) -> list[Tile]:
    tiles: list[Tile] = []
    if not store.numel():
        return tiles
    stores, counts = torch.unique_consecutive(store, return_counts=True)
    length = int(counts[0])
    if bool((counts == length).all()) and bool((stores.diff() == 1).all()):
        bounds = lo.view(-1, length), hi.view(-1, length)
        _add_runs(tiles, 0, int(stores[0]), *bounds, capacity)
        return tiles
    first = 0
    for at, length in zip(stores.tolist(), counts.tolist(), strict=True):
        part = slice(first, first + length)
        _add_runs(tiles, first, at, lo[part][None], hi[part][None], capacity)
        first += length
    return tiles


def _add_runs(tiles: list[Tile], first: int, store: int, lo: Tensor, hi: Tensor, capacity: int) -> None:
    """Add the tiles of tokens with bounds `(runs, tokens)`, run r on store `store + r`."""
    runs, length = lo.shape
    if runs > 1 and bool((lo == lo[:1]).all() & (hi == hi[:1]).all()):
        lo, hi = lo[:1], hi[:1]
    at = int(lo[0, 0])
    if length > 1 and lo.shape[0] == 1 and at + length <= capacity and bool((lo == at).all()):
        rising = torch.arange(at + 1, at + 1 + length, device=hi.device)
        if bool((hi[0] == rising).all()):
            tiles.append(Tile(first, runs, length, 0, length, store, at, at + length, causal=True))
            return
    documents = [_documents(*bounds) for bounds in zip(lo, hi, strict=True)]
    if max(map(len, documents)) > 1:
        for run in range(runs):
            row = min(run, len(documents) - 1)
            for part in documents[row]:
                bounds = lo[row : row + 1, part], hi[row : row + 1, part]
                _add_runs(tiles, first + run * length + part.start, store + run, *bounds, capacity)
        return
    begin = 0
    while begin < length:
        end = min(begin + _TILE_TOKENS, length)
        while True:
            low, high = lo[:, begin:end], hi[:, begin:end]
            live = high > low
            if not bool(live.any()):
                low_key = high_key = 0
                break
            low_key, high_key = int(low[live].min()), int(high[live].max())
            if high_key - low_key <= capacity or end == begin + 1:
                break
            end = begin + (end - begin) // 2  # too far apart to read together
        if high_key - low_key > capacity:  # one token per run, each within its own ring
            for run in range(runs):
                bounds = low[run : run + 1], high[run : run + 1]
                _add_runs(tiles, first + run * length + begin, store + run, *bounds, capacity)
        elif high_key > low_key:
            tile = Tile(first, runs, length, begin, end, store, low_key, high_key)
            tiles.append(_find_slots(tile, low, high, capacity))
        begin = end


def _documents(lo: Tensor, hi: Tensor) -> list[slice]:
    """Cut a row where tokens that see only themselves begin a document, unless that makes crumbs."""
    starts = [0]
    if len(lo) >= 2 * _DOCUMENT_TOKENS:
        begins = (hi - lo == 1)[1:] & (lo.diff() != 0)
        starts += (begins.nonzero().flatten() + 1).tolist()
    if len(lo) < _DOCUMENT_TOKENS * len(starts):
        starts = [0]
    return [slice(*bounds) for bounds in pairwise([*starts, len(lo)])]


def _find_slots(tile: Tile, lo: Tensor, hi: Tensor, capacity: int) -> Tile:
    """Turn the key numbers a tile reads into slots, and note what to mask in them."""
    low_key, high_key = tile.start, tile.stop
    tile.start, tile.stop = low_key % capacity, (high_key - 1) % capacity + 1
    if tile.stop - tile.start == high_key - low_key:
        numbers = torch.arange(low_key, high_key, device=lo.device)
    else:  # the stretch wraps: read the whole ring, where a slot holds the latest key that falls on it
        tile.start, tile.stop = 0, capacity
        slots = torch.arange(capacity, device=lo.device)
        numbers = high_key - 1 - (high_key - 1 - slots) % capacity
    if bool(((lo > numbers.min()) | (hi <= numbers.max())).any()):
        tile.lo, tile.hi, tile.numbers = lo, hi, numbers
    return tile


class StepPlan(Plan):
    """One token per store over the same interval of each: what a decode step attends, planned in no time.

    Args:
        batch: Stores, and tokens.
        lo: First key number.
        hi: Key number after the last.
        capacity: Slots of a store, in tokens.
        starts: First key number of each store, if that may be later than `lo` (left padding), `(batch,)`.
    """

    def __init__(self, batch: int, lo: int, hi: int, capacity: int, starts: Tensor | None = None) -> None:
        self.tokens, self.capacity = batch, capacity
        self._interval, self._starts = (lo, hi), starts
        start, stop = lo % capacity, (hi - 1) % capacity + 1
        wraps = stop - start != hi - lo
        if wraps:
            start, stop = 0, capacity
        tile = Tile(0, batch, 1, 0, 1, 0, start, stop)
        if starts is not None or (wraps and hi - lo != capacity):
            slots = torch.arange(start, stop)
            tile.numbers = hi - 1 - (hi - 1 - slots) % capacity  # the latest that falls on the slot
            tile.lo = torch.full((1, 1), lo) if starts is None else starts.clamp(min=lo)[:, None]
            tile.hi = torch.full((1, 1), hi)
        self.tiles = [tile]
        self.empty = None

    @cached_property
    def store(self) -> Tensor:  # type: ignore[override]
        """Store of each token."""
        return torch.arange(self.tokens)

    @cached_property
    def lo(self) -> Tensor:  # type: ignore[override]
        """First key number of each token."""
        lo = torch.full((self.tokens,), self._interval[0])
        return lo if self._starts is None else torch.maximum(lo, self._starts)

    @cached_property
    def hi(self) -> Tensor:  # type: ignore[override]
        """Key number after the last of each token."""
        return torch.full((self.tokens,), self._interval[1])
