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

from typing import TYPE_CHECKING

from cwm_trace.lazy_names import lazy_names

if TYPE_CHECKING:
    from cwm_trace.wire.context import START_MARKER
    from cwm_trace.wire.parse import parse_trace
    from cwm_trace.wire.profile import CWM, KTH, FormatProfile, get_profile
    from cwm_trace.wire.render import render_prompt, render_trace, text_is_ambiguous
    from cwm_trace.wire.tokens import Special, TraceTokens

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

__getattr__ = lazy_names(
    "cwm_trace.wire",
    {
        "context": "START_MARKER",
        "parse": "parse_trace",
        "profile": "CWM FormatProfile KTH get_profile",
        "render": "render_prompt render_trace text_is_ambiguous",
        "tokens": "Special TraceTokens",
    },
)
