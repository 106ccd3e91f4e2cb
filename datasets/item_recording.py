"""Recording items in this process, many of them one after the other.

A generated program reads nothing: it needs no folder of the user's to look for modules in, where a `math.py`
would change what is recorded. Its loops end by construction; the time of those that have a `while` is watched
all the same, since one that did not end would hold up all that come after it.
"""

from __future__ import annotations

import linecache
from dataclasses import replace

from cwm_trace.datasets.item import Item
from cwm_trace.records import Limits, Outcome, Trace
from cwm_trace.tracer.process import stand_ins
from cwm_trace.tracer.program import Runnable
from cwm_trace.tracer.session import Lines, Memory, Options, Sink, record_program
from cwm_trace.tracer.target import load_text

__all__ = ["KEPT", "record_item", "record_lines", "stand_ins"]

KEPT = (Outcome.RETURNED, Outcome.RAISED, Outcome.EXITED)
"""Outcomes of traces that are whole."""

SECONDS = 10.0
"""After which a program is ended where no limit says another time."""


def record_item(item: Item, limits: Limits) -> Trace:
    """Record a trusted item in this process. Around many of them, `stand_ins` saves time.

    Raises:
        CwmTraceError: it cannot be compiled.
    """
    memory = Memory()
    _record(item, load_text(item.source, item.call), memory, limits)
    return memory.trace


def record_lines(item: Item, program: Runnable, limits: Limits) -> tuple[Trace, bytes]:
    """Like `record_item`, of what `load_text` made of the item; the frames apart, as `Lines` has them."""
    sink = Lines()
    _record(item, program, sink, limits)
    return sink.trace, sink.lines


def _record(item: Item, program: Runnable, sink: Sink, limits: Limits) -> None:
    if item.max_lines is not None:
        program = replace(program, path=None, root=None)
        has_while = "while " in item.source
        limits = replace(limits, timeout=(limits.timeout or SECONDS) if has_while else None)
    record_program(program, sink, Options(limits=limits, capture_output=True))
    linecache.cache.pop(program.code.co_filename, None)
