"""Rows are full, every document is in one of them, and a row says where each of its documents begins."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

np = pytest.importorskip("numpy")

from cwm_trace.datasets.filling import READY, Filler, lay_out  # noqa: E402
from cwm_trace.datasets.tokenizing import TokenField, TokenizedTrace  # noqa: E402

PAD = 9


def document(size: int, number: int = 1) -> TokenizedTrace:
    return TokenizedTrace((number,) * size, bytes([TokenField.LOCALS]) * size, (0,) * size)


def rows_of(sizes: list[int], length: int, *, alone: bool = False) -> list[list[range]]:
    left = iter([range(size) for size in sizes])
    filler: Filler[range] = Filler(lambda _: [one for one in (next(left, None),) if one is not None])
    rows = []
    while row := filler.row(length, alone=alone):
        rows.append(row)
    assert not filler.waiting
    return rows


@given(st.lists(st.integers(1, 40), max_size=150), st.integers(8, 30))
def test_every_document_has_one_row_that_holds_it(sizes: list[int], length: int) -> None:
    rows = rows_of(sizes, length)
    assert sorted(len(one) for row in rows for one in row) == sorted(sizes)
    assert all(sum(map(len, row)) <= length or len(row) == 1 for row in rows)
    for index, row in enumerate(rows[:-1]):  # what still waits fits no row before it
        room = length - sum(map(len, row))
        ready = [len(one) for later in rows[index + 1 :] for one in later][: READY - 1]
        assert len(sizes) >= READY or all(size > room for size in ready)
    assert [len(row) for row in rows_of(sizes, length, alone=True)] == [1] * len(sizes)


def test_the_one_that_waits_longest_comes_first_and_then_the_longest_that_fits() -> None:
    assert [[len(one) for one in row] for row in rows_of([3, 9, 2, 6, 1], 10)] == [[3, 6, 1], [9], [2]]


def test_a_row_says_where_its_documents_begin() -> None:
    row = lay_out([document(3, 1), document(2, 2)], 8, PAD)
    assert row["input_ids"].tolist() == [1, 1, 1, 2, 2, PAD, PAD, PAD]
    assert row["positions"].tolist() == [0, 1, 2, 0, 1, 0, 1, 2]
    assert row["fields"].tolist() == [TokenField.LOCALS] * 5 + [TokenField.PADDING] * 3
    assert (row["input_ids"].dtype, row["fields"].dtype) == (np.int64, np.uint8)
    assert lay_out([document(9)], 4, PAD)["positions"].tolist() == [0, 1, 2, 3]
    assert lay_out([], 2, PAD)["positions"].tolist() == [0, 1]
