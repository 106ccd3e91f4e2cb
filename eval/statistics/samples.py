"""Several samples of each program: pass@k without bias, and what the majority of the samples says."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

from cwm_trace.eval.comparison.answers import literals_equal
from cwm_trace.eval.statistics.estimates import FOLDS, Estimate
from cwm_trace.eval.statistics.summary import mean_of

_KS = (1, 2, 5, 10, 20, 50, 100)
"""Values of k that are reported, where every program has as many samples; their number itself as well."""


def pass_at(k: int, right: int, samples: int) -> float:
    """The chance that one of k samples is right, drawn without replacement (Chen et al. 2021, equation 1).

    >>> pass_at(1, 3, 10), pass_at(2, 1, 2)
    (0.3, 1.0)
    """
    if samples - right < k:
        return 1.0
    return 1.0 - comb(samples - right, k) / comb(samples, k)


def majority_is_right(answers: Sequence[str | None], verdicts: Sequence[bool]) -> float:
    """Whether the most frequent answer is right; where several are as frequent, the share of them that is.

    Answers count as the same where they are equal by `==`, or their texts are; none at all is no answer.

    >>> majority_is_right(["1", "2", "True", None], [False, True, False, False])
    0.0
    >>> majority_is_right(["1", "2"], [False, True])
    0.5
    """
    groups: list[tuple[str, list[bool]]] = []
    for answer, is_right in zip(answers, verdicts, strict=True):
        if answer is None:
            continue
        for text, members in groups:
            if answer == text or literals_equal(answer, text):
                members.append(is_right)
                break
        else:
            groups.append((answer, [is_right]))
    if not groups:
        return 0.0
    most = max(len(members) for _, members in groups)
    winners = [any(members) for _, members in groups if len(members) == most]
    return sum(winners) / len(winners)


def summarise_samples(
    programs: Sequence[Sequence[tuple[str | None, bool]]], *, folds: int = FOLDS, seed: int = 0
) -> dict[str, Estimate]:
    """`pass_at_K` for each k that every program has samples for, and `majority`; intervals over programs.

    Args:
        programs: the answer of each sample, and whether it is right.
        folds: resamples.
        seed: of the resamples.

    Returns:
        Empty if no program has several samples.
    """
    fewest = min(map(len, programs), default=0)
    if max(map(len, programs), default=0) < 2:
        return {}
    found = {}
    for k in sorted({*(k for k in _KS if k <= fewest), fewest}):
        values = [pass_at(k, sum(right for _, right in samples), len(samples)) for samples in programs]
        found[f"pass_at_{k}"] = mean_of(values, folds=folds, seed=seed)
    values = [
        majority_is_right([said for said, _ in samples], [right for _, right in samples])
        for samples in programs
    ]
    found["majority"] = mean_of(values, folds=folds, seed=seed)
    return found
