"""The compiled part of the recorder, where it was built.

Whether it was is a matter of the installation: it needs a C compiler and CPython 3.10 to 3.13 with the GIL.
Without it everything works, at the speed of Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import FrameType
from typing import TYPE_CHECKING

from cwm_trace.plain import resting_collector
from cwm_trace.records import Event, Frame, Slot, SourceFile

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "IS_BUILT",
    "Engine",
    "Log",
    "Stack",
    "columns_of_lines",
    "engine_of_thread",
    "frame_looked_at",
    "give_recursion_levels",
    "records_of_lines",
    "when_recorded",
]

_EDITION = 4
"""Of what C and Python say to each other; raised there and here when that changes."""

try:
    from cwm_trace.tracer._recorder import (
        EDITION,
        Engine,
        Log,
        Stack,
        columns_of_lines,
        engine_of_thread,
        frame_looked_at,
        frames_of_lines,
        give_recursion_levels,
        when_recorded,
    )

    if EDITION != _EDITION:
        raise ImportError(f"the compiled recorder is of edition {EDITION}, not {_EDITION}")
    IS_BUILT = True
except ImportError:  # not built, or built from older sources than these
    IS_BUILT = False

    def engine_of_thread() -> Engine | None:
        """The engine that traces the current thread."""
        return None

    def frame_looked_at() -> FrameType | None:
        """The frame whose event is being recorded while code of the program runs for it, in this thread."""
        return None

    def when_recorded(steps: Sequence[Callable[[], object]], /) -> None:
        """Call functions of C when the event that is being recorded is done."""


def records_of_lines(data: bytes, files: Sequence[SourceFile]) -> tuple[Frame, ...]:
    """The frames whose lines the compiled recorder has written.

    Args:
        data: the lines.
        files: the source files of the trace.
    """
    events = {event.value: event for event in Event}
    with resting_collector():
        return tuple(frames_of_lines(data, Frame, Slot, events, [file.text.split("\n") for file in files]))
