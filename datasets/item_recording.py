"""Recording items in this process, many of them one after the other.

A generated program is known to end and reads nothing: it needs nobody to watch its time, and no folder of the
user's to look for modules in, where a `math.py` would change what is recorded.
"""

from __future__ import annotations

import linecache
from dataclasses import dataclass, replace

from cwm_trace.datasets.item import Item
from cwm_trace.records import Limits, Outcome, Trace
from cwm_trace.tracer.process import stand_ins
from cwm_trace.tracer.program import Runnable
from cwm_trace.tracer.session import Lines, Memory, Options, Sink, record_program
from cwm_trace.tracer.target import load_text

__all__ = ["KEPT", "ReadyItem", "load_item", "record_item", "record_lines", "stand_ins"]

KEPT = (Outcome.RETURNED, Outcome.RAISED, Outcome.EXITED)
"""Outcomes of traces that are whole."""


@dataclass(frozen=True)
class ReadyItem:
    """A trusted item that is compiled and only has to be run; `load_item` makes it."""

    program: Runnable
    limits: Limits


def load_item(item: Item, limits: Limits) -> ReadyItem:
    """Compile a trusted item.

    Raises:
        CwmTraceError: it cannot be compiled.
    """
    program = load_text(item.source, item.call)
    if item.max_lines is None:
        return ReadyItem(program, limits)
    return ReadyItem(replace(program, path=None, root=None), replace(limits, timeout=None))


def record_item(item: Item, limits: Limits) -> Trace:
    """Record a trusted item in this process. Around many of them, `stand_ins` saves time.

    Raises:
        CwmTraceError: it cannot be compiled.
    """
    memory = Memory()
    _record(load_item(item, limits), memory)
    return memory.trace


def record_lines(ready: ReadyItem) -> tuple[Trace, bytes]:
    """Like `record_item`; the frames come apart from the trace, as `Lines` has them."""
    sink = Lines()
    _record(ready, sink)
    return sink.trace, sink.lines


def _record(ready: ReadyItem, sink: Sink) -> None:
    record_program(ready.program, sink, Options(limits=ready.limits, capture_output=True))
    linecache.cache.pop(ready.program.code.co_filename, None)
