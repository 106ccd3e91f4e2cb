"""Arguments of verbs."""

from __future__ import annotations

from cwm_trace.errors import CwmTraceError


def is_number(text: str) -> bool:
    """Whether this is a number that is not negative, in few enough digits."""
    return text.isascii() and text.isdigit() and len(text) < 10


def read_number(text: str, what: str, usage: str) -> int:
    """A number that is not negative.

    Raises:
        CwmTraceError: it is none.
    """
    if not is_number(text):
        raise CwmTraceError(f"{text!r} is no {what}: say {usage}")
    return int(text)


def refuse_argument(text: str, name: str) -> None:
    """Make sure that a verb that takes none has no argument.

    Raises:
        CwmTraceError: it has one.
    """
    if text:
        raise CwmTraceError(f"{name} takes no argument: {text!r} is one")
