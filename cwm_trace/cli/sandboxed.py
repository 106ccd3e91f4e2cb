"""`cwm-trace run --sandbox`: the same in a child process, with its streams copied to ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cwm_trace.records import Limits
    from cwm_trace.storage import TraceWriter
    from cwm_trace.tracer.program import Runnable
    from cwm_trace.tracer.session import Ending

_EXIT_CODES = {"raised": 1, "timed-out": 124, "cpu-limit": 124, "memory-limit": 1}
_KILLED = 137


def run_sandboxed(
    program: Runnable, job: Mapping[str, Any], writer: TraceWriter, limits: Limits, redact: Sequence[str] = ()
) -> Ending:
    """Record a script, the text of `-c`, or a call.

    Args:
        program: as it was loaded; nothing of it is run here.
        job: `call`, `entry`, `include`, `exclude` and `expand_objects`.
        writer: takes the recording.
        limits: what is left out has the sandbox's default; `timeout` is the bound on the wall clock.
        redact: what no value may show; replaced here, the program itself has it anyway.

    Returns:
        How it ended; a program that had to be ended has exit code 137, or 124 if it took too long.
    """
    from cwm_trace.tracer.redacting import RedactingSink
    from cwm_trace.tracer.sandbox import SANDBOX_LIMITS, record_isolated
    from cwm_trace.tracer.session import Ending
    from cwm_trace.tracer.supervision import Bounds

    bounds = Bounds() if limits.timeout is None else Bounds(limits.timeout, int(limits.timeout) + 1)
    limits = replace(
        limits,
        max_frames=limits.max_frames or SANDBOX_LIMITS.max_frames,
        max_bytes=limits.max_bytes or SANDBOX_LIMITS.max_bytes,
    )
    is_file = not program.code.co_filename.startswith("<")
    full = {
        **job,
        "source": program.source.text if not is_file else "",
        "path": program.code.co_filename if is_file else "",
        "name": program.source.name,
        "arguments": program.argv[1:],
    }
    readable = [program.root] if is_file and program.root is not None else []
    sink: Any = writer
    if redact:
        sink = RedactingSink(writer, redact, limits.max_value_chars)
        limits = replace(limits, max_value_chars=None)
    result = record_isolated(full, sink, limits=limits, bounds=bounds, readable=readable, streams=(1, 2))
    trace = sink.written if redact else result.trace
    code = trace.run.exit_code
    if code is None:
        code = 0 if result.reason == "returned" else _EXIT_CODES.get(result.reason, _KILLED)
    return Ending(trace, writer.frames, code)
