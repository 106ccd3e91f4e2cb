"""Two runs on the same programs: what differs, how surely, and which programs flipped."""

from __future__ import annotations

from collections.abc import Sequence

from cwm_trace.eval.statistics.estimates import FOLDS, Difference, compare_ratios, compare_verdicts
from cwm_trace.eval.statistics.summary import (
    RATIOS,
    VERDICTS,
    Program,
    as_groups,
    lifetimes_of,
    limits_of,
    ratio_of,
    share_of,
)
from cwm_trace.eval.statistics.survival import LIMITS, compare_restricted_means


def compare_scores(
    first: Sequence[Program], second: Sequence[Program], *, folds: int = FOLDS, seed: int = 0
) -> dict[str, Difference]:
    """Every headline number of the second run minus the first's, under the keys of `summarise`.

    Pass and fail of one prediction each are tested by McNemar's mid-p, everything else by a paired bootstrap
    over programs. A program without a verdict in either run is left out of that number.

    Args:
        first, second: the same programs in one order, in the same mode; one score of each, or those of its
            samples, of which the runs may have different numbers.
        folds: resamples.
        seed: of the resamples.

    Raises:
        ValueError: there are not as many programs in both.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} scores and {len(second)} are not of the same programs")
    one, two = as_groups(first), as_groups(second)
    are_single = all(len(group) == 1 for group in (*one, *two))
    found = {}
    for key, verdict in VERDICTS.items():
        shares = [(share_of(a, verdict), share_of(b, verdict)) for a, b in zip(one, two, strict=True)]
        known = [(a, b) for a, b in shares if a is not None and b is not None]
        if are_single:
            verdicts = [(bool(a), bool(b)) for a, b in known]
            found[key] = compare_verdicts(verdicts, folds=folds, seed=seed)
        else:
            found[key] = compare_ratios(
                [(a, 1.0) for a, _ in known], [(b, 1.0) for _, b in known], folds=folds, seed=seed
            )
    for key, ratio in RATIOS.items():
        found[key] = compare_ratios(
            [ratio_of(group, ratio) for group in one],
            [ratio_of(group, ratio) for group in two],
            folds=folds,
            seed=seed,
        )
    lives = [pair for pair in zip(map(lifetimes_of, one), map(lifetimes_of, two), strict=True) if all(pair)]
    means = compare_restricted_means(
        [a for a, _ in lives], [b for _, b in lives], limits_of([*one, *two]), folds=folds, seed=seed
    )
    found.update((f"rmst_{limit}", mean) for limit, mean in zip(LIMITS, means, strict=True))
    return found


def find_flips(
    first: Sequence[Program], second: Sequence[Program], key: str = "output_accuracy"
) -> tuple[list[int], list[int]]:
    """Programs that only the first run gets right, and those that only the second does, by index.

    Of several samples, more than half must be right.
    """
    verdict = VERDICTS[key]
    lost, won = [], []
    for index, (a, b) in enumerate(zip(as_groups(first), as_groups(second), strict=True)):
        shares = share_of(a, verdict), share_of(b, verdict)
        match tuple(None if share is None else share > 0.5 for share in shares):
            case True, False:
                lost.append(index)
            case False, True:
                won.append(index)
    return lost, won
