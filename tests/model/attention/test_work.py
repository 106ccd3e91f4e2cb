"""Planning for the kernels: every token's keys are in its items exactly once, and every part is merged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.attention.work import (
    FIRST_TOKEN,
    ITEM_INTS,
    KEY_BEGIN,
    KEY_END,
    PART_ROW,
    SEGMENT,
    TEXT,
    TILES,
    TOKENS,
    WHOLE_TILES,
    Ints,
    Segment,
    Work,
    choose_tile,
    plan_work,
)
from tests.effort import examples


@st.composite
def segments(draw: st.DrawFn, tokens: int) -> Segment:
    numbers = st.integers(0, 400)
    text = np.sort(draw(st.lists(st.integers(0, 3), min_size=tokens, max_size=tokens)))
    lo = np.array(draw(st.lists(numbers, min_size=tokens, max_size=tokens)), np.int64)
    length = np.array(draw(st.lists(numbers, min_size=tokens, max_size=tokens)), np.int64)
    paged = draw(st.booleans())
    capacity = WHOLE_TILES if paged else draw(st.sampled_from([1, 33, 64, 800]))
    return Segment(np.array(text, np.int64), lo, lo + np.minimum(length, 2 * capacity), capacity, paged)


@st.composite
def steps(draw: st.DrawFn) -> tuple[list[Segment], int, int, Work]:
    tokens, group = draw(st.integers(1, 40)), draw(st.sampled_from([1, 2, 6, 8, 128]))
    chosen = [draw(segments(tokens)) for _ in range(draw(st.integers(1, 2)))]
    tiles = [draw(st.sampled_from([t for t in TILES if t.rows >= group])) for _ in chosen]
    split = draw(st.sampled_from([None, 64, 192]))
    return chosen, group, tokens, plan_work(chosen, group, 2, draw(st.integers(1, 300)), tiles, split)


def items_of(work: Work) -> Ints:
    pieces = [
        work.buffer[offset : offset + count * ITEM_INTS].reshape(-1, ITEM_INTS)
        for _, offset, count in work.launches
    ]
    return np.concatenate(pieces) if pieces else np.zeros((0, ITEM_INTS), np.int64)


@examples(1.2)
@given(steps())
def test_every_key_is_attended_once_and_every_part_merged(step: tuple[list[Segment], int, int, Work]) -> None:
    chosen, group, tokens, work = step
    seen: list[list[tuple[int, int, int]]] = [[] for _ in range(tokens)]
    rows: list[set[int]] = [set() for _ in range(tokens)]
    used: list[int] = []
    final = np.zeros(tokens, np.int64)
    for item in items_of(work):
        segment = chosen[item[SEGMENT]]
        if segment.paged:
            assert item[KEY_BEGIN] % WHOLE_TILES == 0
        for i, t in enumerate(range(item[FIRST_TOKEN], item[FIRST_TOKEN] + item[TOKENS])):
            assert segment.text[t] == item[TEXT]
            begin, end = max(segment.lo[t], item[KEY_BEGIN]), min(segment.hi[t], item[KEY_END])
            if begin < end:
                seen[t].append((int(item[SEGMENT]), int(begin), int(end)))
            if item[PART_ROW] < 0:
                final[t] += 1
            else:
                rows[t].add(int(item[PART_ROW]) + i * group)
                used += range(item[PART_ROW] + i * group, item[PART_ROW] + (i + 1) * group)
    assert sorted(used) == list(range(work.part_rows))
    first = work.buffer[work.first : work.first + tokens + 1]
    for t in range(tokens):
        keys = sorted(k for s, a, b in seen[t] for k in ((s, n) for n in range(a, b)))
        want = [(s, n) for s, seg in enumerate(chosen) for n in range(seg.lo[t], seg.hi[t])]
        assert keys == want
        listed = work.buffer[work.part_row + first[t] : work.part_row + first[t + 1]].tolist()
        assert len(listed) == len(rows[t])
        assert set(listed) == rows[t]
        assert final[t] + bool(listed) <= 1  # either final, or merged
    assert work.covered == all(final[t] or rows[t] for t in range(tokens))


def one_segment(tokens: int, keys: int, texts: int = 1) -> Segment:
    text = np.repeat(np.arange(texts), tokens // texts)
    zeros = np.zeros(tokens, np.int64)
    return Segment(text, zeros, zeros + keys, keys)


@pytest.mark.parametrize(
    ("tokens", "texts", "group", "kernel"),
    [(1, 1, 6, "attend_16"), (64, 64, 6, "attend_16"), (8, 1, 6, "attend_64"), (512, 1, 6, "attend_128")],
)
def test_the_fitting_tile(tokens: int, texts: int, group: int, kernel: str) -> None:
    assert choose_tile(one_segment(tokens, 100, texts), group).kernel == kernel


def test_a_long_text_of_one_token_is_split_over_the_gpu_and_a_short_one_is_not() -> None:
    long = plan_work([one_segment(1, 131_072)], 6, 8, blocks=264)
    ((_, _, count),) = long.launches
    assert 264 / 2 <= count * 8 <= 264 + 8
    ((_, _, count),) = plan_work([one_segment(1, 200)], 6, 8, blocks=264).launches
    assert count == 1


def test_key_numbers_beyond_32_bits_are_one_sentence() -> None:
    far = Segment(np.zeros(1, np.int64), np.array([2**31]), np.array([2**31 + 5]), 10)
    with pytest.raises(CwmTraceError, match="key number 2147483653 does not fit 32 bits"):
        plan_work([far], 1, 1, 10)


def test_shared_memory_fits_without_asking_for_more() -> None:
    assert max(tile.shared_bytes(128) for tile in TILES) == 48 << 10
