"""The magic of notebooks: `%load_ext cwm_trace`, then `%%cwm_trace` at the top of a cell records it."""

from __future__ import annotations

import ast
import linecache
import os
import shlex
from typing import TYPE_CHECKING, Any

from cwm_trace.errors import CwmTraceError
from cwm_trace.records import Limits

if TYPE_CHECKING:
    from cwm_trace.records import Trace

_USAGE = "%%cwm_trace [NAME] [--max-frames N]"


def load_extension(shell: Any) -> None:
    """Give IPython the magic."""

    def cwm_trace(line: str, cell: str) -> Trace:
        """Record what this cell does and show its trace; NAME becomes a variable that has it."""
        return record_cell(shell, line, cell)

    shell.register_magic_function(cwm_trace, "cell", "cwm_trace")


def record_cell(shell: Any, line: str, cell: str) -> Trace:
    """Run a cell, recorded together with whatever it calls in other cells and in files beside the notebook.

    An exception of the cell goes on as ever, after the trace has been shown.

    Args:
        shell: IPython's.
        line: what stands behind the magic: a name for the trace, a bound on its frames.
        cell: the rest of the cell.

    Raises:
        CwmTraceError: `line` or the cell cannot be understood.
    """
    from cwm_trace.tracer.cells import record_code
    from cwm_trace.tracer.session import Memory, Options

    name, limits = _parse(line)
    text = shell.transform_cell(cell)
    file = shell.compile.cache(text, shell.execution_count, raw_code=cell)
    try:
        code = compile(ast.parse(text, file), file, "exec", dont_inherit=True, flags=shell.compile.flags)
    except SyntaxError as error:
        raise CwmTraceError(f"the cell cannot be compiled: {error.msg} (line {error.lineno})") from error
    sink = Memory()
    text = "".join(linecache.getlines(file)) or text
    error = record_code(code, text, shell.user_ns, sink, Options(limits=limits), root=os.getcwd())
    if name:
        shell.user_ns[name] = sink.trace
    if error is not None:
        from IPython.display import display

        display(sink.trace)  # type: ignore[no-untyped-call]
        raise error
    return sink.trace


def _parse(line: str) -> tuple[str, Limits]:
    words = shlex.split(line)
    most = None
    if "--max-frames" in words:
        at = words.index("--max-frames")
        if not words[at + 1 : at + 2] or not words[at + 1].isdecimal() or not int(words[at + 1]):
            raise CwmTraceError(f"--max-frames needs a number above 0: {_USAGE}")
        most = int(words[at + 1])
        del words[at : at + 2]
    if len(words) > 1 or not all(word.isidentifier() for word in words):
        raise CwmTraceError(f"cannot understand {line!r}: {_USAGE}")
    return "".join(words), Limits(max_frames=most)
