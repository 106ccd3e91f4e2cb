"""Record real Python executions in CWM's format, predict them, and compare the two step by step.

PYTEST_DONT_REWRITE: whoever runs pytest under this package has it imported before pytest can rewrite it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cwm_trace.lazy_names import lazy_names
from cwm_trace.versions import VERSION

if TYPE_CHECKING:
    from cwm_trace.api import (
        compare_execution,
        evaluate,
        predict_execution,
        predict_step,
        trace_execution,
    )
    from cwm_trace.errors import CwmTraceError
    from cwm_trace.recording import record
    from cwm_trace.records import Event, Frame, Limits, Outcome, Program, Slot, SourceFile, Trace
    from cwm_trace.states import diff_states, edit_state, resolve_states
    from cwm_trace.storage import read_trace, write_trace
    from cwm_trace.wire import (
        CWM,
        KTH,
        FormatProfile,
        TraceTokens,
        parse_trace,
        render_prompt,
        render_trace,
    )

__version__ = VERSION

__all__ = [
    "CWM",
    "KTH",
    "CwmTraceError",
    "Event",
    "FormatProfile",
    "Frame",
    "Limits",
    "Outcome",
    "Program",
    "Slot",
    "SourceFile",
    "Trace",
    "TraceTokens",
    "compare_execution",
    "diff_states",
    "edit_state",
    "evaluate",
    "parse_trace",
    "predict_execution",
    "predict_step",
    "read_trace",
    "record",
    "render_prompt",
    "render_trace",
    "resolve_states",
    "trace_execution",
    "write_trace",
]


__getattr__ = lazy_names(
    "cwm_trace",
    {
        "api": "compare_execution evaluate predict_execution predict_step trace_execution",
        "errors": "CwmTraceError",
        "recording": "record",
        "records": "Event Frame Limits Outcome Program Slot SourceFile Trace",
        "states": "diff_states edit_state resolve_states",
        "storage": "read_trace write_trace",
        "wire": "CWM KTH FormatProfile TraceTokens parse_trace render_prompt render_trace",
    },
)


def load_ipython_extension(shell: Any) -> None:
    """What `%load_ext cwm_trace` calls: gives notebooks the magic `%%cwm_trace`."""
    from cwm_trace.notebook import load_extension

    load_extension(shell)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
