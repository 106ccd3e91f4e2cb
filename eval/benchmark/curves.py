"""The points of a benchmark's plots, and nothing about how they are drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cwm_trace.eval.benchmark.log import Run
from cwm_trace.eval.comparison.score import ProgramScore
from cwm_trace.eval.statistics.breakdown import rates_by
from cwm_trace.eval.statistics.calibration import equal_mass_bins, risk_coverage
from cwm_trace.eval.statistics.survival import Lifetime, kaplan_meier

if TYPE_CHECKING:
    from cwm_trace.eval.benchmark.results import Report

Point = tuple[str, float, float, float]
"""A bin's name, its value, and the interval."""


def survival_curve(run: Run, last: int) -> list[float]:
    """S(0) to S(`last`): the share of predictions that are right for so many frames; empty without any.

    The curve ends where the last prediction was seen: nothing is known of what follows.
    """
    lives = [Lifetime(s.tau, s.tau_observed) for s in _scores(run) if s.tau is not None]
    if not lives:
        return []
    return kaplan_meier(lives, min(last, max(life.frames + life.observed for life in lives)))


def length_curve(report: Report, metric: str) -> list[Point]:
    """A metric by length of the program."""
    points = []
    for name, metrics in report.by_length.items():
        found = metrics[metric]
        if found.value is not None and found.low is not None and found.high is not None:
            points.append((name, found.value, found.low, found.high))
    return points


def axis_curve(run: Run, axis: str) -> list[Point]:
    """The rates of a field of `ProgramScore` such as `by_type`."""
    return [
        (name, found.value, found.low, found.high)
        for name, found in rates_by(_scores(run), axis).items()
        if found.value is not None and found.low is not None and found.high is not None
    ]


def calibration_curve(run: Run, field: str = "frame") -> list[tuple[float, float]]:
    """Mean confidence and share of right ones in bins of equal mass; empty without confidences."""
    return [(part.confidence, part.accuracy) for part in equal_mass_bins(_confidences(run, field))]


def risk_coverage_curve(run: Run, field: str = "frame") -> list[tuple[float, float]]:
    """Coverage and risk; empty without confidences."""
    return risk_coverage(_confidences(run, field))


def _confidences(run: Run, field: str) -> list[tuple[float, bool]]:
    return [pair for score in _scores(run) for pair in score.confidence.get(field, ())]


def _scores(run: Run) -> list[ProgramScore]:
    return [line.score for line in run.programs]
