from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwm_trace.eval.statistics.survival import (
    Lifetime,
    compare_restricted_means,
    kaplan_meier,
    restricted_means,
)

stats = pytest.importorskip("scipy.stats")
LIVES = st.lists(st.builds(Lifetime, st.integers(0, 40), st.booleans()), min_size=1, max_size=30)


def test_a_hand_worked_curve() -> None:
    """Of 4 rollouts 1 is wrong in frame 1; 1 is cut after frame 1; of the 2 left 1 is wrong in frame 3."""
    lives = [Lifetime(0, True), Lifetime(1, False), Lifetime(2, True), Lifetime(3, False)]
    assert kaplan_meier(lives, 4) == [1, 0.75, 0.75, 0.375, 0.375]
    (mean,) = restricted_means(lives, [4], folds=10)
    assert mean.value == pytest.approx(0.75 + 0.75 + 0.375 + 0.375)


@given(LIVES)
def test_the_curve_is_scipys(lives: list[Lifetime]) -> None:
    died = [life.frames + 1 for life in lives if life.observed]
    survived = [life.frames for life in lives if not life.observed]
    data = stats.CensoredData(uncensored=died, right=survived)
    known = stats.ecdf(data).sf
    assert kaplan_meier(lives, 45) == pytest.approx([float(known.evaluate(k)) for k in range(46)])


@given(st.lists(st.integers(0, 40), min_size=1))
def test_without_censoring_it_is_the_empirical_curve(taus: list[int]) -> None:
    lives = [Lifetime(tau, True) for tau in taus]
    assert kaplan_meier(lives, 45) == pytest.approx([np.mean([tau >= k for tau in taus]) for k in range(46)])
    limits = (8, 32)
    means = restricted_means(lives, limits, folds=5)
    assert [m.value for m in means] == pytest.approx([np.mean(np.minimum(taus, k)) for k in limits])


@given(LIVES, st.integers(1, 45))
def test_a_restricted_mean_is_the_area_under_the_curve(lives: list[Lifetime], limit: int) -> None:
    (mean,) = restricted_means(lives, [limit], folds=20)
    assert mean.value == pytest.approx(sum(kaplan_meier(lives, limit)[1:]))
    assert mean.value is not None
    assert mean.low is not None
    assert mean.high is not None
    assert 0 <= mean.low <= mean.value <= mean.high <= limit
    assert mean.low < mean.high


def test_what_is_never_wrong_lives_to_the_limit() -> None:
    means = restricted_means([Lifetime(5, False)] * 10, folds=20)
    assert [mean.value for mean in means] == [32, 128, 512]
    assert means[0].low is not None
    assert means[0].low < 32


def test_no_rollouts_have_no_mean() -> None:
    assert [mean.value for mean in restricted_means([])] == [None, None, None]
    assert [mean.value for mean in compare_restricted_means([], [])] == [None, None, None]


def test_intervals_of_restricted_means_cover_at_the_nominal_rate() -> None:
    """Geometric lifetimes of hazard 0.1, censored by geometric lengths: E[min(tau, 32)] is known."""
    truth = sum(0.9**k for k in range(1, 33))
    random = np.random.default_rng(2)
    covered = 0
    for trial in range(250):
        wrong, length = random.geometric(0.1, 100) - 1, random.geometric(0.05, 100)
        lives = [Lifetime(int(min(w, n)), bool(w < n)) for w, n in zip(wrong, length, strict=True)]
        (mean,) = restricted_means(lives, [32], folds=400, seed=trial)
        assert mean.low is not None
        assert mean.high is not None
        covered += mean.low <= truth <= mean.high
    assert 0.9 <= covered / 250 <= 0.985


def test_longer_lives_are_longer_on_the_same_programs() -> None:
    random = np.random.default_rng(4)
    first = [Lifetime(int(n), True) for n in random.geometric(0.1, 50)]
    second = [Lifetime(life.frames + 2, True) for life in first]
    (found,) = compare_restricted_means(first, second, [512], folds=500)
    assert found.value == pytest.approx(2)
    assert found.low is not None
    assert found.high is not None
    assert 1 < found.low < 2 < found.high < 3
    assert (found.p or 1) < 0.01
    (same,) = compare_restricted_means(first, first, [512], folds=500)
    assert (same.value, same.p) == (0, 1)
    with pytest.raises(ValueError, match="same programs"):
        compare_restricted_means(first, second[1:])
