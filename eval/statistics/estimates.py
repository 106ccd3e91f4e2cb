"""Intervals and tests. Programs are resampled, not frames: the frames of one trace are correlated.

Proportions of programs have Wilson intervals, everything else a percentile interval of a cluster bootstrap.
numpy and scipy are imported where they are needed: the light core does without.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

FOLDS = 10_000
_Z = 1.959963984540054  # of a two-sided 95 % interval
_CHUNK = 1 << 22  # draws at a time


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95 % interval.

    Args:
        value: None if nothing was scored.
        low, high: the interval; never empty, even where all programs agree. None where it is not known: for
            a number without an upper bound that is the same in all programs.
        n: programs with something to score.
        skill: what of the copy baseline's errors is gone, (value - copy) / (1 - copy); None without it.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    skill: float | None = None


def wilson(hits: float, total: float) -> Estimate:
    """A proportion with Wilson's score interval (Wilson 1927), which lies within [0, 1] and is never empty.

    >>> estimate = wilson(5, 10)
    >>> round(estimate.low, 4), estimate.value, round(estimate.high, 4)
    (0.2366, 0.5, 0.7634)
    """
    if not total:
        return Estimate(None)
    share = hits / total
    scale = 1 + _Z * _Z / total
    centre = (share + _Z * _Z / (2 * total)) / scale
    half = _Z / scale * math.sqrt(share * (1 - share) / total + _Z * _Z / (4 * total * total))
    low = 0.0 if hits <= 0 else max(0.0, centre - half)
    high = 1.0 if hits >= total else min(1.0, centre + half)
    return Estimate(share, low, high, round(total))


def draw_programs(count: int, folds: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Resamples of `count` programs with replacement: indices `(some folds, count)`, until all are drawn."""
    import numpy as np

    random = np.random.default_rng(seed)
    size = max(1, _CHUNK // max(1, count))
    for start in range(0, folds, size):
        yield random.integers(0, count, (min(size, folds - start), count))


def _count_draws(draws: NDArray[np.int64]) -> Floats:
    """How often each program was drawn `(folds, programs)`."""
    import numpy as np

    folds, count = draws.shape
    flat = draws + np.arange(folds)[:, None] * count
    return np.bincount(flat.ravel(), minlength=folds * count).reshape(folds, count).astype(float)


def bootstrap_ratios(
    numerators: Any,
    denominators: Any,
    *,
    are_shares: Sequence[bool] | None = None,
    folds: int = FOLDS,
    seed: int = 0,
) -> list[Estimate]:
    """Ratios of sums over programs, with cluster bootstrap intervals (Efron 1979; Field and Welsh 2007).

    Args:
        numerators: `(programs, ratios)`.
        denominators: likewise; a program with 0 has nothing to score for that ratio.
        are_shares: which ratios lie between 0 and 1; all, if it is left out.
        folds: resamples of all programs.
        seed: of the resamples.
    """
    import numpy as np

    top, bottom = np.asarray(numerators, float), np.asarray(denominators, float)
    programs, ratios = top.shape
    if not programs:
        return [Estimate(None)] * ratios
    found = []
    for draws in draw_programs(programs, folds, seed):
        weights = _count_draws(draws)
        with np.errstate(invalid="ignore", divide="ignore"):
            found.append((weights @ top) / (weights @ bottom))
    replicates = np.concatenate(found)
    estimates = []
    for i, is_share in enumerate(are_shares or [True] * ratios):
        total, known = float(bottom[:, i].sum()), int((bottom[:, i] > 0).sum())
        if total:
            value = float(top[:, i].sum()) / total
            estimates.append(interval(value, known, replicates[:, i], 1.0 if is_share else None))
        else:
            estimates.append(Estimate(None))
    return estimates


def interval(value: float, programs: int, replicates: Floats, largest: float | None) -> Estimate:
    """The middle 95 % of the replicates.

    Where all programs agree the bootstrap knows no spread: then Wilson's interval of that many programs, for
    a number between 0 and `largest`, and none for others.
    """
    import numpy as np

    replicates = replicates[np.isfinite(replicates)]
    low, high = (
        (float(q) for q in np.quantile(replicates, (0.025, 0.975))) if len(replicates) else (value, value)
    )
    if high - low < 1e-12:
        if largest is None:
            return Estimate(value, n=programs)
        wide = wilson(value / largest * programs, programs)
        assert wide.low is not None
        assert wide.high is not None
        low, high = wide.low * largest, wide.high * largest
    return Estimate(value, min(low, value), max(high, value), programs)


@dataclass(frozen=True, slots=True)
class Difference:
    """How much a second run differs from a first one on the same programs, with a 95 % interval.

    Args:
        value: second minus first; None if nothing was scored in both.
        low, high: the interval.
        p: of the hypothesis that there is no difference, two-sided.
        n: programs with something to score in both.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    n: int = 0


def mcnemar_mid_p(lost: int, won: int) -> float:
    """McNemar's test of paired pass and fail in its mid-p form (Fagerland, Lydersen and Laake 2013).

    Args:
        lost: programs that only the first run got right.
        won: those that only the second one did.

    Returns:
        The two-sided p-value: under the hypothesis, `lost` is binomial with share 1/2 among the discordant
        programs; the observed count weighs half. 1 if there are none.
    """
    from scipy.stats import binom

    total, fewer = lost + won, min(lost, won)
    if not total:
        return 1.0
    p = 2 * float(binom.cdf(fewer, total, 0.5)) - float(binom.pmf(fewer, total, 0.5))
    return min(1.0, p)


def compare_verdicts(pairs: Sequence[tuple[bool, bool]], *, folds: int = FOLDS, seed: int = 0) -> Difference:
    """Second share minus first, of programs with both verdicts: McNemar's mid-p, bootstrap interval."""
    import numpy as np

    if not pairs:
        return Difference(None)
    steps = np.array([float(second) - float(first) for first, second in pairs])
    replicates = np.concatenate([steps[draws].mean(1) for draws in draw_programs(len(pairs), folds, seed)])
    lost, won = int((steps < 0).sum()), int((steps > 0).sum())
    return difference(float(steps.mean()), len(pairs), replicates, p=mcnemar_mid_p(lost, won))


def compare_ratios(
    first: Sequence[tuple[float, float]],
    second: Sequence[tuple[float, float]],
    *,
    folds: int = FOLDS,
    seed: int = 0,
) -> Difference:
    """Second ratio of sums minus first, both over the same resamples of programs (paired bootstrap).

    Args:
        first, second: numerator and denominator of each program, in one order.
        folds: resamples.
        seed: of the resamples.
    """
    import numpy as np

    table = np.array([(*a, *b) for a, b in zip(first, second, strict=True)], dtype=float).reshape(-1, 4)
    known = int(((table[:, 1] > 0) & (table[:, 3] > 0)).sum())
    top, bottom, other_top, other_bottom = table.sum(0)
    if not bottom or not other_bottom:
        return Difference(None)
    found = []
    for draws in draw_programs(len(table), folds, seed):
        sums = _count_draws(draws) @ table
        with np.errstate(invalid="ignore", divide="ignore"):
            found.append(sums[:, 2] / sums[:, 3] - sums[:, 0] / sums[:, 1])
    return difference(other_top / other_bottom - top / bottom, known, np.concatenate(found))


def difference(
    value: float, programs: int, replicates: Floats, *, p: float | None = None, largest: float = 1.0
) -> Difference:
    """A difference with the middle 95 % of its replicates, and the bootstrap's p if no other is given.

    That p is twice the share of replicates on the other side of zero, one replicate added to each (Davison
    and Hinkley 1997). Where all programs agree the replicates have no spread: then the interval allows for as
    large a share of programs that do not as Wilson's does.
    """
    import numpy as np

    replicates = replicates[np.isfinite(replicates)]
    low, high = np.quantile(replicates, (0.025, 0.975)) if len(replicates) else (value, value)
    if high - low < 1e-12:
        slack = wilson(0, programs).high
        assert slack is not None
        slack *= abs(value) or largest
        low, high = max(-largest, value - slack), min(largest, value + slack)
    if p is None:
        sides = (replicates <= 0).sum(), (replicates >= 0).sum()
        p = min(1.0, 2 * (float(min(sides)) + 1) / (len(replicates) + 1))
    return Difference(value, float(min(low, value)), float(max(high, value)), p, programs)
