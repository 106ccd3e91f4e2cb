"""Greenlets: several stacks in one thread, of which one runs at a time (gevent, SQLAlchemy's bridge)."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from cwm_trace.tracer.interrupts import TRACE_FUNCTIONS


def are_there() -> bool:
    """Whether the program has imported them, or begun to."""
    return "greenlet" in sys.modules


def follow_greenlets(go_on: Callable[[Any], None]) -> Callable[[], None] | None:
    """Hear of every switch in this thread.

    Args:
        go_on: is given the greenlet that goes on; at once the one that runs.

    Returns:
        What ends it; None if the module is not ready yet.
    """
    module = sys.modules.get("greenlet")
    settrace, gettrace = getattr(module, "settrace", None), getattr(module, "gettrace", None)
    getcurrent = getattr(module, "getcurrent", None)
    if settrace is None or gettrace is None or getcurrent is None:
        return None
    previous = gettrace()

    def on_switch(event: str, greenlets: tuple[Any, Any]) -> None:
        if event in ("switch", "throw"):
            go_on(greenlets[1])
        if previous is not None:
            previous(event, greenlets)

    def stop() -> None:
        if gettrace() is on_switch:
            settrace(previous)

    TRACE_FUNCTIONS.add(on_switch.__code__)
    go_on(getcurrent())
    settrace(on_switch)
    return stop
