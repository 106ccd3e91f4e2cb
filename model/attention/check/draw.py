"""Random cases: prefill, rings, branches and pages, with odd windows, empty intervals, large scores, and NaN.

NaN lies in every slot that no interval covers. Between the first and the last key that the tokens of a text
see, keys and values must be finite (caches start zeroed), since a masked weight of 0 times NaN is NaN.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from cwm_trace.model.attention.check.cases import Case
from cwm_trace.model.attention.schedule import Plan, Schedule, Stores, plan_intervals
from cwm_trace.model.attention.work import TILES, WHOLE_TILES, Ints

KINDS = ("prefill", "ring", "branches", "pages")
_WINDOWS = (1, 3, 31, 33, 63, 65, 1_000_000)
"""One key, three, a tile of keys less one and more one, all."""


def draw_case(
    seed: int,
    kind: str | None = None,
    head_dim: int | None = None,
    dtype: torch.dtype | None = None,
    most_tokens: int = 200,
) -> Case:
    """Draw a case; what is left out is drawn too."""
    random = np.random.RandomState(seed)
    drawn = _Draw(
        random,
        kv_heads=int(random.choice([1, 2])),
        head_dim=head_dim or int(random.choice([32, 64, 128])),
        dtype=dtype or (torch.bfloat16, torch.float16)[random.randint(2)],
        spread=math.sqrt(random.choice([1, 4, 20, 40])),
    )
    kind = kind or str(random.choice(KINDS))
    group, window = int(random.choice([1, 2, 6, 6, 8])), int(random.choice(_WINDOWS))
    draw = {"prefill": _prefill, "ring": _ring, "branches": _branches, "pages": _pages}[kind]
    plans, stores, pages = draw(drawn, window, most_tokens)
    heads = group * drawn.kv_heads
    tiles = [TILES[random.randint(len(TILES))] for _ in plans] if random.rand() < 0.7 else None
    split = (None, WHOLE_TILES, 2 * WHOLE_TILES)[random.randint(3)]
    name = (
        f"seed {seed}: {kind}, {plans[0].tokens} tokens, {heads}/{drawn.kv_heads} heads of {drawn.head_dim}, "
        f"{str(drawn.dtype)[6:]}, window {window}, split {split}, {[t.kernel for t in tiles or ()]}"
    )
    q = drawn.queries(plans[0].tokens, heads)
    return Case(name, q, stores, Schedule(plans, pages, tiles, split), drawn.head_dim**-0.5)


Drawn = tuple[list[Plan], list[Stores], tuple[int, ...]]


class _Draw:
    def __init__(
        self, random: np.random.RandomState, kv_heads: int, head_dim: int, dtype: torch.dtype, spread: float
    ) -> None:
        self.random, self.kv_heads, self.head_dim, self.dtype, self.spread = (
            random, kv_heads, head_dim, dtype, spread,
        )  # fmt: skip
        self.generator = torch.Generator().manual_seed(int(random.randint(2**31)))

    def numbers(self, *shape: int) -> Tensor:
        return (torch.randn(shape, generator=self.generator) * self.spread).to(self.dtype)

    def queries(self, tokens: int, heads: int) -> Tensor:
        """Cut the queries out of wider rows, as the decoder does, or lay them out as transformers does."""
        if self.random.rand() < 0.3:
            return self.numbers(heads, tokens, self.head_dim).transpose(0, 1)
        return self.numbers(tokens, heads + 2, self.head_dim)[:, 1:-1]

    def stores(self, count: int, capacity: int) -> Stores:
        """Make stores of NaN: laid out as in caches, or keys and values each in their own way."""
        if self.random.rand() < 0.5:
            joint = torch.full((count, 2, self.kv_heads, capacity, self.head_dim), math.nan, dtype=self.dtype)
            return Stores(joint[:, 0].transpose(1, 2), joint[:, 1].transpose(1, 2))
        keys = torch.full((count, capacity, self.kv_heads, self.head_dim), math.nan, dtype=self.dtype)
        values = torch.full((count, self.kv_heads, capacity, self.head_dim), math.nan, dtype=self.dtype)
        return Stores(keys, values.transpose(1, 2))

    def fill(self, stores: Stores, text: Ints, lo: Ints, hi: Ints, whole: int = 1) -> Stores:
        """Put numbers where the tokens of a text look; `whole`: from a multiple of so many keys on."""
        for at in np.unique(text):
            mine = (text == at) & (hi > lo)
            if mine.any():
                numbers = np.arange(lo[mine].min() // whole * whole, hi[mine].max())
                store, slots = np.full_like(numbers, at), numbers % stores.keys.shape[1]
                if stores.pages is not None:
                    store = stores.pages[at].numpy()[numbers // stores.keys.shape[1]]
                place = torch.from_numpy(store).long(), torch.from_numpy(slots)
                for x in (stores.keys, stores.values):
                    x[place] = self.numbers(len(numbers), self.kv_heads, self.head_dim)
        return stores

    def plan(self, text: Ints, lo: Ints, hi: Ints, capacity: int) -> Plan:
        store, low, high = (torch.from_numpy(x.astype(np.int64)) for x in (text, lo, hi))
        return plan_intervals(store, low, high, capacity)


def _prefill(draw: _Draw, window: int, most: int) -> Drawn:
    """Packed documents in one store, a window."""
    tokens = int(draw.random.randint(1, most))
    at = np.arange(tokens)
    document = np.zeros(tokens, np.int64)
    for begin in draw.random.randint(0, tokens, draw.random.randint(4)):
        document[begin:] = np.maximum(document[begin:], begin)
    lo, hi = np.maximum(document, at - window + 1), at + 1
    hi = np.where(draw.random.rand(tokens) < 0.03, lo, hi)  # some attend nothing, as padding does
    text = np.zeros(tokens, np.int64)
    stores = draw.fill(draw.stores(1, tokens), text, lo, hi)
    return [draw.plan(text, lo, hi, tokens)], [stores], ()


def _ring(draw: _Draw, window: int, most: int) -> Drawn:
    """Rings of a batch that have gone around; drafts of some tokens each; rings smaller than a tile, too."""
    batch, drafts = int(draw.random.randint(1, 5)), int(draw.random.randint(1, min(9, most)))
    window = min(window, 96)
    capacity = window + drafts - 1
    # neighbours in the text; or far apart, each with a window of its own in the same few slots
    apart = int(draw.random.choice([1, 1, 40]))
    steps = np.tile(np.arange(drafts), batch) * apart
    seen = draw.random.randint(0, 3 * capacity, batch).repeat(drafts) + steps
    text = np.arange(batch).repeat(drafts)
    lo, hi = np.maximum(0, seen + 1 - window), seen + 1
    stores = draw.fill(draw.stores(batch, capacity), text, lo, hi)
    return [draw.plan(text, lo, hi, capacity)], [stores], ()


def _branches(draw: _Draw, window: int, most: int) -> Drawn:
    """A shared prefix and private suffixes, some of them empty."""
    branches, prefix = int(draw.random.randint(1, most // 2)), int(draw.random.randint(1, 300))
    room = int(draw.random.choice([8, 64, 80, 150]))
    forks = np.sort(draw.random.randint(0, prefix + 1, branches))
    own = np.where(draw.random.rand(branches) < 0.2, 0, draw.random.randint(0, room + 1, branches))
    oldest = forks + own - window
    lo, own_lo = np.clip(oldest, 0, forks), np.clip(oldest - forks, 0, own)
    one, each = np.zeros(branches, np.int64), np.arange(branches)
    shared = draw.fill(draw.stores(1, prefix), one, lo, forks)
    private = draw.fill(draw.stores(branches, room), each, own_lo, own)
    plans = [draw.plan(one, lo, forks, prefix), draw.plan(each, own_lo, own, room)]
    return plans, [shared, private], ()


def _pages(draw: _Draw, window: int, most: int) -> Drawn:
    """Texts whose keys lie in pages of one pool, in any order."""
    texts, per_text, page = int(draw.random.randint(1, 4)), int(draw.random.randint(1, 5)), WHOLE_TILES
    counts = draw.random.randint(1, max(2, most // 8), texts)
    text = np.arange(texts).repeat(counts)
    hi = draw.random.randint(0, per_text * page + 1, len(text))
    lo = np.maximum(0, hi - window)
    table = draw.random.permutation(texts * per_text + 2)[: texts * per_text].reshape(texts, per_text)
    stores = draw.stores(texts * per_text + 2, page)._replace(pages=torch.from_numpy(table.astype(np.int32)))
    stores = draw.fill(stores, text, lo, hi, whole=WHOLE_TILES)
    return [draw.plan(text, lo, hi, per_text * page)], [stores], (page,)
