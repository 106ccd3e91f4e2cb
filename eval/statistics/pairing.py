"""Two runs on the same programs: what differs, how surely, and which programs flipped."""

from __future__ import annotations

from collections.abc import Sequence

from cwm_trace.eval.comparison.score import ProgramScore
from cwm_trace.eval.statistics.estimates import FOLDS, Difference, compare_ratios, compare_verdicts
from cwm_trace.eval.statistics.summary import RATIOS, VERDICTS
from cwm_trace.eval.statistics.survival import LIMITS, Lifetime, compare_restricted_means


def compare_scores(
    first: Sequence[ProgramScore], second: Sequence[ProgramScore], *, folds: int = FOLDS, seed: int = 0
) -> dict[str, Difference]:
    """Every headline number of the second run minus the first's, under the keys of `summarise`.

    Pass and fail are tested by McNemar's mid-p, everything else by a paired bootstrap over programs. A
    program without a verdict in either run is left out of that number.

    Args:
        first, second: scores of the same programs in one order, in the same mode.
        folds: resamples.
        seed: of the resamples.

    Raises:
        ValueError: there are not as many scores in both.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} scores and {len(second)} are not of the same programs")
    found = {}
    for key, verdict in VERDICTS.items():
        verdicts = [(verdict(a), verdict(b)) for a, b in zip(first, second, strict=True)]
        known = [(a, b) for a, b in verdicts if a is not None and b is not None]
        found[key] = compare_verdicts(known, folds=folds, seed=seed)
    for key, ratio in RATIOS.items():
        found[key] = compare_ratios(
            [ratio(score) for score in first], [ratio(score) for score in second], folds=folds, seed=seed
        )
    both = [(a, b) for a, b in zip(first, second, strict=True) if a.tau is not None and b.tau is not None]
    lives = [
        [Lifetime(score.tau, score.tau_observed) for score in side if score.tau is not None]
        for side in zip(*both, strict=True)
    ] or [[], []]
    means = compare_restricted_means(lives[0], lives[1], folds=folds, seed=seed)
    found.update((f"rmst_{limit}", mean) for limit, mean in zip(LIMITS, means, strict=True))
    return found


def find_flips(
    first: Sequence[ProgramScore], second: Sequence[ProgramScore], key: str = "output_accuracy"
) -> tuple[list[int], list[int]]:
    """Programs that only the first run gets right, and those that only the second does, by index."""
    verdict = VERDICTS[key]
    lost, won = [], []
    for index, (a, b) in enumerate(zip(first, second, strict=True)):
        match verdict(a), verdict(b):
            case True, False:
                lost.append(index)
            case False, True:
                won.append(index)
    return lost, won
