"""The report of a benchmark as tables: in a terminal, as Markdown, as one HTML page without scripts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.util import find_spec
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cwm_trace.eval.benchmark.published import PUBLISHED
from cwm_trace.eval.benchmark.results import FLOOR

if TYPE_CHECKING:
    from cwm_trace.eval.benchmark.contrasts import Contrast
    from cwm_trace.eval.benchmark.results import Report, Results
    from cwm_trace.eval.statistics.estimates import Estimate

SHOWN = {
    "output_accuracy": "output of the entry",
    "trace_exact": "whole trace",
    "frame_exact": "frames",
    "event_accuracy": "events",
    "next_line_accuracy": "next line at branches",
    "next_line_all": "next line, everywhere",
    "state_exact": "states",
    "changed_slot_f1": "changed slots, F1",
    "stale": "changes missed",
    "spurious": "changes invented",
    "local_step_accuracy": "steps right from the own state",
    "local_step_coverage": "of them covered",
    "rmst_32": "frames right before the first wrong one, of 32",
    "rmst_128": "the same, of 128",
    "halting_right": "end at the right frame",
    "valid_format": "valid format",
}
"""Metrics that the tables show, and what they call them; JSON has all."""


_CAUSES = 12


@dataclass(frozen=True)
class Grid:
    """A table: its title, heads, rows of cells, lines of text below it, and whether its cells are numbers."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    is_numeric: bool = True


def result_grids(results: Results) -> list[Grid]:
    """A grid for each task and mode, one for others' results, one that says what was run."""
    reports = results.reports
    grids = []
    groups = list(dict.fromkeys((report.header.task, report.header.mode) for report in reports))
    for task, mode in groups:
        group = [r for r in reports if (r.header.task, r.header.mode) == (task, mode)]
        grids.append(_group_grid(task, mode, group))
        if any(report.causes for report in group):
            grids.append(_cause_grid(task, mode, group))
    published = dict.fromkeys(report.header.published for report in reports)
    others = [_published_grid(name) for name in published if name in PUBLISHED]
    return [*grids, *others, _provenance_grid(reports)]


def print_results(results: Results, console: Console | None = None) -> None:
    """Print the report."""
    console = console or Console()
    for grid in result_grids(results):
        _print_grid(grid, console)


def print_contrast(contrast: Contrast, flips: int = 10, console: Console | None = None) -> None:
    """Print how one run differs from another: what got better or worse, how surely, and what flipped."""
    console = console or Console()
    first, second = contrast.first.header, contrast.second.header
    rows = [
        [words, _signed(found.value), f"[{_signed(found.low)}, {_signed(found.high)}]", _p_text(found.p)]
        for name, words in SHOWN.items()
        if (found := contrast.differences[name]).value is not None
    ]
    notes = [f"A: {first.model}", f"B: {second.model}"]
    if contrast.left_out:
        notes.append(f"{contrast.left_out} programs are in one of the two only, and left out")
    for name in contrast.lost:
        for verb, ids in (("lost", contrast.lost[name]), ("won", contrast.won[name])):
            if ids:
                more = f" and {len(ids) - flips} more" if len(ids) > flips else ""
                notes.append(f"{SHOWN[name]}, {verb} by B: {len(ids)}: {', '.join(ids[:flips])}{more}")
    title = f"{first.task}, mode {first.mode}: B - A on {len(contrast.programs)} programs"
    _print_grid(Grid(title, ["", "B - A", "95 % interval", "p"], rows, notes), console)


def results_markdown(results: Results) -> str:
    """The report as Markdown."""
    parts = []
    for grid in result_grids(results):
        lines = [f"### {grid.title}", "", _markdown_row(grid.heads)]
        marks = ("--:" if index and grid.is_numeric else "---" for index in range(len(grid.heads)))
        lines.append("|" + "|".join(marks) + "|")
        lines += [_markdown_row(row) for row in grid.rows]
        parts.append("\n".join([*lines, *(f"\n{note}" for note in grid.notes)]))
    return "\n\n".join(parts)


def results_html(results: Results, pictures: Sequence[tuple[str, str]] = ()) -> str:
    """The report as one HTML page, or as the part of one in a notebook.

    Args:
        results: what to show.
        pictures: titles and SVG texts.
    """
    parts = [
        "<style>.cwm-bench table{border-collapse:collapse;margin:8px 0}.cwm-bench td,.cwm-bench th"
        "{padding:2px 10px;text-align:right}.cwm-bench td:first-child,.cwm-bench th:first-child"
        "{text-align:left}.cwm-bench th{border-bottom:1px solid}</style>",
        '<div class="cwm-bench">',
    ]
    for grid in result_grids(results):
        heads = "".join(f"<th>{escape(head)}</th>" for head in grid.heads)
        rows = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in grid.rows
        )
        parts.append(f"<h3>{escape(grid.title)}</h3><table><tr>{heads}</tr>{rows}</table>")
        parts += [f"<p>{escape(note)}</p>" for note in grid.notes]
    parts += [f"<h3>{escape(title)}</h3>{svg}" for title, svg in pictures]
    return "".join([*parts, "</div>"])


