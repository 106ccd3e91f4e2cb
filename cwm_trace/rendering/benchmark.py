"""The report of a benchmark as tables: in a terminal, as Markdown, as one HTML page without scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.util import find_spec
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cwm_trace.eval.benchmark.published import PUBLISHED
from cwm_trace.eval.benchmark.results import FLOOR
from cwm_trace.eval.statistics.estimates import Estimate

if TYPE_CHECKING:
    from cwm_trace.eval.benchmark.contrasts import Contrast
    from cwm_trace.eval.benchmark.drill import ProgramRow
    from cwm_trace.eval.benchmark.log import Header
    from cwm_trace.eval.benchmark.results import Report, Results

SHOWN = {
    "output_accuracy": "output right, by ==",
    "output_no_literal": "output that is no literal, so not judged (lower is better)",
    "trace_exact": "whole trace right",
    "frame_exact": "frames right",
    "event_accuracy": "events right",
    "next_line_accuracy": "next line right, at branches",
    "next_line_all": "next line right, everywhere",
    "state_exact": "states right",
    "changed_slot_f1": "changed variables, F1",
    "stale": "changes missed (lower is better)",
    "spurious": "changes invented (lower is better)",
    "local_step_accuracy": "steps right, from its own states",
    "local_step_coverage": "share of steps that can be judged so",
    "rmst_32": "frames right before the first wrong one, counted to 32",
    "rmst_128": "the same, counted to 128",
    "reval_coverage": "REval, is a line executed",
    "reval_path": "REval, the next line",
    "reval_state": "REval, the value of a variable",
    "reval_consistency": "REval, answers build on each other",
    "halting_right": "end at the right frame",
    "valid_format": "valid format",
}
"""Metrics that the tables show, and what they call them; JSON has all."""

INPUTS = {
    "output_accuracy": "the input that is found gives the output",
    "output_no_literal": "the input is no literal, so not run (lower is better)",
}
"""The same of input prediction."""

RESULT_WORDS = {
    "truncated": "cut by a budget",
    "timed-out": "stopped by a time-out",
    "unparsable": "with a frame that lacks its parts",
    "no-end": "without an end",
    "no-trace": "with no trace in them",
    "not-comparable": "of another program",
}
"""How predictions end, where they do not end by themselves."""

_CAUSES, _REASONS = 12, 5
_IF_ANY = ("output_no_literal",)
_NONE = Estimate(None)


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
        group.sort(key=lambda report: report.header.is_floor)  # models first, in their order
        grids.append(_group_grid(task, mode, group))
        if any(report.causes for report in group):
            grids.append(_cause_grid(task, mode, group))
    published = dict.fromkeys(report.header.published for report in reports if report.programs)
    others = [_published_grid(name) for name in published if name in PUBLISHED]
    return [*grids, *others, _provenance_grid(reports)]


def print_results(results: Results, console: Console | None = None) -> None:
    """Print the report."""
    print_grids(result_grids(results), console)


def print_grids(grids: Sequence[Grid], console: Console | None = None) -> None:
    """Print tables."""
    console = console or Console()
    for grid in grids:
        _print_grid(grid, console)


def contrast_grid(contrast: Contrast, flips: int = 10) -> Grid:
    """How one run differs from another: what got better or worse, how surely, and what flipped."""
    first, second = contrast.first.header, contrast.second.header
    rows = [
        [words, _signed(found.value), f"[{_signed(found.low)}, {_signed(found.high)}]", _p_text(found.p)]
        for name, words in SHOWN.items()
        if (found := contrast.differences[name]).value is not None
        and not (name in _IF_ANY and found.value == 0)
    ]
    notes = [f"A: {first.model}", f"B: {second.model}"]
    if contrast.left_out:
        notes.append(f"{contrast.left_out} programs are in one of the two only, and left out")
    for name in contrast.lost:
        for verb, ids in (("lost", contrast.lost[name]), ("won", contrast.won[name])):
            if ids:
                more = f" and {len(ids) - flips} more" if len(ids) > flips else ""
                notes.append(f"{SHOWN[name]}, {verb} by B: {len(ids)}: {', '.join(ids[:flips])}{more}")
    title = f"{first.task}, mode {first.mode}: B minus A on {len(contrast.programs)} programs"
    return Grid(title, ["", "B minus A", "95 % interval", "p (of no difference)"], rows, notes)


def program_grid(header: Header, rows: Sequence[ProgramRow], limit: int) -> Grid:
    """A row for each prediction of a log."""
    has_samples = any(row.sample for row in rows)
    cells = [
        [
            f"{row.id} #{row.sample}" if has_samples else row.id,
            row.outcome,
            row.output or "-",
            f"{row.frames[0]} of {row.frames[1]}" if row.frames[1] else "-",
            row.reason or row.first_wrong or "-",
        ]
        for row in rows[:limit]
    ]
    notes = [f"{len(rows) - limit} more: give --limit"] if len(rows) > limit else []
    title = f"{header.task}, mode {header.mode}, {header.model}: what is most wrong first"
    return Grid(title, ["program", "outcome", "output", "frames right", "first wrong"], cells, notes, False)


def results_markdown(results: Results) -> str:
    """The report as Markdown."""
    return grids_markdown(result_grids(results))


def grids_markdown(grids: Sequence[Grid]) -> str:
    """Tables as Markdown."""
    parts = []
    for grid in grids:
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
    return grids_html(result_grids(results), pictures)


def grids_html(grids: Sequence[Grid], pictures: Sequence[tuple[str, str]] = ()) -> str:
    """Tables, and pictures below them, as a part of a page."""
    parts = [
        "<style>.cwm-bench table{border-collapse:collapse;margin:8px 0}.cwm-bench td,.cwm-bench th"
        "{padding:2px 10px;text-align:right;white-space:nowrap}"
        ".cwm-bench table.text td,.cwm-bench table.text th{text-align:left;white-space:normal}"
        ".cwm-bench{font-family:sans-serif;font-size:14px;overflow-x:auto}"
        ".cwm-bench td:first-child,.cwm-bench th:first-child"
        "{text-align:left}.cwm-bench th{border-bottom:1px solid}</style>",
        '<div class="cwm-bench">',
    ]
    for grid in grids:
        heads = "".join(f"<th>{escape(head)}</th>" for head in grid.heads)
        rows = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in grid.rows
        )
        kind = "" if grid.is_numeric else ' class="text"'
        parts.append(f"<h3>{escape(grid.title)}</h3><table{kind}><tr>{heads}</tr>{rows}</table>")
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
    return grids_page(result_grids(results), pictures)


def grids_page(grids: Sequence[Grid], pictures: Sequence[tuple[str, str]] = ()) -> str:
    """Tables, and pictures below them, as a page of its own."""
    body = grids_html(grids, pictures)
    head = '<meta charset="utf-8"><title>cwm-trace bench</title>'
    return f"<!DOCTYPE html>\n<html><head>{head}</head><body>{body}</body></html>\n"


def _group_grid(task: str, mode: str, reports: Sequence[Report]) -> Grid:
    """A row for each metric, a column for each model; baselines beside a model show no intervals."""
    has_model = not all(report.header.is_floor for report in reports)
    rows = [["programs", *(str(report.programs) for report in reports)]]
    if any(report.predictions != report.programs for report in reports):
        rows.append(["predictions", *(str(report.predictions) for report in reports)])
    shown = INPUTS if mode == "input" else SHOWN
    for name, words in {**shown, **_sample_words(reports)}.items():
        found = [report.metrics.get(name, _NONE) for report in reports]
        if any(estimate.value is not None for estimate in found) and not (
            name in _IF_ANY and not any(estimate.value for estimate in found)
        ):
            cells = []
            for report, estimate in zip(reports, found, strict=True):
                text = estimate_text(estimate, with_skill=report.header.model != FLOOR)
                cells.append(value_text(estimate) if has_model and report.header.is_floor else text)
            rows.append([words, *cells])
    for result, words in RESULT_WORDS.items():
        counts = [report.results[result] for report in reports]
        if any(counts):
            rows.append([f"predictions {words}", *map(str, counts)])
    return Grid(
        f"{task}, mode {mode}", ["", *(report.header.model for report in reports)], rows, _notes(reports)
    )


def _sample_words(reports: Sequence[Report]) -> dict[str, str]:
    """What the metrics of several samples are called."""
    names = sorted(
        {name for report in reports for name in report.metrics if name.startswith("pass_at_")},
        key=lambda name: int(name.removeprefix("pass_at_")),
    )
    words = {name: f"pass@{name.removeprefix('pass_at_')}" for name in names}
    return {**words, "majority": "the most frequent output is right"} if names else {}


def _notes(reports: Sequence[Report]) -> list[str]:
    """What was left out, what did not go as it should, and what is not finished."""
    notes = ["In brackets: 95 % intervals, over programs."]
    if any(estimate.skill is not None for report in reports for estimate in report.metrics.values()):
        notes.append("Skill: 1 is perfect, 0 no better than the floor copy, which says that nothing changes.")
    if any(report.header.model == "oracle" for report in reports):
        notes.append("The oracle repeats the truth; the other floors have no model either.")
    notes += [
        f"excluded: {_programs(count)}: {reason}"
        for reason, count in {r: c for report in reports for r, c in report.excluded.items()}.items()
    ]
    for report in reports:
        name = report.header.model
        notes += [
            f"{name}: {_predictions(count)} could not be read or compared: {reason}"
            for reason, count in _most(report.faults)
        ]
        notes += [f"{name}: {what} passed over in {_predictions(n)}" for what, n in report.skipped.items()]
        notes += [
            f"{name}: {_predictions(count)} refused, and asked for again by --resume: {reason}"
            for reason, count in _most(report.failed)
        ]
        if report.compares_texts:
            notes.append(
                f"{name}: an older log, which compares outputs as texts; bench rescore compares by =="
            )
        if not report.is_complete:
            done = report.programs + len(report.run.excluded)
            notes.append(f"unfinished: {name} has come to {done} of {report.header.items} programs")
    return notes


def _most(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """The most frequent ones, and how many more there are."""
    found = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    rest = sum(count for _, count in found[_REASONS:])
    return [*found[:_REASONS], ("other reasons", rest)] if rest else found


def _programs(count: int) -> str:
    return "1 program" if count == 1 else f"{count} programs"


def _predictions(count: int) -> str:
    return "1 prediction" if count == 1 else f"{count} predictions"


def _cause_grid(task: str, mode: str, reports: Sequence[Report]) -> Grid:
    """What was wrong first, and in how many programs, the most frequent causes."""
    causes = list(dict.fromkeys(cause for report in reports for cause in report.causes))
    rows = [[cause, *(str(report.causes.get(cause, 0)) for report in reports)] for cause in causes]
    heads = ["", *(report.header.model for report in reports)]
    return Grid(f"{task}, mode {mode}: what is wrong first, in how many predictions", heads, rows[:_CAUSES])


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
            *(h.task, str(h.items), h.item_hash, report.prompts or "-", h.prompt_hash or "-"),
            *(f"{h.profile} {h.profile_hash}", h.python, h.cwm_trace, h.decoding.dtype or "-"),
            *(str(h.batch_size), f"{h.max_frames} frames{tokens}" if h.max_frames else "-", str(h.seed)),
        )
        models, modes = shared.setdefault(key, ([], []))
        models += [h.model] if h.model not in models else []
        modes += [h.mode] if h.mode not in modes else []
    heads = ["task", "programs", "item hash", "prompts", "prompt hash", "profile", "Python", "cwm-trace"]
    heads += ["dtype", "batch", "cap of a prediction", "seed", "models", "modes"]
    rows = [[*key, ", ".join(models), ", ".join(modes)] for key, (models, modes) in shared.items()]
    turned = [[head, *(row[index] for row in rows)] for index, head in enumerate(heads)]
    turned = [row for row in turned if set(row[1:]) != {"-"}]
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
