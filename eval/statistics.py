"""Intervals and tests. Programs are resampled, not frames: the frames of one trace are correlated.

Proportions of programs have Wilson intervals, everything else a percentile interval of a cluster bootstrap.
numpy and scipy are imported where they are needed: the light core does without.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
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
        low, high: the interval; never empty, even where all programs agree.
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

    >>> wilson(5, 10)
    Estimate(value=0.5, low=0.2365930905125641, high=0.7634069094874359, n=10, skill=None)
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


def count_draws(draws: NDArray[np.int64]) -> Floats:
    """How often each program was drawn `(folds, programs)`."""
    import numpy as np

    folds, count = draws.shape
    flat = draws + np.arange(folds)[:, None] * count
    return np.bincount(flat.ravel(), minlength=folds * count).reshape(folds, count).astype(float)


def bootstrap_ratios(
    numerators: Any, denominators: Any, *, folds: int = FOLDS, seed: int = 0
) -> list[Estimate]:
    """Ratios of sums over programs, with cluster bootstrap intervals (Efron 1979; Field and Welsh 2007).

    Args:
        numerators: `(programs, ratios)`.
        denominators: likewise; a program with 0 has nothing to score for that ratio.
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
        weights = count_draws(draws)
        with np.errstate(invalid="ignore", divide="ignore"):
            found.append((weights @ top) / (weights @ bottom))
    replicates = np.concatenate(found)
    return [
        _estimate(top[:, i].sum(), bottom[:, i].sum(), int((bottom[:, i] > 0).sum()), replicates[:, i])
        for i in range(ratios)
    ]


def _estimate(top: float, bottom: float, programs: int, replicates: Floats) -> Estimate:
    if not bottom:
        return Estimate(None)
    return interval(float(top / bottom), programs, replicates)


def interval(value: float, programs: int, replicates: Floats, largest: float = 1.0) -> Estimate:
    """The middle 95 % of the replicates.

    Where all programs agree the bootstrap knows no spread: then Wilson's interval of that many programs, for
    a number between 0 and `largest`.
    """
    import numpy as np

    replicates = replicates[np.isfinite(replicates)]
    low, high = (
        (float(q) for q in np.quantile(replicates, (0.025, 0.975))) if len(replicates) else (value, value)
    )
    if high - low < 1e-12 and 0 <= value <= largest:
        wide = wilson(value / largest * programs, programs)
        assert wide.low is not None
        assert wide.high is not None
        low, high = wide.low * largest, wide.high * largest
    return Estimate(value, min(low, value), max(high, value), programs)
