"""A benchmark's report as a folder: the numbers, the programs, and for each a page of real beside predicted.

`index.html` has the tables, and a list of the programs that sorts and filters; `programs/` has a page of
each, which the browser loads when it is opened.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from cwm_trace.errors import CwmTraceError
from cwm_trace.eval.benchmark.drill import ProgramRow, find_cases, find_prediction, list_programs
from cwm_trace.eval.benchmark.log import Run
from cwm_trace.eval.benchmark.results import FLOOR, Results
from cwm_trace.eval.benchmark.truth import Truth, find_truth
from cwm_trace.files import make_folder, write_whole
from cwm_trace.progress import OnProgress, Progress, say_nothing
from cwm_trace.records import Trace
from cwm_trace.rendering.benchmark import result_tables
from cwm_trace.rendering.html import html_part
from cwm_trace.viewer.markup import html_page, read_asset
from cwm_trace.viewer.page import MAX_GUESSES, view_page


@dataclass
class _Program:
    """A program of a task: how each run did, by its number, and its page."""

    task: str
    id: str
    family: str = ""
    frames: int = 0
    rows: dict[int, ProgramRow] = field(default_factory=dict)
    page: str = ""

    floors: frozenset[int] = frozenset()

    @property
    def judged(self) -> list[ProgramRow]:
        """How the models did, or the floors where there are no models."""
        return [row for run, row in self.rows.items() if run not in self.floors] or list(self.rows.values())

    @property
    def worst(self) -> float:
        """The least share of right frames."""
        return min(row.frames[0] / max(1, row.frames[1]) for row in self.judged)

    @property
    def flipped(self) -> bool:
        """Whether one model has it all right and another has not."""
        return len({row.is_right for row in self.judged}) > 1


def write_report(results: Results, folder: Path, *, report: OnProgress = say_nothing) -> Path:
    """Write the report of some runs.

    Args:
        results: the runs; pages show `MAX_GUESSES` of each task, floors last.
        folder: to write into; made if it is not there.
        report: is told of every page that is written.

    Returns:
        The page to open.
    """
    make_folder(folder / "programs")
    runs = sorted(results.runs, key=lambda run: run.header.is_floor)
    programs = _programs(runs)
    done = 0
    for task in dict.fromkeys(program.task for program in programs):
        own = [(number, run) for number, run in enumerate(runs) if run.header.task == task]
        cases = find_cases(own[0][1])
        for program in programs:
            if program.task != task:
                continue
            done += 1
            found = find_truth(cases[program.id]) if program.id in cases else "not in its task any more"
            if isinstance(found, Truth):
                page = _program_page(program, own[:MAX_GUESSES], found.trace)
                program.page = f"programs/{done:05}.html"
                write_whole(folder / program.page, page)
            report(Progress("writing pages", done, len(programs)))
    path = folder / "index.html"
    write_whole(path, _index(results, runs, programs))
    return path


def _programs(runs: Sequence[Run]) -> list[_Program]:
    """Those that any run predicted, the most wrong first."""
    programs: dict[tuple[str, str], _Program] = {}
    floors = frozenset(number for number, run in enumerate(runs) if run.header.is_floor)
    for number, run in enumerate(runs):
        lines = {line.id: line for line in run.programs}
        for row in list_programs(run):
            if row.id not in lines or row.sample:
                continue
            key, line = (run.header.task, row.id), lines[row.id]
            program = programs.setdefault(key, _Program(*key, line.family, line.real_frames, floors=floors))
            program.rows[number] = row
    return sorted(programs.values(), key=lambda program: (program.worst, program.task, program.id))


def _program_page(program: _Program, runs: Sequence[tuple[int, Run]], real: Trace) -> str:
    guesses, labels = [], []
    for number, run in runs:
        line = next((line for line in run.programs if line.id == program.id), None)
        if number not in program.rows or line is None:
            continue
        try:
            guesses.append(find_prediction(run, line, real))
        except CwmTraceError:
            continue  # a log without its predictions; the numbers stand in the list
        labels.append(f"{run.header.model}, {run.header.mode}")
    return view_page(real, guesses, title=f"{program.id}", labels=labels)


def _index(results: Results, runs: Sequence[Run], programs: Sequence[_Program]) -> str:
    tasks = ", ".join(dict.fromkeys(run.header.task for run in runs))
    title = f"Predicted execution: {tasks}"
    body = [f"<header><h1>{escape(title)}</h1>", *(f"<p>{escape(text)}</p>" for text in _facts(runs))]
    body += [
        "</header><main>",
        _list(runs, programs),
        f"<h2>Numbers</h2>{html_part(result_tables(results))}</main>",
    ]
    return html_page(title, "\n".join(body), style=read_asset("report.css"), script=read_asset("report.js"))


def _facts(runs: Sequence[Run]) -> list[str]:
    """What a reader has to know before the numbers."""
    header = runs[0].header
    who = dict.fromkeys(
        f"{h.model} ({h.mode}, grammar {h.decoding.grammar or 'of its own'})"
        for h in (run.header for run in runs if not run.header.is_floor)
    )
    floors = [run.header.model for run in runs if run.header.is_floor]
    floor = f"Skill is over {FLOOR}." if FLOOR in floors else "No floor was run, so no skill is given."
    return [
        f"Written {datetime.date.today()} by cwm-trace {header.cwm_trace}, Python {header.python}.",
        f"Models: {', '.join(who) or 'none'}. Floors: {', '.join(dict.fromkeys(floors)) or 'none'}. {floor}",
    ]


def _list(runs: Sequence[Run], programs: Sequence[_Program]) -> str:
    several = len({program.task for program in programs}) > 1
    modes = len({run.header.mode for run in runs}) > 1
    names = [f"{run.header.model}, {run.header.mode}" if modes else run.header.model for run in runs]
    heads = [*(["task"] if several else []), "program", "family", "frames", *names]
    outcomes = sorted({row.outcome for program in programs for row in program.rows.values()})
    families = sorted({program.family for program in programs if program.family})
    rows = "\n".join(_row(program, len(runs), several) for program in programs)
    head = "".join(
        f'<th scope="col"><button type="button" data-column="{at}">{escape(name)}</button></th>'
        for at, name in enumerate(heads)
    )
    return f"""<section id="programs"><h2>Programs, what is most wrong first</h2>
