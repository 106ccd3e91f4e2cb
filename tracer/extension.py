"""The compiled part of the recorder, where it was built.

Whether it was is a matter of the installation: it needs a C compiler and CPython 3.10 to 3.13 with the GIL.
Without it everything works, at the speed of Python.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import update_wrapper
from types import FrameType
from typing import Any

from cwm_trace.plain import resting_collector
from cwm_trace.records import Event, Frame, Slot, SourceFile

Call = tuple[Callable[..., Any], tuple[Any, ...], Mapping[str, Any]]
"""A function, and what it is called with."""

Choose = Callable[[tuple[Any, ...], Mapping[str, Any]], Call]
"""Says what is called in the place of a function, by the arguments that this was given."""

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
    "stand_in",
    "when_recorded",
]

_EDITION = 6
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
        stand_in,
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

    def stand_in(real: Any, choose: Choose, /) -> Any:
        """A function that looks like another one, and calls what is chosen by its arguments."""

        def call_chosen(*args: Any, **kwargs: Any) -> Any:
            function, its_args, its_kwargs = choose(args, kwargs)
            return function(*its_args, **its_kwargs)

        return update_wrapper(call_chosen, real)

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
