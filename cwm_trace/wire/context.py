"""The context of a trace: the program's text, with the entry marked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from cwm_trace.records import SourceFile, Trace
from cwm_trace.wire.profile import FormatProfile

START_MARKER = "  # << START_OF_TRACE"
MODULE = "<module>"
MAIN = "def main():"
TEXT_FILE = "<context>"
"""Name of the one file of a trace that was read from text."""

_DEF = re.compile(r"\s*(?:async\s+)?def\s+(\w+)")
_INDENT = "    "
_HEADING = "# file: "


class ContextLine(NamedTuple):
    """A line of the context, and the program line that it shows (line 0: none)."""

    text: str
    file: int
    line: int


def is_indented(trace: Trace, profile: FormatProfile) -> bool:
    """Whether the first file is shown as the body of an entry `main` that it does not have."""
    return trace.entry == MODULE and profile.module_code == "main"


def context_lines(trace: Trace, profile: FormatProfile) -> list[ContextLine]:
    """The lines of the context, without the start marker.

    The file with the entry comes last; where there are several, each stands under a line `# file: NAME`.
    """
    lines = []
    for index, file in [*enumerate(trace.files)][1:] + [*enumerate(trace.files)][:1]:
        indented = index == 0 and is_indented(trace, profile)
        if len(trace.files) > 1:
            lines.append(ContextLine(_HEADING + file.name, index, 0))
        if indented:
            lines.append(ContextLine(MAIN, 0, 0))
        lines += [
            ContextLine(shown_source(text, indented=indented), index, number)
            for number, text in enumerate(source_lines(file.text), start=1)
        ]
    return lines


def find_headings(lines: Sequence[ContextLine]) -> list[int]:
    """The lines of the context, from 1, that name a file; none if there is one file only.

    A context that was read from text is one file, whose comments that look like a heading are taken for one.
    """
    headings = [at for at, line in enumerate(lines, start=1) if line.text.startswith(_HEADING)]
    if any(line.file for line in lines):
        return [at for at in headings if not lines[at - 1].line]
    return headings if headings[:1] == [1] else []


def render_context(trace: Trace, profile: FormatProfile) -> str:
    """The text between `<|trace_context_start|>` and the first `<|frame_sep|>`."""
    lines = context_lines(trace, profile)
    entry_line = trace.entry_line
    marked = [
        text + START_MARKER
        if file == 0
        and (text == MAIN and line == 0 if is_indented(trace, profile) else line == entry_line > 0)
        else text
        for text, file, line in lines
    ]
    return "\n" + "\n".join(marked) + "\n"


def source_lines(text: str) -> list[str]:
    """The physical lines of a source text, without their endings."""
    return text.removesuffix("\n").split("\n")


def shown_source(line: str, *, indented: bool) -> str:
    """A source line as the context and the frames show it."""
    return _INDENT + line if indented and line.strip() else line


def recorded_source(shown: str, *, indented: bool) -> str:
    """The inverse of `shown_source`."""
    return shown.removeprefix(_INDENT) if indented else shown


def function_name(line: str) -> str:
    """The name of the function that a source line defines; empty if it defines none."""
    named = _DEF.match(line)
    return named.group(1) if named else ""


def parse_context(text: str) -> tuple[tuple[SourceFile, ...], str, int]:
    """Files, entry and entry line of a context; the last marked line is the entry, `""` and 0 without one."""
    lines = text.removeprefix("\n").split("\n")
    entry, entry_line = "", 0
    for index in range(len(lines) - 1, -1, -1):
        if lines[index].endswith(START_MARKER):
            lines[index] = lines[index].removesuffix(START_MARKER)
            entry, entry_line = function_name(lines[index]), index + 1
            break
    return (SourceFile(TEXT_FILE, "\n".join(lines)),), entry, entry_line
