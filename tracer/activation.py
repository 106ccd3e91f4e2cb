"""One function activation under the tracer: what its variables were when it was last looked at."""

from __future__ import annotations

import gc
import sys
from collections.abc import Mapping
from inspect import CO_OPTIMIZED
from types import CodeType, FrameType, ModuleType
from typing import Any, Protocol

from cwm_trace.records import FrameFields, SlotFields
from cwm_trace.tracer.interpreter import CELL_ARGUMENTS_COME_LAST, READING_LOCALS_UNBINDS
from cwm_trace.tracer.interrupts import (
    TRACE_FUNCTIONS,
    forget_trace_functions,
    is_cut_short,
    is_foreign,
    let_through,
)
from cwm_trace.tracer.opcodes import borrowed_cells, leaves_by_exception, suspends
from cwm_trace.tracer.sending import send_again
from cwm_trace.tracer.values import ATOMS, CONTAINERS, Describer, bare_name, is_plain, safe_str, take_image

_NOTHING = object()
_NO_NAMES: frozenset[str] = frozenset()
_UNKNOWN = (_NOTHING, None, None)
_LONG = 10_000  # characters; longer texts are compared by their hash
_WORTH_AN_IMAGE = 400  # characters; a shorter text gets its image only when it is found unchanged


class Stack:
    """The recorded activations of one thread."""

    __slots__ = ("depth", "thread")

    def __init__(self, thread: int) -> None:
        self.thread = thread
        self.depth = 0


class Image:
    """The bytes of a container when it was last turned into text."""

    __slots__ = ("data",)

    def __init__(self, data: bytes | None) -> None:
        self.data = data


class Owner(Protocol):
    """The recorder that an activation is of: what it needs of it."""

    active: bool
    replaced: bool
    bytes: int
    missed: int
    describer: Describer
    emits: CodeType
    hidden: frozenset[str]

    def on_call(self, frame: FrameType, event: str, arg: Any, /) -> Any:
        """The trace function of calls."""

    def current_stack(self) -> Any:
        """The stack of the running thread."""

    def record(self, fields: FrameFields) -> None:
        """Hand a frame on."""

    def finish_entry(self, raised: type[BaseException] | None) -> None:
        """The entry has returned, or `raised` has left it."""


