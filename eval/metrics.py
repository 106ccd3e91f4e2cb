"""Numbers over aligned frames. A rate with nothing to score is None: no value is not a wrong one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """Hits among trials.

    >>> Rate(3, 4).value
    0.75
    """

    hits: int
    total: int

    @property
    def value(self) -> float | None:
        """Hits per trial, in [0, 1]; None without trials."""
        return self.hits / self.total if self.total else None


@dataclass(frozen=True, slots=True)
class Retrieval:
    """Found and missed items, as in information retrieval.

    Args:
        true_positives: predicted and real.
        false_positives: predicted only.
        false_negatives: real only.
    """

    true_positives: int
    false_positives: int
    false_negatives: int

    @property
    def precision(self) -> float | None:
        """Share of the predicted items that are real; None if nothing was predicted."""
        return Rate(self.true_positives, self.true_positives + self.false_positives).value

    @property
    def recall(self) -> float | None:
        """Share of the real items that were predicted; None if nothing was real."""
        return Rate(self.true_positives, self.true_positives + self.false_negatives).value

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall, 2·TP / (2·TP + FP + FN); None if there are no items.

        >>> Retrieval(2, 1, 1).f1
        0.6666666666666666
        """
        wrong = self.false_positives + self.false_negatives
        return Rate(2 * self.true_positives, 2 * self.true_positives + wrong).value
