"""Numbers over aligned frames. A rate with nothing to score is None: no value is not a wrong one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """Hits among trials.

    >>> Rate(3, 4).value
    0.75
    """

    hits: int = 0
    total: int = 0

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

    true_positives: int = 0
    false_positives: int = 0
    false_negatives: int = 0

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


NO_TRIALS = Rate()
NO_ITEMS = Retrieval()


def skill(model: float | None, floor: float | None) -> float | None:
    """How much of what the copy baseline leaves a model gains, (model - copy) / (1 - copy).

    1: perfect; 0: no better than copying; negative: worse. None where either is, or nothing is left.

    >>> skill(0.8, 0.6)
    0.5000000000000001
    """
    if model is None or floor is None or floor >= 1:
        return None
    return (model - floor) / (1 - floor)
