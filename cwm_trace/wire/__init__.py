"""CWM's trace format: records to token ids or text and back.

A trace on the wire is a context (the program, its entry marked) and a sequence of frames::

    <|begin_of_text|><|trace_context_start|>CONTEXT<|frame_sep|>
    <|call_sep|>LOCALS<|action_sep|>SOURCE<|frame_sep|>
    <|line_sep|>LOCALS<|action_sep|>SOURCE<|frame_sep|>
    <|return_sep|><|action_sep|>SOURCE<|arg_sep|>VALUE<|frame_sep|>
    <|exception_sep|><|action_sep|>SOURCE<|arg_sep|>VALUE<|frame_sep|>
    <|end_of_text|>

LOCALS is the state before the line runs, a JSON object of `repr` texts in which `..` means "as in the frame
before"; SOURCE is the physical line; VALUE is the JSON string of a `repr`. Sources: the prompting guide and
debugger demo of facebookresearch/cwm, the report (arXiv 2510.02387), and CWM's own published generations.
What those leave open is a field of `FormatProfile`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cwm_trace.wire.context import START_MARKER
    from cwm_trace.wire.parse import parse_trace
    from cwm_trace.wire.profile import CWM, KTH, FormatProfile, get_profile
    from cwm_trace.wire.render import render_prompt, render_trace, text_is_ambiguous
    from cwm_trace.wire.tokens import Special, TraceTokens

HOMES = {
    "CWM": "profile",
    "KTH": "profile",
    "START_MARKER": "context",
    "FormatProfile": "profile",
    "Special": "tokens",
    "TraceTokens": "tokens",
    "get_profile": "profile",
    "parse_trace": "parse",
    "render_prompt": "render",
    "render_trace": "render",
    "text_is_ambiguous": "render",
}
"""Module of each public name."""

__all__ = [
    "CWM",
    "KTH",
    "START_MARKER",
    "FormatProfile",
    "Special",
    "TraceTokens",
    "get_profile",
    "parse_trace",
    "render_prompt",
    "render_trace",
    "text_is_ambiguous",
]


def __getattr__(name: str) -> object:
    """Import a public name's module on first use (PEP 562): reading a trace file needs no parser."""
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)