class Activation:
    """What is known of one function activation: each variable when it was last looked at.

    Values are held only where that cannot change the program: immutable built-in ones. A variable bound to
    the very same such object is unchanged, and so is a container of plain values whose bytes are the same;
    every other value is turned into text each time.
    """

    __slots__ = (
        "borrowed",
        "changed",
        "depth",
        "file",
        "is_simple",
        "known",
        "left_at",
        "namespace",
        "number",
        "place",
        "raised",
        "raised_at",
        "recorder",
        "stack",
        "unreadable",
    )

    def __init__(self, recorder: Owner, number: int, file: int, code: CodeType) -> None:
        self.recorder = recorder
        self.number = number
        self.file = file
        self.borrowed = borrowed_cells(code)
        self.unreadable = _NO_NAMES
        """Variables that cannot be read at the moment, and so count as unchanged."""
        self.is_simple = (
            code.co_flags & CO_OPTIMIZED
            and not (CELL_ARGUMENTS_COME_LAST and code.co_cellvars)
            and not self.borrowed
        )
        # the next four are set by `enter`
        self.depth: int
        self.stack: Stack | None
        """Of the thread it runs in; None while it is suspended."""
        self.place: FrameFields
        """What all frames of this call, or resume, have in common."""
        self.raised_at: int
        """`f_lasti` of the last event, if that was an exception."""
        self.raised: type[BaseException] | None = None
        self.left_at = 0
        """The line of the last RETURN."""
        self.namespace: Mapping[str, Any] | None = None
        self.known: dict[str, tuple[Any, str | int | None, type | None]] = {}
        """Of each variable the value or image that is held, its text or the hash of that, and its type."""
        self.changed: dict[str, SlotFields | None] = {}
        """What the next CALL or LINE shows; it outlives an event that an exception from outside cut short."""

    def enter(self, stack: Stack) -> None:
        """A call or a resume: the activation is now the top of the stack."""
        self.raised_at = -1
        self.stack = stack
        self.depth = stack.depth
        stack.depth += 1
        self.place = {"event": "line", "line": 0, "activation": self.number, "depth": self.depth}
        if stack.thread:
            self.place["thread"] = stack.thread
        if self.file:
            self.place["file"] = self.file

    def on_event(self, frame: FrameType, event: str, arg: Any) -> None:
        """The trace function of one activation."""
        if not self.recorder.active:
            return
        try:
            if event == "line":
                if self.stack is None:
                    self.resume()
                self.raised_at = -1
                self.on_state("line", frame)
            elif event == "exception":
                forget_trace_functions(arg[2])
                self.on_exception(frame, arg[1])
            elif event == "return":
                self.on_return(frame, arg)
        except RecursionError:  # as in `Recorder.on_call`
            self.recorder.active, self.recorder.replaced = False, True
        except BaseException as error:
            if not is_foreign(error):
                self.recorder.missed += 1
                if event == "return" and self.stack is not None:
                    self.stack.depth, self.stack = self.depth, None
                return
            if event == "return" and is_cut_short(error, self.recorder.emits):
                self.on_event(frame, event, arg)
            if event == "line" and send_again(sys._getframe(), frame, error):
                return
            let_through(frame, self.recorder.on_call, self.on_event)
            raise

    def resume(self) -> None:
        """CALL of a suspended activation that goes on without a call event (`THROW_HAS_NO_CALL`)."""
        self.enter(self.recorder.current_stack())
        fields = self.place.copy()
        fields["event"], fields["line"] = "call", self.left_at
        self.recorder.record(fields)

    def on_state(self, event: Any, frame: FrameType) -> None:
        """CALL and LINE: the variables that changed since this activation was last looked at."""
        values = frame.f_locals if self.is_simple else self.variables(frame)
        known, recorder, changed = self.known, self.recorder, self.changed
        describer = recorder.describer
        for name, value in values.items():
            held, key, known_kind = known.get(name, _UNKNOWN)
            if held is value:
                continue
            kind = type(value)
            if kind in ATOMS:
                try:
                    text = repr(value)  # what `describer.text` gives, without two calls
                except ValueError:
                    text = describer.text(value)
                now = text if len(text) < _LONG else hash(text)
                held = value
            else:
                image = take_image(value) if type(held) is Image and kind is known_kind else None
                if image is not None and held.data == image:
                    continue
                text = describer.text(value)
                now = text if len(text) < _LONG else hash(text)
                if kind in CONTAINERS and (key == now or len(text) > _WORTH_AN_IMAGE) and is_plain(text):
                    held = Image(image or take_image(value))
                else:
                    held = _NOTHING
            if key != now or known_kind is not kind:
                changed[name] = slot = describer.fields(value, text)
                recorder.bytes += len(slot["text"])
            known[name] = held, now, kind
        if len(known) > len(values):
            for name in [name for name in known if name not in values and name not in self.unreadable]:
                changed[name] = None
                del known[name]
        fields = self.place.copy()
        fields["event"] = event
        fields["line"] = frame.f_lineno or 0
        if changed:
            fields["changed"] = changed
            self.changed = {}
        try:
            recorder.record(fields)
        except BaseException as error:
            if isinstance(error, MemoryError) or is_cut_short(error, recorder.emits):
                self.changed = changed  # the next line shows it, or what it is by then
            raise

    def variables(self, frame: FrameType) -> Mapping[str, Any]:
        """The variables of a frame that is not simply a function's."""
        code = frame.f_code
        if self.borrowed and code.co_flags & CO_OPTIMIZED:
            at = frame.f_lasti
            self.unreadable = frozenset(name for name, places in self.borrowed if at in places)
            names = dict.fromkeys((*code.co_varnames, *code.co_cellvars, *code.co_freevars))
            readable, values = [name for name in names if name not in self.unreadable], frame.f_locals
            return {name: values[name] for name in readable if name in values}
        if code.co_flags & CO_OPTIMIZED:
            return arguments_first(frame)
        namespace = self.namespace
        if namespace is None:
            namespace = namespace_of(frame)
            if READING_LOCALS_UNBINDS or self.borrowed:
                self.namespace = namespace  # read once, at the call, before any comprehension
        is_module = code.co_name == "<module>"
        return visible(
            namespace, is_module=is_module, hidden=self.recorder.hidden if is_module else frozenset()
        )

    def on_exception(self, frame: FrameType, error: BaseException) -> None:
        """EXCEPTION."""
        fields = self._fields("exception", frame)
        self.raised = type(error)
        self.raised_at = frame.f_lasti
        fields["value"] = self.recorder.describer.describe(error)
        fields["message"] = safe_str(error)
        self.recorder.record(fields)

    def leave(self, frame: FrameType) -> None:
        """RETURN right after the CALL: what came into the trace function leaves the activation."""
        self.stack = None
        fields = self.place.copy()
        fields["event"] = "return"
        fields["line"] = frame.f_lineno or 0
        self.recorder.record(fields)

    def on_return(self, frame: FrameType, value: Any) -> None:
        """RETURN, a yield included; without a value if an exception leaves the activation."""
        fields = self._fields("return", frame)
        unwinding = value is None and leaves_by_exception(frame, self.raised_at)
        if not unwinding:
            fields["value"] = self.recorder.describer.describe(unwrap(value))
        self.left_at = fields["line"]
        stack, self.stack = self.stack, None
        if stack is not None:
            stack.depth = self.depth
        try:
            self.recorder.record(fields)
        except BaseException as error:
            if is_cut_short(error, self.recorder.emits):
                self.stack = stack
            raise
        if self.number == 0 and (unwinding or not suspends(frame)):
            self.recorder.finish_entry(self.raised if unwinding else None)

    def _fields(self, event: Any, frame: FrameType) -> FrameFields:
        if self.stack is None:
            self.resume()
        fields = self.place.copy()
        fields["event"] = event
        fields["line"] = frame.f_lineno or 0
        return fields


