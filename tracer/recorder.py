"""The trace function: it looks at a frame, says what changed, and hands that on. It decides nothing else.

Coverage tools cannot see into a trace function, so whatever can be tested apart lives elsewhere:
`values` (text), `scope` (whose code), `opcodes` (what a RETURN means).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import FrameType, ModuleType
from typing import Any

from cwm_trace.records import FrameFields, Limits, Outcome, SlotFields, SourceFile
from cwm_trace.tracer.opcodes import leaves_by_exception, suspends
from cwm_trace.tracer.values import ATOMS, CONTAINERS, Describe, Key, is_plain, safe_str, take_image

Emit = Callable[[FrameFields], object]
Resolve = Callable[[str], "SourceFile | None"]

_NOTHING = object()
_UNKNOWN = (_NOTHING, None)


class Recorder:
    """Records the current thread between `start` and `stop`.

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
        self.depth = 0
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
        self._file_count = 0
        self._activations = 0
        self._previous: Any = None

    def know_file(self, filename: str) -> None:
        """Number a source file that the sink already has."""
        self._files[filename] = self._file_count
        self._file_count += 1

    def start(self) -> None:
        """Install the trace function; the one there was is put back by `stop`."""
        if self.failure is not None:
            return
        self._previous = sys.gettrace()
        self.active = True
        sys.settrace(self.on_call)

    def stop(self) -> bool:
        """Put the previous trace function back; False if somebody had replaced ours in the meantime."""
        if not self.active:
            return True
        self.active = False
        ours = sys.gettrace() == self.on_call
        if ours:
            sys.settrace(self._previous)
        return ours

    def on_call(self, frame: FrameType, event: str, _arg: Any) -> Any:
        """The trace function of calls: chooses the activations that are recorded."""
        if event != "call" or not self.active:
            return None
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
        local = frame.f_trace
        activation = getattr(local, "__self__", None)
        if type(activation) is not Activation or activation.recorder is not self:
            if self.depth > self._max_depth:
                self.skipped += 1
                return None
            activation = Activation(self, self._activations, file, code.co_name == "<module>")
            local = activation.on_event
            self._activations += 1
        activation.enter()
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
        source = self._resolve(filename)
        number = None
        if source is not None:
            number = self._file_count
            self._file_count += 1
            self._add_file(source)
        self._files[filename] = number
        return number


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

    __slots__ = ("depth", "entered", "file", "is_module", "known", "number", "raised", "recorder")

    def __init__(self, recorder: Recorder, number: int, file: int, is_module: bool) -> None:
        self.recorder = recorder
        self.number = number
        self.file = file
        self.is_module = is_module
        self.depth = 0
        self.entered = False
        self.raised: type[BaseException] | None = None
        self.known: dict[str, tuple[Any, Key | None]] = {}
        """Of each variable the value or image that is held, and the key of its text."""

    def enter(self) -> None:
        """A call or a resume: the activation is now the top of the stack."""
        self.depth = self.recorder.depth
        self.recorder.depth += 1
        self.entered = True

    def on_event(self, frame: FrameType, event: str, arg: Any) -> None:
        """The trace function of one activation."""
        if not self.recorder.active:
            return
        if event == "line":
            self.raised = None
            self.on_state("line", frame)
        elif event == "exception":
            self.on_exception(frame, arg[1])
        elif event == "return":
            self.on_return(frame, arg)

    def on_state(self, event: Any, frame: FrameType) -> None:
        """CALL and LINE: the variables that changed since this activation was last looked at."""
        values: Mapping[str, Any] = visible(frame.f_locals) if self.is_module else frame.f_locals
        known, recorder = self.known, self.recorder
        changed: dict[str, SlotFields | None] = {}
        for name, value in values.items():
            held, key = known.get(name, _UNKNOWN)
            if held is value:
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
            known[name] = held, now
            if key != now:
                changed[name] = slot
                recorder.bytes += len(slot["text"])
        if len(known) > len(values):
            for name in [name for name in known if name not in values]:
                del known[name]
                changed[name] = None
        fields: FrameFields = {
            "event": event,
            "line": frame.f_lineno or 0,
            "activation": self.number,
            "depth": self.depth,
        }
        if self.file:
            fields["file"] = self.file
        if changed:
            fields["changed"] = changed
        recorder.record(fields)

    def on_exception(self, frame: FrameType, error: BaseException) -> None:
        """EXCEPTION; CPython 3.11 throws into a suspended generator without a call event before it."""
        if not self.entered:
            self.enter()
        self.raised = type(error)
        fields = self._fields("exception", frame)
        fields["value"] = self.recorder.describe(error)[0]
        fields["message"] = safe_str(error)
        self.recorder.record(fields)

    def on_return(self, frame: FrameType, value: Any) -> None:
        """RETURN, a yield included; without a value if an exception leaves the activation."""
        if not self.entered:
            self.enter()
        fields = self._fields("return", frame)
        unwinding = self.raised is not None and value is None and leaves_by_exception(frame)
        if not unwinding:
            fields["value"] = self.recorder.describe(value)[0]
        self.entered = False
        self.recorder.depth = self.depth
        self.recorder.record(fields)
        if self.number == 0 and (unwinding or not suspends(frame)):
            self.recorder.finish_entry(self.raised if unwinding else None)

    def _fields(self, event: Any, frame: FrameType) -> FrameFields:
        fields: FrameFields = {
            "event": event,
            "line": frame.f_lineno or 0,
            "activation": self.number,
            "depth": self.depth,
        }
        if self.file:
            fields["file"] = self.file
        return fields


class TimeLimitReached(BaseException):
    """Raised inside a program that runs longer than it may."""


def outcome_of(raised: type[BaseException] | None) -> Outcome:
    """How an execution ended that an exception of this type left; None: it returned."""
    if raised is None:
        return Outcome.RETURNED
    if issubclass(raised, TimeLimitReached):
        return Outcome.TIMED_OUT
    if issubclass(raised, SystemExit):
        return Outcome.EXITED
    return Outcome.KILLED if issubclass(raised, KeyboardInterrupt) else Outcome.RAISED


def visible(namespace: Mapping[str, Any]) -> dict[str, Any]:
    """The variables of a module: without dunders, modules, functions and classes."""
    return {
        name: value
        for name, value in list(namespace.items())
        if type(value) not in _NOT_VARIABLES
        and not isinstance(value, type)
        and not (name.startswith("__") and name.endswith("__"))
    }


_NOT_VARIABLES = frozenset([ModuleType, type(lambda: None), type(len), type])
