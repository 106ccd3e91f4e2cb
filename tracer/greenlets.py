"""Greenlets: several stacks in one thread, of which one runs at a time (gevent, SQLAlchemy's bridge).

`greenlet.settrace` takes one function for each thread, which is ours while there is a recording. A function
that the program sets is called as well, and `greenlet.gettrace` gives the program its own.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from cwm_trace.tracer.interrupts import TRACE_FUNCTIONS

Switch = Callable[[str, tuple[Any, Any]], object]


class _Thread(threading.local):
    """Who hears of the switches in the thread."""

    def __init__(self) -> None:
        self.followers: list[Callable[[Any], None]] = []
        self.programs: Switch | None = None


_thread = _Thread()
_bare: dict[str, Callable[..., Any]] = {}
"""What `_stand_in` has replaced in the module."""


def are_there() -> bool:
    """Whether the program has imported them, or begun to."""
    return "greenlet" in sys.modules


def follow_greenlets(go_on: Callable[[Any], None]) -> Callable[[], bool] | None:
    """Hear of every switch in this thread.

    Args:
        go_on: is given the greenlet that goes on; at once the one that runs.

    Returns:
        What ends it, and says whether all switches were heard; None if the module is not ready yet.
    """
    module = sys.modules.get("greenlet")
    if any(getattr(module, name, None) is None for name in ("settrace", "gettrace", "getcurrent")):
        return None
    _stand_in(module)
    if not _thread.followers:
        _thread.programs = _bare["gettrace"]()
    _thread.followers.append(go_on)
    go_on(module.getcurrent())  # type: ignore[union-attr]  # see above
    _bare["settrace"](_on_switch)
    return partial(_stop, module, go_on)


def _stop(module: Any, go_on: Callable[[Any], None]) -> bool:
    heard = _bare["gettrace"]() is _on_switch
    _thread.followers.remove(go_on)
    if not _thread.followers:
        if heard:
            _bare["settrace"](_thread.programs)
        vars(module).update(_bare)
    return heard


def _stand_in(module: Any) -> None:
    """Let the program see its own function only."""
    if module.settrace is not _settrace:
        _bare.update(settrace=module.settrace, gettrace=module.gettrace)
        module.settrace, module.gettrace = _settrace, _gettrace


def _on_switch(event: str, greenlets: tuple[Any, Any]) -> None:
    if event in ("switch", "throw"):
        for go_on in _thread.followers:
            go_on(greenlets[1])
    if _thread.programs is not None:
        _thread.programs(event, greenlets)


def _settrace(callback: Any) -> Any:
    """Stands in for `greenlet.settrace`."""
    if not _thread.followers:
        return _bare["settrace"](callback)
    previous, _thread.programs = _thread.programs, callback
    return previous


def _gettrace() -> Any:
    """Stands in for `greenlet.gettrace`."""
    return _thread.programs if _thread.followers else _bare["gettrace"]()


TRACE_FUNCTIONS.add(_on_switch.__code__)
