"""The headline numbers of many programs, each with its interval."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from cwm_trace.eval.comparison.answers import Verdict
from cwm_trace.eval.comparison.metrics import Rate, Retrieval, skill
from cwm_trace.eval.comparison.raised import PARTS
from cwm_trace.eval.comparison.score import GRADES, ProgramScore
from cwm_trace.eval.statistics.estimates import FOLDS, Estimate, bootstrap_ratios, wilson
from cwm_trace.eval.statistics.survival import LIMITS, Lifetime, restricted_means

_RIGHT_ANSWERS = (Verdict.RIGHT.value, "executed-right")
"""What a right answer's verdict is."""

_Verdict = Callable[[ProgramScore], "bool | None"]
_Ratio = Callable[[ProgramScore], tuple[float, float]]


def _rate(rate: Rate) -> tuple[float, float]:
    return rate.hits, rate.total


def _precision(found: Retrieval) -> tuple[float, float]:
    return found.true_positives, found.true_positives + found.false_positives


def _recall(found: Retrieval) -> tuple[float, float]:
    return found.true_positives, found.true_positives + found.false_negatives


def _local(score: ProgramScore) -> tuple[float, float, float]:
    """Right, covered and all steps from the prediction's own states."""
    covered = sum(rate.total for rate in score.local_steps.values())
    right = sum(rate.hits for rate in score.local_steps.values())
    return right, covered, covered + sum(score.local_outside.values())


def _f1(found: Retrieval) -> tuple[float, float]:
    hits = 2 * found.true_positives
    return hits, hits + found.false_positives + found.false_negatives


def _halts(how: str) -> _Verdict:
    return lambda score: None if score.halting is None else score.halting == how


def _loses(why: str) -> _Verdict:
    return lambda score: score.budget_loss == why


def _is_valid(grade: str) -> _Verdict:
    return lambda score: not score.problems.get(grade)


def _of_exceptions(part: str, share: Callable[[Retrieval], tuple[float, float]]) -> _Ratio:
    return lambda score: share(score.exceptions.get(part, Retrieval()))


def answer_is_right(score: ProgramScore) -> bool | None:
    """Whether the output is right by `==`; of a log that knows no such verdict, whether its text is."""
    return score.output if score.answer is None else score.answer in _RIGHT_ANSWERS


def _asked(question: str) -> _Ratio:
    return lambda score: _rate(score.reval.get(question, Rate()))


def _cost(name: str) -> _Ratio:
    def ratio(score: ProgramScore) -> tuple[float, float]:
        frames = score.frames.true_positives + score.frames.false_positives
        return (0, 0) if score.cost is None else (getattr(score.cost, name), frames)

    return ratio


VERDICTS: dict[str, _Verdict] = {
    "output_accuracy": answer_is_right,
    "output_no_literal": lambda score: None if score.answer is None else score.answer == Verdict.NO_LITERAL,
    "trace_exact": lambda score: score.trace_exact,
    "path_exact": lambda score: score.path_exact,
    "valid_format": lambda score: not score.problems,
    **{f"valid_{grade}": _is_valid(grade) for grade in GRADES},
    "truncated": lambda score: score.truncated,
    **{f"halting_{how}": _halts(how) for how in ("right", "early", "late", "unknown")},
    **{f"budget_{why}": _loses(why) for why in ("structural", "runaway")},
}
"""Proportions of programs; a program without a verdict is not counted."""

RATIOS: dict[str, _Ratio] = {
    "frame_exact": lambda score: _recall(score.frames),
    "frame_precision": lambda score: _precision(score.frames),
    "event_accuracy": lambda score: _recall(score.events),
    "event_precision": lambda score: _precision(score.events),
    "next_line_accuracy": lambda score: _rate(score.branches),
    "next_line_all": lambda score: _recall(score.next_lines),
    "state_exact": lambda score: _rate(score.states),
    "changed_slot_precision": lambda score: _precision(score.changed_slots),
    "changed_slot_recall": lambda score: _recall(score.changed_slots),
    "changed_slot_f1": lambda score: _f1(score.changed_slots),
    "matched": lambda score: _rate(score.matched),
    "matched_state_exact": lambda score: _rate(score.matched_states),
    "matched_slot_f1": lambda score: _f1(score.matched_slots),
    "stale": lambda score: _rate(score.stale),
    "spurious": lambda score: _rate(score.spurious),
    **{f"exception_{part}_precision": _of_exceptions(part, _precision) for part in PARTS},
    **{f"exception_{part}_recall": _of_exceptions(part, _recall) for part in PARTS},
    "local_step_accuracy": lambda score: _local(score)[:2],
    "local_step_coverage": lambda score: _local(score)[1:],
    **{f"reval_{question}": _asked(question) for question in ("coverage", "path", "state", "consistency")},
    "tokens_per_frame": _cost("new_tokens"),
    "seconds_per_frame": _cost("seconds"),
    "passes_per_frame": _cost("forward_passes"),
}
"""Ratios of sums over all programs: every frame, state or slot weighs the same (micro average)."""

