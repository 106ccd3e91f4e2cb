"""Arguments of verbs."""

from __future__ import annotations

from cwm_trace.errors import CwmTraceError


def read_number(text: str, what: str, usage: str) -> int:
    """A number that is not negative.

    Raises:
        CwmTraceError: it is none.
    """
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise CwmTraceError(f"{text!r} is no {what}: say {usage}")
    return int(text)


def refuse_argument(text: str, name: str) -> None:
    """Make sure that a verb that takes none has no argument.

    Raises:
        CwmTraceError: it has one.
    """
    if text:
        raise CwmTraceError(f"{name} takes no argument: {text!r} is one")
