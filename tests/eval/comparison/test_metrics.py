from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwm_trace.eval.comparison.metrics import Rate, Retrieval

COUNTS = st.integers(0, 10**6)


@given(COUNTS, COUNTS, COUNTS)
def test_rates_lie_between_0_and_1(hits: int, surplus: int, missed: int) -> None:
    found = Retrieval(hits, surplus, missed)
    for value in (found.precision, found.recall, found.f1, Rate(hits, hits + missed).value):
        assert value is None or 0 <= value <= 1


@given(COUNTS, COUNTS, COUNTS)
def test_precision_and_recall_are_mirror_images(hits: int, surplus: int, missed: int) -> None:
    one, other = Retrieval(hits, surplus, missed), Retrieval(hits, missed, surplus)
    assert (one.precision, one.recall, one.f1) == (other.recall, other.precision, other.f1)
    if hits and one.precision and one.recall:
        harmonic = 2 * one.precision * one.recall / (one.precision + one.recall)
        assert one.f1 == pytest.approx(harmonic)


def test_nothing_to_score_is_no_value() -> None:
    assert Rate(0, 0).value is None
    nothing = Retrieval(0, 0, 0)
    assert (nothing.precision, nothing.recall, nothing.f1) == (None, None, None)
    assert Retrieval(0, 1, 0).recall is None
    assert Retrieval(0, 1, 0).f1 == 0