_NO_ACCURACIES = ("stale", "spurious", "matched", "local_step_coverage")
_ACCURACIES = frozenset(
    {
        "output_accuracy",
        "trace_exact",
        "path_exact",
        "halting_right",
        *(key for key in RATIOS if not key.endswith("_per_frame") and key not in _NO_ACCURACIES),
    }
)
"""Where 1 is best, so that skill over the copy baseline means something."""


Program = ProgramScore | Sequence[ProgramScore]
"""What is resampled: one prediction of a program, or several samples of it."""


def as_groups(programs: Sequence[Program]) -> list[Sequence[ProgramScore]]:
    """The samples of each program."""
    return [[found] if isinstance(found, ProgramScore) else found for found in programs]


def summarise(
    programs: Sequence[Program],
    *,
    baseline: Sequence[Program] | None = None,
    folds: int = FOLDS,
    seed: int = 0,
) -> dict[str, Estimate]:
    """The headline numbers of one mode.

    Args:
        programs: the score of each, or the scores of its samples.
        baseline: those of the copy baseline on the same programs and in the same mode, for skill.
        folds: resamples of the bootstrap.
        seed: of the resamples.

    Returns:
        Every key of `VERDICTS` with Wilson's interval; every key of `RATIOS`, and `rmst_32`, `rmst_128` and
        `rmst_512` (mean number of frames before the first wrong one, counted to that limit at most, and to
        the end of the longest program), with bootstrap intervals over programs. With several samples of a
        program a verdict is the mean over programs of the share of samples that have it, with a bootstrap
        interval over programs.
    """
    groups = as_groups(programs)
    found = {key: _verdict(groups, verdict, folds, seed) for key, verdict in VERDICTS.items()}
    parts = [[ratio_of(group, ratio) for ratio in RATIOS.values()] for group in groups]
    tops = [[top for top, _ in row] for row in parts]
    bottoms = [[bottom for _, bottom in row] for row in parts]
    if groups:
        are_shares = [not key.endswith("_per_frame") for key in RATIOS]
        estimates = bootstrap_ratios(tops, bottoms, are_shares=are_shares, folds=folds, seed=seed)
        found.update(zip(RATIOS, estimates, strict=True))
    else:
        found.update(dict.fromkeys(RATIOS, Estimate(None)))
    lives = [lives for lives in map(lifetimes_of, groups) if lives]
    means = restricted_means(lives, limits_of(groups), folds=folds, seed=seed)
    found.update((f"rmst_{limit}", mean) for limit, mean in zip(LIMITS, means, strict=True))
    if baseline is None:
        return found
    floors = summarise(baseline, folds=1, seed=seed)
    return {
        key: replace(estimate, skill=skill(estimate.value, floors[key].value))
        if key in _ACCURACIES
        else estimate
        for key, estimate in found.items()
    }


def _verdict(groups: Sequence[Sequence[ProgramScore]], verdict: _Verdict, folds: int, seed: int) -> Estimate:
    shares = [share for share in (share_of(group, verdict) for group in groups) if share is not None]
    if all(len(group) == 1 for group in groups):
        return wilson(sum(shares), len(shares))
    return mean_of(shares, folds=folds, seed=seed)


def share_of(group: Sequence[ProgramScore], verdict: _Verdict) -> float | None:
    """The share of a program's samples that have a verdict; None if it applies to none."""
    known = [right for right in map(verdict, group) if right is not None]
    return sum(known) / len(known) if known else None


def ratio_of(group: Sequence[ProgramScore], ratio: _Ratio) -> tuple[float, float]:
    """Both sums over a program's samples."""
    parts = [ratio(score) for score in group]
    return sum(top for top, _ in parts), sum(bottom for _, bottom in parts)


def mean_of(values: Sequence[float], *, folds: int = FOLDS, seed: int = 0) -> Estimate:
    """The mean of a share over programs, with a bootstrap interval."""
    if not values:
        return Estimate(None)
    tops = [[value] for value in values]
    (found,) = bootstrap_ratios(tops, [[1.0]] * len(values), folds=folds, seed=seed)
    return found


def lifetimes_of(group: Sequence[ProgramScore]) -> list[Lifetime]:
    """How long each of a program's samples was right."""
    return [Lifetime(score.tau, score.tau_observed) for score in group if score.tau is not None]


def limits_of(groups: Sequence[Sequence[ProgramScore]]) -> list[int]:
    """Frames to which survival is counted: beyond the end of the longest program nobody can observe it."""
    longest = max((score.length for group in groups for score in group), default=1)
    return [min(limit, max(1, longest)) for limit in LIMITS]