TRACE_FUNCTIONS.add(Activation.on_event.__code__)


def unwrap(value: Any) -> Any:
    """What an asynchronous generator yields, which the interpreter hands on in a wrapper (PEP 525)."""
    if bare_name(type(value)) == "async_generator_wrapped_value":
        return gc.get_referents(value)[0]
    return value


def arguments_first(frame: FrameType) -> dict[str, Any]:
    """The variables of a function in the order of its signature."""
    values = frame.f_locals
    known = [name for name in frame.f_code.co_varnames if name in values]
    return {name: values[name] for name in [*known, *(name for name in values if name not in known)]}


def namespace_of(frame: FrameType) -> Mapping[str, Any]:
    """The namespace of a module, a class body or `exec`."""
    values = frame.f_locals
    if issubclass(type(values), (dict, _PROXY)):
        return values
    return {}  # a metaclass may prepare any mapping for a class body: reading it would run its code


def visible(
    namespace: Mapping[str, Any], *, is_module: bool, hidden: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """The variables of a namespace; of a module without dunders, modules, functions and classes."""
    return {
        name: value
        for name, value in _items_of(namespace)
        if type(name) is str
        and name not in hidden
        and not (
            is_module
            and (
                type(value) in _NOT_VARIABLES
                or issubclass(type(value), type)
                or (name.startswith("__") and name.endswith("__"))
            )
        )
    }


def _items_of(namespace: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """What a namespace holds, and no code of the program's that has an opinion on that."""
    return list(dict.items(namespace) if isinstance(namespace, dict) else namespace.items())


_NOT_VARIABLES = frozenset([ModuleType, type(lambda: None), type(len), type])
_PROXY: type = type((lambda: sys._getframe().f_locals)())
