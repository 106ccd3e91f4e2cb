"""One function activation under the tracer: what its variables were when it was last looked at."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from inspect import CO_OPTIMIZED
from types import CodeType, FrameType, ModuleType
from typing import TYPE_CHECKING, Any

from cwm_trace.records import FrameFields, SlotFields
from cwm_trace.tracer.interpreter import CELL_ARGUMENTS_COME_LAST
from cwm_trace.tracer.opcodes import leaves_by_exception, suspends
from cwm_trace.tracer.values import ATOMS, CONTAINERS, Key, is_plain, safe_str, take_image

if TYPE_CHECKING:
    from cwm_trace.tracer.recorder import Recorder

_NOTHING = object()
_UNKNOWN = (_NOTHING, None, "")


class Stack:
    """The recorded activations of one thread."""

    __slots__ = ("depth", "thread")

    def __init__(self, thread: int) -> None:
        self.thread = thread
        self.depth = 0


class Image:
    """The bytes of a container when it was last turned into text."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


class Activation:
    """What is known of one function activation: each variable when it was last looked at.

    Values are held only where that cannot change the program: immutable built-in ones. A variable bound to
    the very same such object is unchanged, and so is a container of plain values whose bytes are the same;
    every other value is turned into text each time.
    """

    __slots__ = (
        "depth",
        "file",
        "is_function",
        "is_module",
        "known",
        "namespace",
        "number",
        "raised",
        "raised_at",
        "recorder",
        "stack",
    )

    def __init__(self, recorder: Recorder, number: int, file: int, code: CodeType) -> None:
        self.recorder = recorder
        self.number = number
        self.file = file
        self.is_module = code.co_name == "<module>"
        self.is_function = bool(code.co_flags & CO_OPTIMIZED)
        self.depth = 0
        self.stack: Stack | None = None
        """Of the thread it runs in; None while it is suspended."""
        self.raised: type[BaseException] | None = None
        self.raised_at = -1
        """`f_lasti` of the last event, if that was an exception."""
        self.namespace: Mapping[str, Any] | None = None
        self.known: dict[str, tuple[Any, Key | None, str]] = {}
        """Of each variable the value or image that is held, the key of its text, and its type."""

    def enter(self, stack: Stack) -> None:
        """A call or a resume: the activation is now the top of the stack."""
        self.raised_at = -1
        self.stack = stack
        self.depth = stack.depth
        stack.depth += 1

    def on_event(self, frame: FrameType, event: str, arg: Any) -> None:
        """The trace function of one activation."""
        if not self.recorder.active:
            return
        try:
            if event == "line":
                self.raised_at = -1
                self.on_state("line", frame)
            elif event == "exception":
                self.on_exception(frame, arg[1])
            elif event == "return":
                self.on_return(frame, arg)
        except BaseException as error:
            self.recorder.miss(error)

    def on_state(self, event: Any, frame: FrameType) -> None:
        """CALL and LINE: the variables that changed since this activation was last looked at."""
        values = frame.f_locals if self.is_function else self.namespace or namespace_of(frame)
        if self.is_module:
            values = visible(values)
        elif CELL_ARGUMENTS_COME_LAST and event == "call" and frame.f_code.co_cellvars:
            values = arguments_first(frame)
        known, recorder = self.known, self.recorder
        changed: dict[str, SlotFields | None] = {}
        for name, value in values.items() if self.is_function else list(values.items()):
            held, key, type_name = known.get(name, _UNKNOWN)
            if held is value:
                continue
            if type(name) is not str:
                continue
            kind = type(value)
            image = None
            if kind in CONTAINERS:
                image = take_image(value)
                if image is not None and type(held) is Image and held.data == image:
                    continue
            slot, now = recorder.describe(value)
            if kind in ATOMS:
                held = value
            else:
                held = Image(image) if image is not None and is_plain(now) else _NOTHING
            known[name] = held, now, slot["type"]
            if key != now or type_name != slot["type"]:
                changed[name] = slot
                recorder.bytes += len(slot["text"])
        if len(known) > len(values):
            for name in [name for name in known if name not in values]:
                del known[name]
                changed[name] = None
        fields = self._fields(event, frame)
        if changed:
            fields["changed"] = changed
        recorder.record(fields)

    def on_exception(self, frame: FrameType, error: BaseException) -> None:
        """EXCEPTION."""
        fields = self._fields("exception", frame)
        self.raised = type(error)
        self.raised_at = frame.f_lasti
        fields["value"] = self.recorder.describe(error)[0]
        fields["message"] = safe_str(error)
        self.recorder.record(fields)

    def on_return(self, frame: FrameType, value: Any) -> None:
        """RETURN, a yield included; without a value if an exception leaves the activation."""
        fields = self._fields("return", frame)
        unwinding = value is None and leaves_by_exception(frame, self.raised_at)
        if not unwinding:
            fields["value"] = self.recorder.describe(value)[0]
        if self.stack is not None:
            self.stack.depth = self.depth
            self.stack = None
        self.recorder.record(fields)
        if self.number == 0 and (unwinding or not suspends(frame)):
            self.recorder.finish_entry(self.raised if unwinding else None)

    def _fields(self, event: Any, frame: FrameType) -> FrameFields:
        stack = self.stack
        if stack is None:  # CPython 3.11 throws into a suspended generator without a call event before it
            stack = self.recorder.current_stack()
            self.enter(stack)
        fields: FrameFields = {
            "event": event,
            "line": frame.f_lineno or 0,
            "activation": self.number,
            "depth": self.depth,
        }
        if stack.thread:
            fields["thread"] = stack.thread
        if self.file:
            fields["file"] = self.file
        return fields


def namespace_of(frame: FrameType) -> Mapping[str, Any]:
    """The variables of a frame, read so that the program does not notice."""
    values = frame.f_locals
    if frame.f_code.co_flags & CO_OPTIMIZED or isinstance(values, dict | _PROXY):
        return values
    return {}  # a metaclass may prepare any mapping for a class body: reading it would run its code


def arguments_first(frame: FrameType) -> dict[str, Any]:
    """The variables at a call in the order of the signature."""
    values = frame.f_locals
    known = [name for name in frame.f_code.co_varnames if name in values]
    return {name: values[name] for name in [*known, *(name for name in values if name not in known)]}


def visible(namespace: Mapping[str, Any]) -> dict[str, Any]:
    """The variables of a module: without dunders, modules, functions and classes."""
    return {
        name: value
        for name, value in list(namespace.items())
        if type(value) not in _NOT_VARIABLES
        and not issubclass(type(value), type)
        and type(name) is str
        and not (name.startswith("__") and name.endswith("__"))
    }


_NOT_VARIABLES = frozenset([ModuleType, type(lambda: None), type(len), type])
_PROXY: type = type((lambda: sys._getframe().f_locals)())
