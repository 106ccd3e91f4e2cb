"""Writing variables of a program while it is recorded: how "what if" is answered by the program itself."""

from __future__ import annotations

import ast
import ctypes
import os
import sys
from collections.abc import Callable, Sequence
from inspect import CO_OPTIMIZED
from types import FrameType
from typing import TYPE_CHECKING, Any

from cwm_trace.records import FrameFields, SlotFields, SourceFile, Trace
from cwm_trace.tracer.interpreter import LOCALS_ARE_A_PROXY
from cwm_trace.tracer.values import Describer

if TYPE_CHECKING:
    from cwm_trace.tracer.channel import Receiver

_HERE = os.path.dirname(__file__)


class WritingSink:
    """A sink that writes a variable of the program when a frame comes by, and shows it in that frame.

    The frame is handed on by the trace function, so the program's frame is the first one up the stack that is
    not the tracer's. It is a CALL or LINE: what is written is what its line will see.

    Args:
        sink: takes the recording.
        writes: index of the frame, name of the variable, and text of its new value, a literal.
        refuse: is told in a sentence why a variable could not be written.
    """

    def __init__(
        self, sink: Receiver, writes: Sequence[tuple[int, str, str]], refuse: Callable[[str], object]
    ) -> None:
        self._sink: Any = sink
        self._writes = [(index, name, text) for index, name, text in writes]
        self._refuse = refuse
        self._count = 0
        self._written: dict[tuple[int, str], SlotFields] = {}
        """What was written, until the recorder has seen it."""

    def header(self, trace: Trace) -> None:
        """What is known before the first frame."""
        self._sink.header(trace)

    def file(self, file: SourceFile) -> None:
        """A source file that the header does not have."""
        self._sink.file(file)

    def frame(self, fields: FrameFields) -> None:
        """The next frame; a variable is written before it is handed on."""
        if self._written and fields["event"] in ("call", "line"):
            self._show_once(fields)
        for index, name, text in self._writes:
            if index == self._count:
                self._write(fields, name, text)
        self._count += 1
        self._sink.frame(fields)

    def footer(self, trace: Trace) -> None:
        """What is known after the last frame."""
        late = [name for index, name, _ in self._writes if index >= self._count]
        if late:
            self._refuse(f"{late[0]} was not written: the program ended before that frame")
        self._sink.footer(trace)

    def flush(self) -> None:
        """Hand on what waits."""
        self._sink.flush()

    def abandon(self) -> None:
        """In a forked child."""
        self._sink.abandon()

    def _write(self, fields: FrameFields, name: str, text: str) -> None:
        frame: FrameType | None = sys._getframe()
        while frame is not None and os.path.dirname(frame.f_code.co_filename) == _HERE:
            frame = frame.f_back
        if frame is None or fields["event"] not in ("call", "line"):
            self._refuse(f"{name} cannot be written: that frame shows no variables")
            return
        if not can_write(frame, name):
            self._refuse(f"{name} is no variable of {frame.f_code.co_name}: it cannot be written there")
            return
        value = ast.literal_eval(text)
        _write_variable(frame, name, value)
        slot = Describer().describe(value)
        fields["changed"] = {**fields.get("changed", {}), name: slot}
        self._written[fields["activation"], name] = slot

    def _show_once(self, fields: FrameFields) -> None:
        """Leave out the change that the recorder sees a frame later than the writing showed it."""
        changed = fields.get("changed", {})
        for name in [name for activation, name in self._written if activation == fields["activation"]]:
            if changed.get(name) == self._written.pop((fields["activation"], name)):
                changed = {key: slot for key, slot in changed.items() if key != name}
                fields["changed"] = changed


def can_write(frame: FrameType, name: str) -> bool:
    """Whether code of this frame can have a local variable of that name."""
    code = frame.f_code
    if not code.co_flags & CO_OPTIMIZED:
        return True
    return name in (*code.co_varnames, *code.co_cellvars, *code.co_freevars)


def _write_variable(frame: FrameType, name: str, value: Any) -> None:
    """Bind a local variable of a frame that is being traced."""
    frame.f_locals[name] = value
    if not LOCALS_ARE_A_PROXY and frame.f_code.co_flags & CO_OPTIMIZED:
        ctypes.pythonapi.PyFrame_LocalsToFast(ctypes.py_object(frame), ctypes.c_int(0))
