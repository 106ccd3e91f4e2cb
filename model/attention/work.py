"""Work items for the CUDA kernels, planned on the host in numpy: once per step, for all layers of a kind.

An item is one block's work for one key head: some neighbouring tokens of one text, and a stretch of its keys.
A long stretch is split so that a few tokens can keep a whole GPU busy; branches have a second segment, their
private suffixes. A token that is in several items gets as many parts, which a second kernel merges; what the
others get is final at once. Layouts are those of `csrc/layout.cuh`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cwm_trace.errors import CwmTraceError

Ints = NDArray[np.int64]

FIRST_TOKEN, TOKENS, SEGMENT, TEXT, KEY_BEGIN, KEY_END, ALL_FROM, ALL_TO, PART_ROW, ITEM_INTS = range(10)
"""Columns of an item."""
FAR = 2**31 - 1
WHOLE_TILES = 64
"""Splits and pages are multiples of so many keys: whole tiles, whatever the kernel."""
_SHORTEST_SPLIT = 256
"""Keys that are worth a block of their own."""


@dataclass(frozen=True, slots=True)
class TileShape:
    """What one kernel takes: rows (tokens times the heads of a group) per block, and keys at a time."""

    kernel: str
    rows: int
    keys: int

    def shared_bytes(self, head_dim: int) -> int:
        """Return the shared memory of a block in bytes: Q, K and V in 16 bits."""
        return (self.rows + 2 * self.keys) * head_dim * 2


TILES = (TileShape("attend_16", 16, 64), TileShape("attend_64", 64, 64), TileShape("attend_128", 128, 32))
THREADS = 128
"""Of a block, in every kernel."""
MOST_HEADS = TILES[-1].rows
"""Query heads per key head that still fit a tile."""


class Segment(NamedTuple):
    """The intervals of all tokens in one tensor of stores."""

    text: Ints  # (tokens): store of each, or its row of the page table
    lo: Ints  # (tokens): first key number
    hi: Ints  # (tokens): key number after the last
    capacity: int  # slots of a store, or of a page
    paged: bool = False


@dataclass(frozen=True, slots=True)
class Work:
    """One array for the GPU, and what lies where in it."""

    buffer: NDArray[np.int32]  # bounds first: (segments, tokens, 2)
    launches: tuple[tuple[TileShape, int, int], ...]  # kernel, offset of its items, how many
    first: int  # offset of where the parts of each token begin in the next, (tokens + 1)
    part_row: int  # offset of the rows of those parts
    part_rows: int  # rows of partial results per key head; 0: there is nothing to combine
    covered: bool  # False: some tokens attend nothing and are in no item


def choose_tile(segment: Segment, group: int) -> TileShape:
    """Return the smallest tile that takes the longest run of tokens of one text, else the largest."""
    begins = np.flatnonzero(np.diff(segment.text, prepend=-1))
    longest = int(np.diff(np.append(begins, len(segment.text))).max(initial=1))
    return next((tile for tile in TILES if longest * group <= tile.rows), TILES[-1])


def plan_work(
    segments: Sequence[Segment],
    group: int,
    kv_heads: int,
    blocks: int,
    tiles: Sequence[TileShape] | None = None,
    split: int | None = None,
) -> Work:
    """Cut the intervals of a step into items.

    Args:
        segments: One; or two, a shared prefix and private suffixes.
        group: Query heads per key head.
        kv_heads: Key heads; an item is a block for each.
        blocks: Blocks that keep the GPU busy; where there are fewer, keys are split.
        tiles: Kernel of each segment, instead of `choose_tile`'s.
        split: Most keys of an item, a multiple of 64, instead of what `blocks` asks for.

    Raises:
        CwmTraceError: A key number does not fit 32 bits.
    """
    tokens = len(segments[0].text)
    tiles = tiles or [choose_tile(segment, group) for segment in segments]
    items = np.concatenate(
        [
            _cut_items(
                number, segment, tile, group, split or _choose_split(segment, tile, group, kv_heads, blocks)
            )
            for number, (segment, tile) in enumerate(zip(segments, tiles, strict=True))
        ]
    )  # (items, ITEM_INTS)
    begin, end = items[:, FIRST_TOKEN], items[:, FIRST_TOKEN] + items[:, TOKENS]
    parts = _count_items(begin, end, tokens)
    shared = np.append(0, np.cumsum(parts > 1))
    partial = shared[end] > shared[begin]  # one token of the item has other parts as well
    rows = np.where(partial, items[:, TOKENS] * group, 0)
    part_rows = int(rows.sum())
    items[:, PART_ROW] = np.where(partial, np.cumsum(rows) - rows, -1)

    bounds = np.stack([np.stack((s.lo, s.hi), axis=-1) for s in segments])  # (segments, tokens, 2)
    pieces = [bounds.ravel(), *_list_parts(items[partial], group, tokens)]
    first, part_row, offset = (int(x) for x in np.cumsum([piece.size for piece in pieces]))
    launches = []
    for tile in TILES:
        mine = items[np.isin(items[:, SEGMENT], [i for i, chosen in enumerate(tiles) if chosen == tile])]
        if not len(mine):
            continue
        # neighbours in the grid read the same keys, the second from L2; among them long items come first
        keys = mine[:, KEY_END] - mine[:, KEY_BEGIN]
        mine = mine[np.lexsort((-keys, mine[:, KEY_BEGIN], mine[:, TEXT], mine[:, SEGMENT]))]
        launches.append((tile, offset, len(mine)))
        pieces.append(mine.ravel())
        offset += mine.size
    buffer = np.concatenate(pieces)
    if int(buffer.max(initial=0)) > FAR:
        raise CwmTraceError(f"key number {int(buffer.max())} does not fit 32 bits: attend shorter texts")
    return Work(buffer.astype(np.int32), tuple(launches), first, part_row, part_rows, bool(parts.all()))


def _cut_tokens(segment: Segment, most: int) -> tuple[Ints, Ints]:
    """Cut the tokens into stretches of one text and at most `most` tokens: first token and count of each."""
    begins = np.flatnonzero(np.diff(segment.text, prepend=-1))
    lengths = np.diff(np.append(begins, len(segment.text)))
    cuts = -(-lengths // most)
    within = np.arange(cuts.sum()) - np.repeat(np.cumsum(cuts) - cuts, cuts)
    first = np.repeat(begins, cuts) + within * most
    return first, np.minimum(most, np.repeat(begins + lengths, cuts) - first)


def _choose_split(segment: Segment, tile: TileShape, group: int, kv_heads: int, blocks: int) -> int:
    """Return how many keys an item may have so that there are about `blocks` blocks."""
    first, _ = _cut_tokens(segment, max(1, tile.rows // group))
    if not len(first) or len(first) * kv_heads >= blocks:
        return FAR // WHOLE_TILES * WHOLE_TILES
    live = segment.hi > segment.lo
    ends = np.maximum.reduceat(np.where(live, segment.hi, 0), first)
    begins = np.minimum.reduceat(np.where(live, segment.lo, FAR), first)
    keys = int(np.maximum(ends - begins, 0).sum()) * kv_heads
    return max(_SHORTEST_SPLIT, -(-keys // blocks // WHOLE_TILES) * WHOLE_TILES)


def _cut_items(number: int, segment: Segment, tile: TileShape, group: int, split: int) -> Ints:
    """Return the items of a segment, `(items, ITEM_INTS)`, all but their part rows."""
    first, count = _cut_tokens(segment, max(1, tile.rows // group))
    if not len(first):
        return np.zeros((0, ITEM_INTS), np.int64)
    live = segment.hi > segment.lo
    begin = np.minimum.reduceat(np.where(live, segment.lo, FAR), first)
    end = np.maximum.reduceat(np.where(live, segment.hi, 0), first)
    all_from = np.maximum.reduceat(np.where(live, segment.lo, FAR), first)
    all_to = np.minimum.reduceat(np.where(live, segment.hi, 0), first)
    if segment.paged:  # so that no tile crosses from one page to the next
        begin = begin // WHOLE_TILES * WHOLE_TILES
    if segment.capacity < tile.keys:  # the kernel goes around a ring once per tile
        split = min(split, segment.capacity)
    cuts = np.maximum(0, -(-(end - begin) // split))  # none where all intervals are empty
    which = np.repeat(np.arange(len(first)), cuts)
    within = np.arange(cuts.sum()) - np.repeat(np.cumsum(cuts) - cuts, cuts)
    items = np.zeros((len(which), ITEM_INTS), np.int64)
    items[:, FIRST_TOKEN], items[:, TOKENS] = first[which], count[which]
    items[:, SEGMENT], items[:, TEXT] = number, segment.text[first[which]]
    items[:, KEY_BEGIN] = begin[which] + within * split
    items[:, KEY_END] = np.minimum(items[:, KEY_BEGIN] + split, end[which])
    items[:, ALL_FROM], items[:, ALL_TO] = all_from[which], all_to[which]
    return items


def _count_items(begin: Ints, end: Ints, tokens: int) -> Ints:
    """Return how many of the stretches [begin, end) each token is in."""
    change = np.zeros(tokens + 1, np.int64)
    np.add.at(change, begin, 1)
    np.add.at(change, end, -1)
    return np.cumsum(change)[:tokens]


def _list_parts(partial: Ints, group: int, tokens: int) -> tuple[Ints, Ints]:
    """Return where each token's parts begin, `(tokens + 1)`, and the row of each part, token by token."""
    count = partial[:, TOKENS]
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    token = np.repeat(partial[:, FIRST_TOKEN], count) + within
    row = np.repeat(partial[:, PART_ROW], count) + within * group
    first = np.append(0, np.cumsum(np.bincount(token, minlength=tokens)))
    return first.astype(np.int64), row[np.argsort(token, kind="stable")]
