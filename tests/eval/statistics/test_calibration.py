from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwm_trace.eval.statistics.calibration import (
    Bin,
    auroc,
    brier_score,
    calibrate,
    calibration_error,
    equal_mass_bins,
    risk_coverage,
)

stats = pytest.importorskip("scipy.stats")
ITEMS = st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]), st.booleans()), max_size=60)


def test_hand_worked() -> None:
    """Two bins: 0.2 and 0.4 with one of two right, 0.8 and 1.0 with both right."""
    items = [(0.2, False), (0.4, True), (0.8, True), (1.0, True)]
    assert equal_mass_bins(items, 2) == [Bin(2, (0.2 + 0.4) / 2, 0.5), Bin(2, 0.9, 1.0)]
    assert calibration_error(items, 2) == pytest.approx((0.2 + 0.1) / 2)
    assert brier_score(items) == pytest.approx((0.04 + 0.36 + 0.04) / 4)
    assert auroc(items) == 1.0
    assert risk_coverage(items) == [(0.25, 0.0), (0.5, 0.0), (0.75, 0.0), (1.0, 0.25)]
    assert calibrate(items).aurc == pytest.approx(0.0625)


@given(ITEMS)
def test_the_area_is_mann_whitneys(items: list[tuple[float, bool]]) -> None:
    right = [confidence for confidence, is_right in items if is_right]
    wrong = [confidence for confidence, is_right in items if not is_right]
    found = auroc(items)
    if right and wrong:
        assert found == pytest.approx(stats.mannwhitneyu(right, wrong).statistic / (len(right) * len(wrong)))
    else:
        assert found is None


@given(ITEMS, st.randoms(use_true_random=False))
def test_the_order_of_items_does_not_matter(items: list[tuple[float, bool]], chance: random.Random) -> None:
    shuffled = list(items)
    chance.shuffle(shuffled)
    one, other = calibrate(items), calibrate(shuffled)
    for name in ("ece", "brier", "auroc", "aurc"):
        assert getattr(one, name) == pytest.approx(getattr(other, name))
        assert getattr(one, name) is None or 0 <= getattr(one, name) <= 1


@given(ITEMS.filter(bool))
def test_bins_hold_all_items_evenly(items: list[tuple[float, bool]]) -> None:
    sizes = [part.count for part in equal_mass_bins(items)]
    assert sum(sizes) == len(items)
    assert len(sizes) == min(15, len(items))
    assert max(sizes) - min(sizes) <= 1
    assert risk_coverage(items)[-1] == pytest.approx((1, sum(not right for _, right in items) / len(items)))


def test_honest_confidence_is_calibrated_and_overconfidence_is_not() -> None:
    chance = random.Random(1)
    confidences = [chance.random() for _ in range(20_000)]
    honest = [(p, chance.random() < p) for p in confidences]
    proud = [(p**0.3, right) for p, right in honest]
    assert (calibrate(honest).ece or 1) < 0.02
    assert (calibrate(proud).ece or 0) > 0.2
    assert calibrate(proud).auroc == calibrate(honest).auroc
    assert (calibrate(honest).brier or 1) < (calibrate(proud).brier or 0)


def test_nothing_to_score_is_no_value() -> None:
    found = calibrate([])
    assert (found.n, found.ece, found.brier, found.auroc, found.aurc) == (0, None, None, None, None)
