"""The points of a benchmark's plots, and nothing about how they are drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cwm_trace.eval.calibration import equal_mass_bins, risk_coverage
from cwm_trace.eval.log import Run
from cwm_trace.eval.metrics import Rate
from cwm_trace.eval.score import ProgramScore
from cwm_trace.eval.statistics import wilson
from cwm_trace.eval.survival import Lifetime, kaplan_meier

if TYPE_CHECKING:
    from cwm_trace.eval.results import Report

Point = tuple[str, float, float, float]
"""A bin's name, its value, and the interval."""


def survival_curve(run: Run, last: int) -> list[float]:
    """S(0) to S(`last`): the share of predictions that are right for so many frames; empty without any."""
    lives = [Lifetime(s.tau, s.tau_observed) for s in _scores(run) if s.tau is not None]
    return kaplan_meier(lives, last) if lives else []


def length_curve(report: Report, metric: str) -> list[Point]:
    """A metric by length of the program."""
    points = []
    for name, metrics in report.by_length.items():
        found = metrics[metric]
        if found.value is not None and found.low is not None and found.high is not None:
            points.append((name, found.value, found.low, found.high))
    return points


def rates_by(run: Run, name: str) -> list[Point]:
    """The rates of a field of `ProgramScore` such as `by_type`, summed over programs, with Wilson's interval.

    The interval takes frames for independent, so that it is too narrow where those of one program are alike.
    """
    sums: dict[str, Rate] = {}
    for score in _scores(run):
        for key, rate in getattr(score, name).items():
            before = sums.get(key, Rate())
            sums[key] = Rate(before.hits + rate.hits, before.total + rate.total)
    points = []
    for key in sorted(sums, key=_number_first):
        found = wilson(sums[key].hits, sums[key].total)
        if found.value is not None and found.low is not None and found.high is not None:
            points.append((key, found.value, found.low, found.high))
    return points


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


def _number_first(name: str) -> tuple[int, str]:
    """Bins such as `9-16` in the order of their numbers, other names after them."""
    digits = name.split("-")[0].rstrip("+")
    return (int(digits), "") if digits.isdigit() else (1 << 30, name)
