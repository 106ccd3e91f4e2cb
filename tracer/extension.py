"""The compiled part of the recorder, where it was built.

Whether it was is a matter of the installation: it needs a C compiler and CPython 3.10 to 3.13 with the GIL.
Without it everything works, at the speed of Python.
"""

from __future__ import annotations

from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "IS_BUILT",
    "Engine",
    "Log",
    "Stack",
    "engine_of_thread",
    "frame_looked_at",
    "give_recursion_levels",
    "when_recorded",
]

try:
    from cwm_trace.tracer._recorder import (
        Engine,
        Log,
        Stack,
        engine_of_thread,
        frame_looked_at,
        give_recursion_levels,
        when_recorded,
    )

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
