"""A recorded trace as it reads once it went through text: one file, the lines of the context."""

from __future__ import annotations

from dataclasses import replace

from cwm_trace.records import Event, SourceFile, Trace
from cwm_trace.wire.context import MAIN, TEXT_FILE, context_lines, is_indented, shown_source
from cwm_trace.wire.profile import FormatProfile
from cwm_trace.wire.render import main_thread


def trace_as_shown(trace: Trace, profile: FormatProfile) -> Trace:
    """The trace that `parse_trace` makes of its text, without what only a record knows being lost.

    The frames that text cannot show, of other threads and after the entry's return, are left out.

    Args:
        trace: a recorded one.
        profile: of the text.
    """
    lines = context_lines(trace, profile)
    numbers = {(file, line): at for at, (_, file, line) in enumerate(lines, start=1)}
    indented = is_indented(trace, profile)
    entry_line = numbers.get((0, 0 if indented else trace.entry_line or -1), 0)
    frames = []
    for frame in main_thread(trace):
        line = numbers.get((frame.file, frame.line), 0) if frame.line or frame.file else 0
        source = shown_source(frame.source, indented=indented and frame.file == 0)
        if indented and frame.event is Event.CALL and frame.activation == 0:
            line, source = entry_line, MAIN
        frames.append(replace(frame, file=0, line=line, source=source))
    text = "".join(f"{line.text}\n" for line in lines)
    return replace(
        trace,
        frames=tuple(frames),
        program=replace(
            trace.program,
            files=(SourceFile(TEXT_FILE, text),),
            entry="main" if indented else trace.entry,
            entry_line=entry_line,
        ),
    )
