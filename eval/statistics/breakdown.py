"""What stands behind the headline numbers: by type, size, depth and distance; causes, hazards, calibration.

Intervals are of a cluster bootstrap over programs, as in the headline.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from cwm_trace.eval.comparison.metrics import Rate
from cwm_trace.eval.comparison.score import ProgramScore
from cwm_trace.eval.statistics.calibration import calibrate
from cwm_trace.eval.statistics.estimates import Estimate, bootstrap_ratios
from cwm_trace.eval.statistics.summary import Program, as_groups

_AXES = ("by_type", "by_size", "by_position", "by_depth", "by_lookback", "local_steps")
"""Fields of `ProgramScore` that hold a rate for each bin."""

FOLDS = 1_000


def rates_by(programs: Sequence[Program], axis: str, *, seed: int = 0) -> dict[str, Estimate]:
    """The rates of an axis, summed over programs; bins in the order of their numbers, then of their names."""
    groups = as_groups(programs)
    scores = [score for group in groups for score in group]
    bins = sorted({name for score in scores for name in getattr(score, axis)}, key=_number_first)
    if not bins:
        return {}
    rates = [
        [[getattr(score, axis).get(name, Rate()) for score in group] for name in bins] for group in groups
    ]
    found = bootstrap_ratios(
        [[sum(rate.hits for rate in part) for part in row] for row in rates],
        [[sum(rate.total for rate in part) for part in row] for row in rates],
        folds=FOLDS,
        seed=seed,
    )
    return {name: estimate for name, estimate in zip(bins, found, strict=True) if estimate.value is not None}


def cause_words(score: ProgramScore) -> str:
    """What was wrong first, with the type of the value where it is one; empty if nothing."""
    return (score.cause or "") if score.cause_type is None else f"{score.cause} of type {score.cause_type}"


def count_causes(scores: Sequence[ProgramScore]) -> dict[str, int]:
    """How often each cause was the first thing wrong, the most frequent one first."""
    causes = Counter(cause_words(score) for score in scores if score.cause is not None)
    return dict(sorted(causes.items(), key=lambda item: (-item[1], item[0])))


def hazards(scores: Sequence[ProgramScore]) -> dict[str, Rate]:
    """By kind of the real frame: how often it was the first wrong one, of the times it could have been."""
    failed = Counter(score.failed_kind for score in scores if score.failed_kind is not None)
    at_risk: Counter[str] = Counter()
    for score in scores:
        at_risk.update(score.at_risk)
    return {kind: Rate(failed[kind], at_risk[kind]) for kind in sorted(at_risk)}


def _calibrations(scores: Sequence[ProgramScore]) -> dict[str, dict[str, Any]]:
    """Measures of confidence by field; empty for predictors that state none."""
    fields = sorted({name for score in scores for name in score.confidence})
    return {
        name: asdict(calibrate([item for score in scores for item in score.confidence.get(name, ())]))
        for name in fields
    }


def break_down(programs: Sequence[Program], *, seed: int = 0) -> dict[str, Any]:
    """All of it as plain data."""
    scores = [score for group in as_groups(programs) for score in group]
    return {
        **{
            axis: {name: asdict(value) for name, value in rates_by(programs, axis, seed=seed).items()}
            for axis in _AXES
        },
        "causes": count_causes(scores),
        "hazards": {kind: {**asdict(rate), "value": rate.value} for kind, rate in hazards(scores).items()},
        "calibration": _calibrations(scores),
    }


def compare_levels(
    scores: Mapping[str, Sequence[ProgramScore | None]],
) -> dict[str, dict[str, float | None]]:
    """The numbers that depend on how strictly values are compared, by that."""
    found: dict[str, dict[str, float | None]] = {}
    for level, every in scores.items():
        known = [score for score in every if score is not None]
        outputs = [score.output for score in known if score.output is not None]
        frames = Rate(sum(s.frames.true_positives for s in known), sum(s.length for s in known))
        states = Rate(sum(s.states.hits for s in known), sum(s.states.total for s in known))
        found[level] = {
            "output_accuracy": Rate(sum(outputs), len(outputs)).value,
            "frame_exact": frames.value,
            "state_exact": states.value,
        }
    return found


def _number_first(name: str) -> tuple[int, str]:
    """Bins such as `9-16` in the order of their numbers, other names after them."""
    digits = name.lstrip("<>=").split("-")[0].rstrip("+")
    return (int(digits), name) if digits.isdigit() else (1 << 30, name)
