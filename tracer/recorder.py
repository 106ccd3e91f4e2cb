"""The trace function: it looks at a frame, says what changed, and hands that on. It decides nothing else.

Coverage tools cannot see into a trace function, so whatever can be tested apart lives elsewhere:
`values` (text), `scope` (whose code), `opcodes` (what a RETURN means).
"""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from inspect import CO_OPTIMIZED
from types import CodeType, FrameType, ModuleType
from typing import Any

from cwm_trace.records import FrameFields, Limits, Outcome, SlotFields, SourceFile
from cwm_trace.tracer.interpreter import CELL_ARGUMENTS_COME_LAST, READING_LOCALS_UNBINDS
from cwm_trace.tracer.opcodes import leaves_by_exception, suspends
from cwm_trace.tracer.values import (
    ATOMS,
    CONTAINERS,
    Describe,
    Key,
    TimeLimitReached,
    is_plain,
    safe_str,
    take_image,
)

Emit = Callable[[FrameFields], object]
Resolve = Callable[[str], "SourceFile | None"]

_NOTHING = object()
_UNKNOWN = (_NOTHING, None, "")


class Stack:
    """The recorded activations of one thread."""

    __slots__ = ("depth", "thread")

    def __init__(self, thread: int) -> None:
        self.thread = thread
        self.depth = 0


class _Threads(threading.local):
    """The stack of the running thread; threads are numbered in the order of their first recorded call."""

    def __init__(self, numbers: Iterator[int]) -> None:
        self.stack = Stack(next(numbers))


