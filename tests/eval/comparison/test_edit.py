from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from cwm_trace.eval.comparison.edit import longest_common_subsequence

WORDS = st.text("abc", max_size=14)


def length_by_table(left: str, right: str) -> int:
    """The textbook recurrence."""
    row = [0] * (len(right) + 1)
    for item in left:
        before = row
        row = [0]
        for j, other in enumerate(right):
            row.append(before[j] + 1 if item == other else max(row[j], before[j + 1]))
    return row[-1]


@given(WORDS, WORDS)
def test_as_many_as_the_textbook_finds(left: str, right: str) -> None:
    pairs = longest_common_subsequence(left, right)
    assert len(pairs) == length_by_table(left, right)
    assert all(left[i] == right[j] for i, j in pairs)
    for (i, j), (k, m) in itertools.pairwise(pairs):
        assert i < k
        assert j < m


@given(st.lists(st.integers(0, 9), min_size=100, max_size=300), st.integers(0, 99))
def test_a_dropped_item_costs_one(items: list[int], index: int) -> None:
    shorter = items[:index] + items[index + 1 :]
    assert len(longest_common_subsequence(items, shorter)) == len(shorter)


def test_long_sequences_without_anything_in_common() -> None:
    assert longest_common_subsequence(range(4000), range(5000, 9000)) == []
