"""Which recorder records: the compiled one where it was built, else the one in Python."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from cwm_trace.errors import CwmTraceError
from cwm_trace.records import Limits
from cwm_trace.tracer.extension import IS_BUILT
from cwm_trace.tracer.recorder import Recorder
from cwm_trace.tracer.sources import Sources
from cwm_trace.tracer.values import Describer

if TYPE_CHECKING:
    from cwm_trace.tracer._recorder import Log

Kind = Literal["auto", "python", "c"]

VARIABLE = "CWM_TRACE_RECORDER"
"""Of the environment: what `auto` means. `c`, the default: the compiled one wherever it can; or `python`."""


_NOT_BUILT = (
    "is not part of this installation, which found no C compiler or another Python than 3.10 to 3.13,"
    " or was built from older sources"
)


def make_recorder(
    kind: Kind,
    sink: Any,
    *,
    sources: Sources,
    describer: Describer,
    limits: Limits,
    is_entry: Callable[[Any], bool] | None,
) -> Recorder:
    """A recorder of that kind; of kind `auto` what the environment says.

    Args:
        kind: which.
        sink: takes the recording. Its methods `open_log` and `rewrite_line` make it one that the compiled
            recorder can write to; `map_lines`, if it has that, prepares it for the one in Python.
        sources, describer, limits, is_entry: as for `Recorder`.

    Raises:
        CwmTraceError: the compiled recorder is asked for, and cannot do this.
    """
    if kind == "auto":
        wanted = os.environ.get(VARIABLE, "c")
        if wanted not in ("c", "python"):
            raise CwmTraceError(f"{VARIABLE} is {wanted!r}: set it to c or python")
        kind = "python" if wanted == "python" else "auto"
    problem, log = "", None
    if kind != "python":
        problem = "" if IS_BUILT else _NOT_BUILT
        log = None if problem else _open_log(sink)
        problem = problem or ("" if log else "cannot write where this recording goes")
    if problem and kind == "c":
        raise CwmTraceError(f"the compiled recorder {problem}: use --recorder python")
    if log is None:
        if hasattr(sink, "map_lines"):
            sink.map_lines()
        return Recorder(
            sources=sources, describer=describer, emit=sink.frame, limits=limits, is_entry=is_entry
        )
    from cwm_trace.tracer.compiled import CompiledRecorder

    return CompiledRecorder(
        log,
        sink.rewrite_line,
        sources=sources,
        describer=describer,
        limits=limits,
        is_entry=is_entry,
    )


def _open_log(sink: Any) -> Log | None:
    from cwm_trace.tracer._recorder import Log

    open_log = getattr(sink, "open_log", None)
    log: Log | None = open_log(Log) if open_log else None
    return log
