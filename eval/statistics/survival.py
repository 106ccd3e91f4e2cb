"""How long predictions stay right: the Kaplan-Meier estimate of the survival of a rollout.

Time is counted in frames: S(k) is the probability that the first k frames are right. A prediction that is
right to its end is censored there, and one that a budget cut while it was right, where it was cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cwm_trace.eval.statistics.estimates import (
    FOLDS,
    Difference,
    Estimate,
    difference,
    draw_programs,
    interval,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]


LIMITS = (32, 128, 512)
"""Frames to which mean survival is counted."""


@dataclass(frozen=True, slots=True)
class Lifetime:
    """One rollout: `frames` right ones, and then a wrong one if `observed`."""

    frames: int
    observed: bool


def kaplan_meier(lifetimes: Sequence[Lifetime], last: int) -> list[float]:
    """S(0) to S(`last`) (Kaplan and Meier 1958).

    S(k) is the product over j = 1 … k of 1 - d/n: of n rollouts that reached frame j and were right before,
    d are wrong there. Where nothing is left to observe, S stays what it was.

    >>> kaplan_meier([Lifetime(1, True), Lifetime(2, False), Lifetime(3, True)], 4)
    [1.0, 1.0, 0.6666666666666667, 0.6666666666666667, 0.0]
    """
    found = [1.0]
    for time in range(1, last + 1):
        deaths = sum(life.observed and life.frames == time - 1 for life in lifetimes)
        at_risk = sum(life.frames >= time - life.observed for life in lifetimes)
        found.append(found[-1] * (1 - deaths / at_risk) if at_risk else found[-1])
    return found


Program = Lifetime | Sequence[Lifetime]
"""What is drawn: one rollout of a program, or several samples of it."""


def restricted_means(
    lifetimes: Sequence[Program],
    limits: Sequence[int] = LIMITS,
    *,
    folds: int = FOLDS,
    seed: int = 0,
) -> list[Estimate]:
    """Mean number of right frames before the first wrong one, counted to each limit at most.

    That is the area under the Kaplan-Meier curve (Irwin 1949; Royston and Parmar 2013), S(1) + … + S(limit);
    intervals by bootstrap over programs, each drawn with all of its samples.
    """
    import numpy as np

    if not lifetimes:
        return [Estimate(None) for _ in limits]
    last = max(limits)
    codes = _codes(lifetimes, last)
    every = np.arange(len(codes))[None, :]
    values = _areas(codes, every, last, limits)[0]
    replicates = np.concatenate(
        [_areas(codes, draws, last, limits) for draws in draw_programs(len(codes), folds, seed)]
    )
    return [
        interval(float(values[i]), len(codes), replicates[:, i], float(limit))
        for i, limit in enumerate(limits)
    ]


def _codes(programs: Sequence[Program], last: int) -> Ints:
    """Each lifetime as a number: the frame that failed, or that was the last, and which of the two.

    `(programs, samples)`; where a program has fewer samples than another, a number behind all of these.
    """
    import numpy as np

    rows = [[life] if isinstance(life, Lifetime) else list(life) for life in programs]
    found = np.full((len(rows), max(map(len, rows), default=1)), 2 * (last + 1), dtype=np.int64)
    for place, row in enumerate(rows):
        for number, life in enumerate(row):
            observed = life.observed and life.frames < last
            found[place, number] = 2 * min(life.frames + observed, last) + observed
    return found


def _areas(codes: Ints, draws: Ints, last: int, limits: Sequence[int]) -> Floats:
    import numpy as np

    folds = len(draws)
    width = 2 * (last + 1)
    flat = codes[draws].reshape(folds, -1) + np.arange(folds)[:, None] * (width + 1)
    numbers = np.bincount(flat.ravel(), minlength=folds * (width + 1)).reshape(folds, width + 1)
    counts = numbers[:, :width].reshape(folds, last + 1, 2)
    left = counts.sum(2)[:, ::-1].cumsum(1)[:, ::-1]  # at risk at each frame
    survival = np.cumprod(1 - counts[:, :, 1] / np.maximum(left, 1), axis=1)
    return np.stack([survival[:, 1 : limit + 1].sum(1) for limit in limits], axis=1)


def compare_restricted_means(
    first: Sequence[Program],
    second: Sequence[Program],
    limits: Sequence[int] = LIMITS,
    *,
    folds: int = FOLDS,
    seed: int = 0,
) -> list[Difference]:
    """Second restricted mean minus first on the same programs, in one order (paired bootstrap)."""
    import numpy as np

    if len(first) != len(second):
        raise ValueError(f"{len(first)} lifetimes and {len(second)} are not of the same programs")
    if not first:
        return [Difference(None) for _ in limits]
    last, count = max(limits), len(first)
    codes = _codes(first, last), _codes(second, last)
    found = [
        _areas(codes[1], draws, last, limits) - _areas(codes[0], draws, last, limits)
        for draws in (np.arange(count)[None, :], *draw_programs(count, folds, seed))
    ]
    values, replicates = found[0][0], np.concatenate(found[1:])
    return [
        difference(float(values[i]), count, replicates[:, i], largest=float(limit))
        for i, limit in enumerate(limits)
    ]