<form id="filters" hidden>
<label>Search <input id="text" type="search" autocomplete="off"></label>
<label>Family <select id="family"><option value="">all</option>{_options(families)}</select></label>
<label>Outcome <select id="outcome"><option value="">all</option>{_options(outcomes)}</select></label>
<label>Frames at most <input id="most" type="number" min="1"></label>
<label><input id="flipped" type="checkbox"> right in one run, wrong in another</label>
<output id="count"></output>
</form>
<div class="wide" tabindex="0" role="region" aria-label="Programs"><table id="list">
<thead><tr>{head}</tr></thead>
<tbody>
{rows}
</tbody></table></div></section>"""


def _options(values: Sequence[str]) -> str:
    return "".join(f"<option>{escape(value)}</option>" for value in values)


def _row(program: _Program, runs: int, several: bool) -> str:
    name = escape(program.id)
    link = f'<a href="{program.page}">{name}</a>' if program.page else name
    cells = [f"<td>{escape(program.task)}</td>"] if several else []
    cells += [f"<td>{link}</td>", f"<td>{escape(program.family)}</td>", f"<td>{program.frames}</td>"]
    for number in range(runs):
        row = program.rows.get(number)
        if row is None:
            cells.append('<td data-value="-1">none</td>')
            continue
        right, total = row.frames
        kind = "right" if row.is_right else "wrong"
        mark = "✓" if row.is_right else "✗"
        extra = "" if row.outcome == "complete" else f" {row.outcome}"
        cells.append(
            f'<td class="{kind}" data-value="{right / max(1, total):.4f}" title="{escape(row.first_wrong)}">'
            f"{mark} {right} of {total}{escape(extra)}</td>"
        )
    outcomes = " ".join(sorted({row.outcome for row in program.rows.values()}))
    flipped = " data-flipped" if program.flipped else ""
    data = f'data-family="{escape(program.family)}" data-outcomes="{outcomes}" data-frames="{program.frames}"'
    return f"<tr {data}{flipped}>{''.join(cells)}</tr>"
