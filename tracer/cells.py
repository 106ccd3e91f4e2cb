"""A recorded run of code that is compiled already, in a namespace that goes on: a notebook's cell."""

from __future__ import annotations

from collections.abc import Collection
from types import CodeType
from typing import Any

from cwm_trace.records import Program, SourceFile
from cwm_trace.tracer.program import MODULE
from cwm_trace.tracer.recorder import Recorder
from cwm_trace.tracer.scope import Scope
from cwm_trace.tracer.session import Options, Sink, make_header, record_run


def record_code(
    code: CodeType,
    text: str,
    namespace: dict[str, Any],
    sink: Sink,
    options: Options,
    *,
    root: str,
    hidden: Collection[str] = (),
) -> BaseException | None:
    """Run code as the module that `namespace` is of, and record it.

    Args:
        code: the compiled cell.
        text: what it was compiled from.
        namespace: its variables, before and after.
        sink: takes the recording.
        options: how to record.
        root: the folder of the user's files.
        hidden: variables of the namespace that are not the user's.

    Returns:
        The exception that ended it, if one did.
    """
    source = SourceFile(code.co_filename, text)
    scope = Scope(code.co_filename, root, include=options.include, exclude=options.exclude)
    header = make_header(options, Program((source,), MODULE))

    def run(recorder: Recorder) -> None:
        recorder.hidden = frozenset(hidden)
        recorder.sources.know(code, source)
        recorder.start()
        exec(code, namespace)

    return record_run(run, header, sink, options, scope, None).error
