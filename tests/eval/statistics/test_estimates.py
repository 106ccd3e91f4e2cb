from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwm_trace.eval.statistics.estimates import (
    Difference,
    Estimate,
    bootstrap_ratios,
    compare_ratios,
    compare_verdicts,
    mcnemar_mid_p,
    wilson,
)

stats = pytest.importorskip("scipy.stats")
COUNTS = st.integers(0, 400)


@given(COUNTS, COUNTS)
def test_wilson_is_scipys(hits: int, misses: int) -> None:
    total = hits + misses
    found = wilson(hits, total)
    if not total:
        assert found == Estimate(None)
        return
    known = stats.binomtest(hits, total).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((known.low, known.high), abs=1e-12)
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low < found.high <= 1


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_binomial_formula(lost: int, won: int) -> None:
    total, fewer = lost + won, min(lost, won)
    if total:
        shares = [math.comb(total, k) / 2**total for k in range(fewer + 1)]
        formula = min(1.0, 2 * sum(shares[:-1]) + shares[-1])
    else:
        formula = 1.0
    assert mcnemar_mid_p(lost, won) == pytest.approx(formula, abs=1e-12)
    assert mcnemar_mid_p(lost, won) == mcnemar_mid_p(won, lost)


def test_a_published_mcnemar_example() -> None:
    """Fagerland et al. 2013, table 3: 1 and 7 discordant pairs: exact 0.070, mid-p 0.039."""
    assert mcnemar_mid_p(1, 7) == pytest.approx(0.039, abs=5e-4)
    assert stats.binomtest(1, 8).pvalue == pytest.approx(0.070, abs=5e-4)


def test_wilson_covers_at_the_nominal_rate() -> None:
    """Averaged over shares, as Wilson's interval is meant: it does not lean to one side."""
    covered = []
    for share in np.linspace(0.05, 0.95, 19):
        chances = stats.binom.pmf(np.arange(101), 100, share)
        intervals = [wilson(hits, 100) for hits in range(101)]
        inside = [e.low is not None and e.high is not None and e.low <= share <= e.high for e in intervals]
        covered.append(float(chances @ np.array(inside, float)))
    assert np.mean(covered) == pytest.approx(0.95, abs=0.01)
    assert min(covered) > 0.92


def correlated(random: np.random.Generator, programs: int) -> tuple[np.ndarray, np.ndarray]:
    """Hits and frames of programs of many lengths and difficulties; the true ratio is 0.7."""
    lengths = random.integers(5, 60, programs)
    shares = random.beta(1.4, 0.6, programs)
    return random.binomial(lengths, shares), lengths


def test_the_cluster_bootstrap_covers_at_the_nominal_rate() -> None:
    random = np.random.default_rng(1)
    covered = naive = 0
    for trial in range(300):
        hits, lengths = correlated(random, 80)
        (found,) = bootstrap_ratios(hits[:, None], lengths[:, None], folds=600, seed=trial)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 0.7 <= found.high
        frames = wilson(hits.sum(), lengths.sum())
        naive += (frames.low or 0) <= 0.7 <= (frames.high or 1)
    assert 0.91 <= covered / 300 <= 0.98
    assert naive / 300 < 0.75  # what taking frames for independent would give


def test_ratios_are_of_sums_and_programs_without_items_are_not_counted() -> None:
    tops, bottoms = [[1, 0], [3, 0], [0, 0]], [[2, 0], [3, 0], [0, 0]]
    ratio, nothing = bootstrap_ratios(tops, bottoms, folds=50)
    assert (ratio.value, ratio.n) == (0.8, 2)
    assert nothing == Estimate(None)


def test_an_interval_is_never_empty() -> None:
    (same,) = bootstrap_ratios([[1]] * 20, [[1]] * 20, folds=50)
    assert (same.value, same.low, same.high) == (1.0, wilson(20, 20).low, 1.0)
    (one,) = bootstrap_ratios([[1]], [[2]], folds=50)
    assert one.low is not None
    assert one.high is not None
    assert one.low < 0.5 < one.high
    equal = compare_ratios([(1, 2)] * 9, [(1, 2)] * 9, folds=50)
    assert equal.low is not None
    assert equal.high is not None
    assert equal.low < 0 < equal.high
    assert equal.p == 1


def test_the_same_seed_gives_the_same_interval() -> None:
    random = np.random.default_rng(3)
    hits, lengths = correlated(random, 40)
    first, again, other = (
        bootstrap_ratios(hits[:, None], lengths[:, None], folds=200, seed=seed)[0] for seed in (1, 1, 2)
    )
    assert first == again != other
    assert first.value == other.value


def test_a_paired_difference_is_surer_than_two_intervals() -> None:
    """The second run is right in one frame more of each program: that is sure, whatever the programs are."""
    random = np.random.default_rng(5)
    hits, lengths = correlated(random, 60)
    first = [(float(h), float(n + 1)) for h, n in zip(hits, lengths, strict=True)]
    second = [(top + 1, bottom) for top, bottom in first]
    found = compare_ratios(first, second, folds=2000)
    alone = compare_ratios(first, [second[i] for i in random.permutation(60)], folds=2000)
    assert found.low is not None
    assert found.low > 0
    assert (found.p or 1) < 0.01
    assert (alone.low or 0) < 0 or (alone.p or 0) > (found.p or 0)
    mirror = compare_ratios(second, first, folds=2000)
    assert mirror.value == pytest.approx(-(found.value or 0))
    assert mirror.low == pytest.approx(-(found.high or 0))


def test_two_runs_without_a_difference_rarely_seem_to_have_one() -> None:
    random = np.random.default_rng(7)
    false_alarms = 0
    for trial in range(200):
        hits, lengths = correlated(random, 60)
        other = random.binomial(lengths, np.clip(hits / lengths, 0.02, 0.98))
        again = random.binomial(lengths, np.clip(hits / lengths, 0.02, 0.98))
        first = list(zip(other.tolist(), lengths.tolist(), strict=True))
        second = list(zip(again.tolist(), lengths.tolist(), strict=True))
        found = compare_ratios(first, second, folds=400, seed=trial)
        false_alarms += (found.p or 0) < 0.05
    assert 0.01 <= false_alarms / 200 <= 0.1


def test_verdicts_are_compared_by_mcnemar() -> None:
    pairs = [(True, False)] * 1 + [(False, True)] * 7 + [(True, True)] * 10 + [(False, False)] * 2
    found = compare_verdicts(pairs, folds=500)
    assert (found.value, found.n, found.p) == (0.3, 20, mcnemar_mid_p(1, 7))
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0.3 < found.high
    assert compare_verdicts([]) == Difference(None)
