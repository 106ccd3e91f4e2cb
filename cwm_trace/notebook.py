"""The magic of notebooks: `%load_ext cwm_trace`, then `%%cwm_trace` at the top of a cell records it."""

from __future__ import annotations

import ast
import importlib
import linecache
import os
import re
import shlex
from types import TracebackType
from typing import TYPE_CHECKING, Any

from cwm_trace.errors import CwmTraceError
from cwm_trace.records import Limits

if TYPE_CHECKING:
    from cwm_trace.records import Trace

_HISTORY = re.compile(r"_+|_i*|_i?\d+|In|Out")
"""Names that IPython binds beside the user's."""

_USAGE = "%%cwm_trace [NAME] [--max-frames N]"


def load_extension(shell: Any) -> None:
    """Give IPython the magic."""

    def cwm_trace(line: str, cell: str) -> Trace:
        """Record what this cell does and show its trace; NAME becomes a variable that has it."""
        __tracebackhide__ = True  # from IPython's tracebacks: a cell that raises shows its own code
        usage: Any = importlib.import_module("IPython.core.error")

        try:
            return _record_cell(shell, line, cell)
        except CwmTraceError as refused:
            raise usage.UsageError(str(refused)) from None

    shell.register_magic_function(cwm_trace, "cell", "cwm_trace")


def _record_cell(shell: Any, line: str, cell: str) -> Trace:
    """Run a cell, recorded together with whatever it calls in other cells and in files beside the notebook.

    An exception of the cell goes on as ever, after the trace has been shown.

    Args:
        shell: IPython's.
        line: what stands behind the magic: a name for the trace, a bound on its frames.
        cell: the rest of the cell.

    Raises:
        CwmTraceError: `line` or the cell cannot be understood.
    """
    __tracebackhide__ = True
    from cwm_trace.tracer.cells import record_code
    from cwm_trace.tracer.session import Memory, Options

    name, limits = _parse(line)
    text = shell.transform_cell(cell)
    file = shell.compile.cache(text, shell.execution_count, raw_code=cell)
    try:
        code = compile(ast.parse(text, file), file, "exec", dont_inherit=True, flags=shell.compile.flags)
    except SyntaxError as wrong:
        if _awaits(text, file):
            raise CwmTraceError(
                "the cell awaits: put that into an async function, and record(…) that"
            ) from None
        raise CwmTraceError(f"the cell cannot be compiled: {wrong.msg} (line {wrong.lineno})") from wrong
    sink = Memory()
    text = "".join(linecache.getlines(file)) or text
    hidden = {name for name in shell.user_ns if name in shell.user_ns_hidden or _HISTORY.fullmatch(name)}
    options = Options(limits=limits)
    error = record_code(code, text, shell.user_ns, sink, options, root=os.getcwd(), hidden=hidden)
    if name:
        shell.user_ns[name] = sink.trace
    if error is not None:
        display: Any = importlib.import_module("IPython.display")
        display.display(sink.trace)
        raise error.with_traceback(_from_cell(error.__traceback__, file))
    return sink.trace


def _awaits(text: str, file: str) -> bool:
    """Whether a cell would be one if it may have an `await` outside of functions."""
    try:
        compile(text, file, "exec", dont_inherit=True, flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    except SyntaxError:
        return False
    return True


def _from_cell(trace: TracebackType | None, file: str) -> TracebackType | None:
    """A traceback without the frames above the cell's own."""
    while trace is not None and trace.tb_frame.f_code.co_filename != file:
        trace = trace.tb_next
    return trace


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
