"""The neural debugger: step through what a model believes, beside what is true.

A `Session` (`session.py`) holds executions as `Timeline`s, each with a position; `verbs/` is what one can
tell it in words. Nothing here has a screen, needs torch, or runs a value or a source of the program. What is
shown where (a terminal, an editor, an agent) is decided by whoever drives the session.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cwm_trace.lazy_names import lazy_names

if TYPE_CHECKING:
    from cwm_trace.debug.console import Console
    from cwm_trace.debug.conversation import Reply
    from cwm_trace.debug.opening import open_console
    from cwm_trace.debug.running import Opening
    from cwm_trace.debug.session import Session

__all__ = [
    "Console",
    "Opening",
    "Reply",
    "Session",
    "open_console",
]

__getattr__ = lazy_names(
    "cwm_trace.debug",
    {
        "console": "Console",
        "conversation": "Reply",
        "opening": "open_console",
        "running": "Opening",
        "session": "Session",
    },
)