class Recorder:
    """Records the current thread, and threads that it starts, between `start` and `stop`.

    Args:
        resolve: the source file of a code object's file name; None if its code is not recorded.
        describe: a value's text, type and size.
        emit: takes each frame as it happens.
        add_file: takes each source file before its first frame; files are numbered in this order.
        limits: `max_frames`, `max_bytes` and `max_depth` are kept here.
        is_entry: if given, recording begins with the first call of a code object for which it is true, and
            ends when that returns.
    """

    def __init__(
        self,
        *,
        resolve: Resolve,
        describe: Describe,
        emit: Emit,
        add_file: Callable[[SourceFile], object],
        limits: Limits = Limits(),
        is_entry: Callable[[Any], bool] | None = None,
    ) -> None:
        self.describe = describe
        self.outcome: Outcome | None = None
        self.failure: OSError | None = None
        self.frames = 0
        self.bytes = 0
        self.skipped = 0
        self.missed = 0
        self.replaced = False
        self.displaced = ""
        self.forked = False
        self.entered = is_entry is None
        self.active = False
        self._resolve = resolve
        self._emit = emit
        self._add_file = add_file
        self._max_frames = sys.maxsize if limits.max_frames is None else limits.max_frames
        self._max_bytes = sys.maxsize if limits.max_bytes is None else limits.max_bytes
        self._max_depth = sys.maxsize if limits.max_depth is None else limits.max_depth
        self._is_entry = is_entry
        self._files: dict[str, int | None] = {}
        self._file_numbers = itertools.count()
        self._activations = itertools.count()
        self._threads = _Threads(itertools.count())
        self._lock = threading.Lock()
        self._owner = 0
        self._previous: Any = None
        self._previous_of_threads: Any = None

    def know_file(self, filename: str) -> None:
        """Number a source file that the sink already has."""
        self._files[filename] = next(self._file_numbers)

    def start(self) -> None:
        """Install the trace function; the one there was is put back by `stop`."""
        if self.failure is not None:
            return
        self._owner = threading.get_ident()
        self._previous = sys.gettrace()
        if self._previous is not None:
            kind = type(self._previous)
            self.displaced = f"another trace function ({kind.__module__}.{kind.__qualname__})"
        self._previous_of_threads = threading._trace_hook  # type: ignore[attr-defined]  # gettrace: 3.10
        self.active = True
        threading.settrace(self.on_call)
        sys.settrace(self.on_call)

    def stop(self) -> None:
        """End the recording; in the thread that started it, put the previous trace function back."""
        self.active = False
        if threading.get_ident() != self._owner:  # never started, stopped before, or another thread
            if sys.gettrace() == self.on_call:
                sys.settrace(None)
            return
        self._owner = 0
        threading.settrace(self._previous_of_threads)
        if sys.gettrace() == self.on_call:
            sys.settrace(self._previous)
        else:  # somebody else's by now: a debugger, a coverage tool, or nobody's after a RecursionError
            self.replaced = True

    def leave_to_parent(self) -> None:
        """In a forked child: the recording belongs to the parent alone."""
        self.forked = True
        self.active = False
        if sys.gettrace() == self.on_call:
            sys.settrace(None)

    def on_call(self, frame: FrameType, event: str, _arg: Any) -> Any:
        """The trace function of calls; nothing of its own gets out into the program."""
        if event != "call" or not self.active:
            return None
        try:
            return self._choose(frame)
        except BaseException as error:
            self.miss(error)
            return None

    def _choose(self, frame: FrameType) -> Any:
        """The trace function of an activation that is recorded; None for any other."""
        code = frame.f_code
        file = self._files.get(code.co_filename, -1)
        if file is None:
            return None
        if not self.entered:
            if not (self._is_entry and self._is_entry(code)):
                return None
            self.entered = True
        if file == -1:
            file = self._find(code.co_filename)
            if file is None:
                return None
        stack = self._threads.stack
        local = frame.f_trace
        activation = getattr(local, "__self__", None)
        if type(activation) is not Activation or activation.recorder is not self:
            if stack.depth > self._max_depth:
                self.skipped += 1
                return None
            activation = Activation(self, next(self._activations), file, code)
            if READING_LOCALS_UNBINDS and not activation.is_function:
                activation.namespace = namespace_of(frame)  # once, before a comprehension runs
            local = activation.on_event
        activation.enter(stack)
        activation.on_state("call", frame)
        return local

    def record(self, fields: FrameFields) -> None:
        """Hand a frame on, and stop recording at a limit."""
        try:
            self._emit(fields)
        except OSError as error:  # a full disk, a closed pipe: the program must not notice
            self.fail(error)
            return
        self.frames += 1
        if self.frames >= self._max_frames:
            self._end(Outcome.FRAME_LIMIT)
        elif self.bytes >= self._max_bytes:
            self._end(Outcome.BYTE_LIMIT)

    def current_stack(self) -> Stack:
        """The stack of the running thread."""
        return self._threads.stack

    def miss(self, error: BaseException) -> None:
        """An event could not be recorded; interrupts are the program's and go on."""
        if isinstance(error, KeyboardInterrupt | TimeLimitReached):
            raise error
        self.missed += 1

    def fail(self, error: OSError) -> None:
        """Nothing more can be recorded."""
        self.failure = error
        self._end(Outcome.INCOMPLETE)

    def finish_entry(self, raised: type[BaseException] | None) -> None:
        """The entry has returned, or `raised` has left it: nothing after it is recorded."""
        if self._is_entry is not None:
            self._end(outcome_of(raised))

    def _end(self, outcome: Outcome) -> None:
        if self.outcome is None:
            self.outcome = outcome
        self.stop()

    def _find(self, filename: str) -> int | None:
        with self._lock:
            if filename not in self._files:
                source = self._resolve(filename)
                self._files[filename] = None if source is None else next(self._file_numbers)
                if source is not None:
                    self._add_file(source)
        return self._files[filename]


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
        values = namespace_of(frame) if self.namespace is None else self.namespace
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


def outcome_of(raised: type[BaseException] | None) -> Outcome:
    """How an execution ended that an exception of this type left; None: it returned."""
    if raised is None:
        return Outcome.RETURNED
    if issubclass(raised, TimeLimitReached):
        return Outcome.TIMED_OUT
    if issubclass(raised, SystemExit):
        return Outcome.EXITED
    return Outcome.KILLED if issubclass(raised, KeyboardInterrupt) else Outcome.RAISED


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
