"""Plots of a benchmark, one figure for a question, as SVG or PNG files. Needs matplotlib (extra `report`).

Modes are panels side by side, models are colours; an interval is a band or a bar.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cwm_trace.errors import CwmTraceError
from cwm_trace.eval.benchmark.curves import (
    axis_curve,
    calibration_curve,
    length_curve,
    risk_coverage_curve,
    survival_curve,
)

if TYPE_CHECKING:
    from cwm_trace.eval.benchmark.results import Report, Results

_SURVIVAL_FRAMES = 128

Draw = Callable[[Any, "Report"], bool]
"""Draws one model into one panel; False: it has nothing to show."""


def _draw_survival(axes: Any, report: Report) -> bool:
    curve = survival_curve(report.run, _SURVIVAL_FRAMES)
    if not curve:
        return False
    axes.step(range(len(curve)), curve, where="post", label=report.header.model)
    axes.set(xlabel="frames k", ylabel="S(k): still right after k frames", ylim=(-0.02, 1.02))
    return True


def _draw_lengths(axes: Any, report: Report) -> bool:
    return _draw_points(axes, report, length_curve(report, "frame_exact"), "real frames of the program")


def _draw_by(name: str, words: str) -> Draw:
    def draw(axes: Any, report: Report) -> bool:
        return _draw_points(axes, report, axis_curve(report.run, name), words)

    return draw


def _draw_points(
    axes: Any, report: Report, points: Sequence[tuple[str, float, float, float]], words: str
) -> bool:
    names = [name for name, *_ in points]
    values = [value for _, value, _, _ in points]
    below = [max(0.0, value - low) for _, value, low, _ in points]
    above = [max(0.0, high - value) for _, value, _, high in points]
    if names:
        axes.errorbar(names, values, yerr=[below, above], marker="o", capsize=2, label=report.header.model)
        axes.tick_params(axis="x", rotation=60)
    axes.set(xlabel=words, ylabel="right", ylim=(-0.02, 1.02))
    return bool(names)


def _draw_calibration(axes: Any, report: Report) -> bool:
    points = calibration_curve(report.run)
    if points:
        axes.plot([p[0] for p in points], [p[1] for p in points], marker="o", label=report.header.model)
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
    axes.set(xlabel="confidence of a frame", ylabel="frames right", xlim=(0, 1), ylim=(-0.02, 1.02))
    return bool(points)


def _draw_risk(axes: Any, report: Report) -> bool:
    points = risk_coverage_curve(report.run)
    if points:
        axes.plot([p[0] for p in points], [p[1] for p in points], label=report.header.model)
    axes.set(xlabel="coverage: share of frames kept", ylabel="risk: share of them wrong", xlim=(0, 1))
    return bool(points)


FIGURES: Mapping[str, tuple[str, Draw]] = {
    "survival": ("How long predictions stay right", _draw_survival),
    "length": ("Frames right, by length of the program", _draw_lengths),
    "type": ("Changed values right, by type", _draw_by("by_type", "type of the real value")),
    "lookback": (
        "Frames right, by frames since the activation was last seen",
        _draw_by("by_lookback", "frames"),
    ),
    "depth": ("Frames right, by depth of the call", _draw_by("by_depth", "depth")),
    "calibration": ("Confidence against correctness", _draw_calibration),
    "risk-coverage": ("Risk against coverage", _draw_risk),
}


def draw_plots(results: Results, folder: Path, *, form: str = "svg") -> list[Path]:
    """Draw every figure that the results have data for, one file for each task.

    Args:
        results: what to draw.
        folder: for the files; made if it does not exist.
        form: `svg`, `png` or another form that matplotlib writes.

    Returns:
        The files.

    Raises:
        CwmTraceError: matplotlib is not installed, or a file cannot be written.
    """
    paths = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, _, data in plot_figures(results, form):
            paths.append(folder / f"{name}.{form}")
            paths[-1].write_bytes(data)
    except OSError as error:
        raise CwmTraceError(f"cannot write plots in {folder}: {error.strerror}") from error
    return paths


def plot_figures(results: Results, form: str = "svg") -> list[tuple[str, str, bytes]]:
    """Name, title and file of each figure that has data.

    Raises:
        CwmTraceError: matplotlib is not installed.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError:
        raise CwmTraceError("plots need matplotlib: pip install 'cwm-trace[report]'") from None
    found = []
    for task in dict.fromkeys(report.header.task for report in results.reports):
        reports = [report for report in results.reports if report.header.task == task and report.programs]
        for name, (title, draw) in FIGURES.items():
            modes = _modes_with_data(reports, draw)
            if not modes:
                continue
            figure = Figure(figsize=(1 + 4 * len(modes), 4.2), layout="constrained")
            panels = figure.subplots(1, len(modes), squeeze=False)[0]
            for axes, (mode, shown) in zip(panels, modes.items(), strict=True):
                axes.set_title(mode)
                for report in shown:
                    draw(axes, report)
                axes.legend(fontsize="small")
            whole = f"{title}: {task}"
            figure.suptitle(whole)
            buffer = io.BytesIO()
            with rc_context({"svg.hashsalt": "cwm-trace", "svg.fonttype": "none"}):
                figure.savefig(buffer, format=form, metadata={"Date": None} if form == "svg" else None)
            found.append((f"{task}--{name}", whole, buffer.getvalue()))
    return found


def _modes_with_data(reports: Sequence[Report], draw: Draw) -> dict[str, list[Report]]:
    """The reports that a figure has something of, by mode: there are no empty panels."""
    from matplotlib.figure import Figure

    found: dict[str, list[Report]] = {}
    for report in reports:
        if draw(Figure().subplots(), report):
            found.setdefault(report.header.mode, []).append(report)
    return found
