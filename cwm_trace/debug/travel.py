"""Where a step leads, forward and backward, among the frames that are known.

A function gives the index of the goal, or None where it is not among the known frames: then the timeline
grows and it is asked again, or, backward, there is none. Levels are those of the state tree of "Towards a
Neural Debugger for Python": the frames of a call are below the line that calls.

==============  =====================================================================================
forward         leads to
==============  =====================================================================================
``step``        the next frame, whatever it is
``next``        the next frame of this activation, calls of its line passed over, however many they are;
                from its RETURN, the next frame of the caller
``return``      the RETURN of this activation (a yield is one); from it, as ``next``
``until L``     the next frame of this activation at line L or later, or its RETURN
``jump L``      the next LINE at line L, in any activation; or with this source text
==============  =====================================================================================

Backward, ``back``, ``rnext`` and ``rreturn`` are the same read from the end: CALL takes the part of RETURN.
"""

from __future__ import annotations

from bisect import bisect_right

from cwm_trace.debug.timeline import NOWHERE, Timeline, next_in
from cwm_trace.records import Event


def next_frame(timeline: Timeline, start: int) -> int | None:
    """`step`."""
    return start + 1 if start + 1 < len(timeline) else None


def next_over(timeline: Timeline, start: int) -> int | None:
    """`next`."""
    if timeline.frames[start].event is not Event.RETURN:
        found = timeline.after_in(start)
        return timeline.left_at(start) if found is None else found
    caller = timeline.callers[start]
    while caller != NOWHERE:
        found = timeline.after_in(caller, start)
        if found is not None:
            return found
        caller = timeline.callers[caller]
    return None


def next_return(timeline: Timeline, start: int) -> int | None:
    """`return`."""
    if timeline.frames[start].event is Event.RETURN:
        return next_over(timeline, start)
    found = timeline.next_of(start, Event.RETURN)
    return timeline.left_at(start) if found is None else found


def next_line_from(timeline: Timeline, start: int, line: int) -> int | None:
    """`until LINE`."""
    own = timeline.frames_of(start)
    for at in range(bisect_right(own, start), len(own)):
        frame = timeline.frames[own[at]]
        if frame.event is Event.RETURN or (frame.event is Event.LINE and frame.line >= line):
            return own[at]
    return timeline.left_at(start)


def next_at_line(timeline: Timeline, start: int, file: int, line: int) -> int | None:
    """`jump LINE`."""
    return next_in(timeline.lines.get((file, line), []), start)


def next_with_source(timeline: Timeline, start: int, source: str) -> int | None:
    """`jump SOURCE`: the paper's `breakpoint`."""
    wanted = source.strip()
    for index in range(start + 1, len(timeline)):
        frame = timeline.frames[index]
        if frame.event is Event.LINE and frame.source.strip() == wanted:
            return index
    return None


def previous_frame(timeline: Timeline, start: int) -> int | None:  # noqa: ARG001
    """`back`."""
    return start - 1 if start else None


def previous_over(timeline: Timeline, start: int) -> int | None:
    """`rnext`."""
    if timeline.frames[start].event is not Event.CALL:
        before = timeline.before_in(start)
        if before is not None:
            return before
    caller = timeline.callers[start]
    return None if caller == NOWHERE else caller


def previous_call(timeline: Timeline, start: int) -> int | None:
    """`rreturn`."""
    if timeline.frames[start].event is Event.CALL:
        return previous_over(timeline, start)
    return timeline.previous_of(start, Event.CALL)