def results_page(results: Results) -> str:
    """The report as an HTML page of its own; with plots where matplotlib is installed."""
    from cwm_trace.rendering.plots import plot_figures

    pictures = []
    if find_spec("matplotlib") is not None:
        for _, title, data in plot_figures(results):
            svg = data.decode()
            pictures.append((title, svg[svg.index("<svg") :]))
    body = results_html(results, pictures)
    head = '<meta charset="utf-8"><title>cwm-trace bench</title>'
    return f"<!DOCTYPE html>\n<html><head>{head}</head><body>{body}</body></html>\n"


def _group_grid(task: str, mode: str, reports: Sequence[Report]) -> Grid:
    """A row for each metric, a column for each model; baselines beside a model show no intervals."""
    has_model = any(report.header.decoding.model or report.header.source for report in reports)
    rows = [["programs", *(str(report.programs) for report in reports)]]
    for name, words in SHOWN.items():
        found = [report.metrics[name] for report in reports]
        if any(estimate.value is not None for estimate in found):
            cells = []
            for report, estimate in zip(reports, found, strict=True):
                is_floor = has_model and not report.header.decoding.model and not report.header.source
                shown = estimate_text(estimate, with_skill=report.header.model != FLOOR)
                cells.append(value_text(estimate) if is_floor else shown)
            rows.append([words, *cells])
    for result in reports[0].results:
        counts = [report.results[result] for report in reports]
        if result != "complete" and any(counts):
            rows.append([f"programs {result}", *map(str, counts)])
    notes = [
        f"excluded: {count} programs, {reason}"
        for reason, count in {r: c for report in reports for r, c in report.excluded.items()}.items()
    ]
    notes += [
        f"unfinished: {report.header.model} has {report.programs} of {report.header.items} programs"
        for report in reports
        if not report.is_complete
    ]
    return Grid(f"{task}, mode {mode}", ["", *(report.header.model for report in reports)], rows, notes)


def _cause_grid(task: str, mode: str, reports: Sequence[Report]) -> Grid:
    """What was wrong first, and in how many programs, the most frequent causes."""
    causes = list(dict.fromkeys(cause for report in reports for cause in report.causes))
    rows = [[cause, *(str(report.causes.get(cause, 0)) for report in reports)] for cause in causes]
    heads = ["", *(report.header.model for report in reports)]
    return Grid(f"{task}, mode {mode}: what is wrong first, in programs", heads, rows[:_CAUSES])


def _published_grid(name: str) -> Grid:
    rows = [[p.system, SHOWN.get(p.metric, p.metric), p.text, p.source, p.note] for p in PUBLISHED[name]]
    return Grid(
        f"Published by others for {name} (all 800 programs, greedy; not measured here)",
        ["system", "metric", "percent", "source", "note"],
        rows,
        is_numeric=False,
    )


def _provenance_grid(reports: Sequence[Report]) -> Grid:
    """A row for everything that makes results comparable, with the models and modes that share it."""
    shared: dict[tuple[str, ...], tuple[list[str], list[str]]] = {}
    for report in reports:
        h = report.header
        tokens = "" if h.max_new_tokens is None else f", {h.max_new_tokens} tokens"
        key = (
            *(h.task, str(h.items), h.item_hash, report.prompts, h.prompt_hash or "-"),
            *(f"{h.profile} {h.profile_hash}", h.python, h.cwm_trace, h.decoding.dtype or "-"),
            *(str(h.batch_size), f"{h.max_frames} frames{tokens}", str(h.seed)),
        )
        models, modes = shared.setdefault(key, ([], []))
        models += [h.model] if h.model not in models else []
        modes += [h.mode] if h.mode not in modes else []
    heads = ["task", "programs", "item hash", "prompts", "prompt hash", "profile", "Python", "cwm-trace"]
    heads += ["dtype", "batch", "cap of a prediction", "seed", "models", "modes"]
    rows = [[*key, ", ".join(models), ", ".join(modes)] for key, (models, modes) in shared.items()]
    turned = [[head, *(row[index] for row in rows)] for index, head in enumerate(heads)]
    return Grid("What was run", turned[0], turned[1:], is_numeric=False)


def _print_grid(grid: Grid, console: Console) -> None:
    console.print(Text(grid.title, "bold"))  # a title of the table's would be as narrow as the table
    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, head in enumerate(grid.heads):
        table.add_column(
            Text(head), overflow="fold", justify="right" if index and grid.is_numeric else "left"
        )
    for row in grid.rows:
        table.add_row(*map(Text, row))
    console.print(table)
    for note in grid.notes:
        console.print(note, highlight=False, markup=False)
    console.print()


def _signed(value: float | None) -> str:
    return "n/a" if value is None else f"{value:+.3f}"


def _p_text(value: float | None) -> str:
    return "n/a" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def value_text(estimate: Estimate) -> str:
    """A value alone."""
    return "n/a" if estimate.value is None else f"{estimate.value:.3f}"


def estimate_text(estimate: Estimate, *, with_skill: bool = True) -> str:
    """A value with its interval, and with its skill over copying where that is known."""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return value_text(estimate)
    text = f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"
    return f"{text} skill {estimate.skill:+.3f}" if with_skill and estimate.skill is not None else text


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
