"""Plots of a benchmark, one figure for a question, as SVG or PNG files. Needs matplotlib (extra `report`).

Modes are panels side by side, models are colours; an interval is a band or a bar.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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
from cwm_trace.files import make_folder, write_whole

if TYPE_CHECKING:
    from cwm_trace.eval.benchmark.results import Report, Results

_SURVIVAL_FRAMES = 128

_Points = Sequence[Any]


@dataclass(frozen=True)
class _Plot:
    """A question about a benchmark.

    Args:
        title: the question.
        points: what a report says of it; empty: nothing.
        draw: draws points into a panel, under the name of a model.
    """

    title: str
    points: Callable[[Report], _Points]
    draw: Callable[[Any, _Points, str], None]


def _draw_survival(axes: Any, curve: _Points, model: str) -> None:
    axes.step(range(len(curve)), curve, where="post", label=model)
    axes.set(xlabel="frames k", ylabel="S(k): still right after k frames", ylim=(-0.02, 1.02))


def _draw_intervals(words: str) -> Callable[[Any, _Points, str], None]:
    def draw(axes: Any, points: _Points, model: str) -> None:
        names = [name for name, *_ in points]
        values = [value for _, value, _, _ in points]
        below = [max(0.0, value - low) for _, value, low, _ in points]
        above = [max(0.0, high - value) for _, value, _, high in points]
        axes.errorbar(names, values, yerr=[below, above], marker="o", capsize=2, label=model)
        axes.tick_params(axis="x", rotation=60)
        axes.set(xlabel=words, ylabel="right", ylim=(-0.02, 1.02))

    return draw


def _draw_calibration(axes: Any, points: _Points, model: str) -> None:
    axes.plot([p[0] for p in points], [p[1] for p in points], marker="o", label=model)
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
    axes.set(xlabel="confidence of a frame", ylabel="frames right", xlim=(0, 1), ylim=(-0.02, 1.02))


def _draw_risk(axes: Any, points: _Points, model: str) -> None:
    axes.plot([p[0] for p in points], [p[1] for p in points], label=model)
    axes.set(xlabel="coverage: share of frames kept", ylabel="risk: share of them wrong", xlim=(0, 1))


PLOTS: Mapping[str, _Plot] = {
    "survival": _Plot(
        "How long predictions stay right",
        lambda report: survival_curve(report.run, _SURVIVAL_FRAMES),
        _draw_survival,
    ),
    "length": _Plot(
        "Frames right, by length of the program",
        lambda report: length_curve(report, "frame_exact"),
        _draw_intervals("real frames of the program"),
    ),
    "type": _Plot(
        "Changed values right, by type",
        lambda report: axis_curve(report.run, "by_type"),
        _draw_intervals("type of the real value"),
    ),
    "lookback": _Plot(
        "Frames right, by frames since the activation was last seen",
        lambda report: axis_curve(report.run, "by_lookback"),
        _draw_intervals("frames"),
    ),
    "depth": _Plot(
        "Frames right, by depth of the call",
        lambda report: axis_curve(report.run, "by_depth"),
        _draw_intervals("depth"),
    ),
    "calibration": _Plot(
        "Confidence against correctness", lambda report: calibration_curve(report.run), _draw_calibration
    ),
    "risk-coverage": _Plot(
        "Risk against coverage", lambda report: risk_coverage_curve(report.run), _draw_risk
    ),
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
    make_folder(folder)
    paths = []
    for name, _, data in plot_figures(results, form):
        paths.append(folder / f"{name}.{form}")
        write_whole(paths[-1], data)
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
        for name, plot in PLOTS.items():
            panels: dict[str, list[tuple[str, _Points]]] = {}
            for report in reports:
                if points := plot.points(report):
                    panels.setdefault(report.header.mode, []).append((report.header.model, points))
            if not panels:
                continue
            figure = Figure(figsize=(1 + 4 * len(panels), 4.2), layout="constrained")
            columns = figure.subplots(1, len(panels), squeeze=False)[0]
            for axes, (mode, shown) in zip(columns, panels.items(), strict=True):
                axes.set_title(mode)
                for model, points in shown:
                    plot.draw(axes, points, model)
                axes.legend(fontsize="small")
            whole = f"{plot.title}: {task}"
            figure.suptitle(whole)
            buffer = io.BytesIO()
            with rc_context({"svg.hashsalt": "cwm-trace", "svg.fonttype": "none"}):
                figure.savefig(buffer, format=form, metadata={"Date": None} if form == "svg" else None)
            found.append((f"{task}--{name}", whole, buffer.getvalue()))
    return found
