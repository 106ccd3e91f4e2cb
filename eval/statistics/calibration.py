"""Whether a predictor knows what it knows: its confidence against how often it is right.

The confidence of a field is the product of the probabilities of its tokens; items are pairs of a confidence
and whether the field is right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

Items = Sequence[tuple[float, bool]]

_BINS = 15


@dataclass(frozen=True, slots=True)
class Bin:
    """Items of similar confidence.

    Args:
        count: how many.
        confidence: their mean confidence.
        accuracy: the share of them that is right.
    """

    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """Confidence against correctness.

    Args:
        n: items.
        ece: expected calibration error, see `calibration_error`; None without items.
        brier: see `brier_score`; None without items.
        auroc: see `auroc`; None unless there are right and wrong items.
        aurc: area under the risk-coverage curve, see `risk_coverage`; None without items.
    """

    n: int
    ece: float | None
    brier: float | None
    auroc: float | None
    aurc: float | None


def calibrate(items: Items) -> Calibration:
    """Every measure of one field."""
    curve = risk_coverage(items)
    aurc = sum(risk for _, risk in curve) / len(curve) if curve else None
    return Calibration(len(items), calibration_error(items), brier_score(items), auroc(items), aurc)


def equal_mass_bins(items: Items, bins: int = _BINS) -> list[Bin]:
    """Items sorted by confidence and cut into `bins` parts of equal size, but for one item.

    Fewer where there are fewer items. Items of equal confidence are in an order that does not depend on
    whether they are right: each shares the accuracy of all of them.
    """
    smoothed: list[tuple[float, float]] = []
    for confidence, group in groupby(sorted(items, key=lambda item: item[0]), key=lambda item: item[0]):
        rights = [right for _, right in group]
        smoothed += [(confidence, sum(rights) / len(rights))] * len(rights)
    count = min(bins, len(smoothed))
    found = []
    for index in range(count):
        part = smoothed[index * len(smoothed) // count : (index + 1) * len(smoothed) // count]
        size = len(part)
        found.append(Bin(size, sum(c for c, _ in part) / size, sum(a for _, a in part) / size))
    return found


def calibration_error(items: Items, bins: int = _BINS) -> float | None:
    """Mean distance of accuracy and confidence over bins of equal mass, weighted by their size.

    Expected calibration error (Naeini et al. 2015) with the bins of Nixon et al. 2019; 0 is best.
    """
    if not items:
        return None
    parts = equal_mass_bins(items, bins)
    return sum(part.count * abs(part.accuracy - part.confidence) for part in parts) / len(items)


def brier_score(items: Items) -> float | None:
    """Mean squared distance of confidence and outcome (Brier 1950); 0 is best.

    >>> brier_score([(1.0, True), (0.5, False)])
    0.125
    """
    if not items:
        return None
    return sum((confidence - right) ** 2 for confidence, right in items) / len(items)


def auroc(items: Items) -> float | None:
    """Probability that a right item is more confident than a wrong one; ties count half.

    Area under the ROC curve (Hanley and McNeil 1982). 1: confidence separates
    them; 0.5: it says nothing. None if all are right or all are wrong.

    >>> auroc([(0.9, True), (0.8, False), (0.7, True)])
    0.5
    """
    rights = sum(right for _, right in items)
    wrongs = len(items) - rights
    if not rights or not wrongs:
        return None
    better, below = 0.0, 0
    for _, group in groupby(sorted(items, key=lambda item: item[0]), key=lambda item: item[0]):
        verdicts = [right for _, right in group]
        right, wrong = sum(verdicts), len(verdicts) - sum(verdicts)
        better += right * (below + wrong / 2)
        below += wrong
    return better / (rights * wrongs)


def risk_coverage(items: Items) -> list[tuple[float, float]]:
    """Share of wrong items among the most confident ones, for every share of items that is answered.

    Points `(coverage, risk)`, from the most confident item alone to all (El-Yaniv and Wiener 2010). Items of
    equal confidence share their errors evenly.

    >>> risk_coverage([(0.9, True), (0.5, False)])
    [(0.5, 0.0), (1.0, 0.5)]
    """
    found: list[tuple[float, float]] = []
    seen, wrong = 0, 0.0
    ordered = sorted(items, key=lambda item: -item[0])
    for _, group in groupby(ordered, key=lambda item: item[0]):
        verdicts = [right for _, right in group]
        share = 1 - sum(verdicts) / len(verdicts)
        for _ in verdicts:
            seen, wrong = seen + 1, wrong + share
            found.append((seen / len(items), wrong / seen))
    return found
