"""Traces that pages are made of in tests."""

from __future__ import annotations

from cwm_trace.records import Event, Frame, Program, Slot, SourceFile, Trace

HOSTILE_TEXTS = [
    "</script><script>window.pwned = 1</script>",
    "<img src=x onerror='window.pwned = 2'>",
    "'\"><svg/onload=window.pwned=3>",
    "\u202eevil\u202c \u2066\u200f",
    "\ud800 lone \udfff",
    "javascript:window.pwned=4",
    "]]>--><!--",
    "__proto__",
    "constructor",
    "x" * 1_000_001,
    "\x00\x1b[31m\r\n\u2028",
    "",
]


def hostile_trace(text: str) -> Trace:
    """One whose every text is this one, if it may have any there."""
    slot = Slot(text, text)
    frames = (
        Frame(Event.CALL, 1, text, changed={text or "x": slot, "plain": Slot("1")}),
        Frame(Event.LINE, 2, text, changed={text or "x": None}),
        Frame(Event.EXCEPTION, 2, text, value=slot, message=text),
        Frame(Event.RETURN, 2, text, value=slot),
    )
    return Trace(
        Program((SourceFile(text, f"{text}\n{text}"),), text, 1, arguments=(text,)), frames, warnings=(text,)
    )
