"""What a program may do to its process, and how the process ends."""

from __future__ import annotations

import _thread
import atexit
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from operator import methodcaller
from typing import Any, Protocol

from cwm_trace.tracer.extension import IS_BUILT, Call, stand_in
from cwm_trace.tracer.interrupts import TRACE_FUNCTIONS
from cwm_trace.tracer.recorder import Recorder
from cwm_trace.tracer.sending import leave_senders_alone, make_senders_wait
from cwm_trace.tracer.signals import deliver_signals
from cwm_trace.tracer.values import TimeLimitReached

_NO_KEYWORDS: Mapping[str, Any] = {}


class Buffer(Protocol):
    """What a sink does when its process is about to end or was forked."""

    def flush(self) -> None:
        """The process ends without another word."""

    def abandon(self) -> None:
        """This is a forked child: whatever is still written goes nowhere."""


def report_error(error: BaseException, own: str) -> BaseException:
    """Say what Python would of an uncaught exception, without the frames of our folder `own` at its top.

    Returns:
        What ends the program: that, or the SystemExit that its `sys.excepthook` has raised.
    """
    if isinstance(error, TimeLimitReached):
        return error
    if isinstance(error, SystemExit):
        _say_exit(error)
        return error
    trace = error.__traceback__
    while trace is not None and os.path.dirname(trace.tb_frame.f_code.co_filename) == own:
        trace = trace.tb_next
    error.__traceback__ = trace  # the hook looks there, not at its argument
    sys.last_type, sys.last_value, sys.last_traceback = type(error), error, trace
    if sys.version_info >= (3, 12):
        sys.last_exc = error
    hook = getattr(sys, "excepthook", None)
    if hook is None:
        _write_error("sys.excepthook is missing\n")
        sys.__excepthook__(type(error), error, trace)
        return error
    try:
        hook(type(error), error, trace)
    except SystemExit as exit_asked:
        _say_exit(exit_asked)
        return exit_asked
    except BaseException as second:
        inner = second.__traceback__
        second.__traceback__ = inner and inner.tb_next
        _write_error("Error in sys.excepthook:\n")
        sys.__excepthook__(type(second), second, second.__traceback__)
        _write_error("\nOriginal exception was:\n")
        sys.__excepthook__(type(error), error, trace)
    return error


def _say_exit(error: SystemExit) -> None:
    """What `sys.exit("text")` prints."""
    if error.code is not None and not isinstance(error.code, int):
        _write_error(f"{error.code}\n")


def _write_error(text: str) -> None:
    if sys.stderr is None:
        os.write(2, text.encode("utf-8", "backslashreplace"))
    else:
        sys.stderr.write(text)


def finish() -> None:
    """What the interpreter does after the main module: end and await threads, then run exit handlers.

    The interpreter does both again, and finds nothing left to do.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()


@contextmanager
def guard_process(recorder: Recorder, sink: Buffer) -> Iterator[None]:
    """What a program may do to its process that would lose frames or damage the file.

    A forked child inherits the recording and must not go on with it; `os._exit` runs no handlers, so that
    buffers are emptied before it; a thread is recorded if the one that starts it is.
    """
    _recordings.append((recorder, sink))
    try:
        with stand_ins():
            yield
    finally:
        _recordings.remove((recorder, sink))


@contextmanager
def stand_ins() -> Iterator[None]:
    """Put in front of functions of the interpreter what recordings need there.

    Every recording does; around many short ones, this does it once for all of them.
    """
    _held.append(None)
    if len(_held) == 1:  # recordings may overlap in any order: what stands in for these is there for all
        for (module, name), (_, instead) in _STAND_INS.items():
            setattr(module, name, instead)
        make_senders_wait()
    try:
        with deliver_signals():
            yield
    finally:
        _held.pop()
        if not _held:
            for (module, name), (real, _) in _STAND_INS.items():
                setattr(module, name, real)
            leave_senders_alone()


_leave, _settrace = os._exit, sys.settrace
_nothing: Callable[[], None] = [].clear
"""A function of C that does nothing."""


def _flush_and_leave(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Call:
    """For `os._exit`, which runs no handlers."""
    for _, sink in _recordings:
        with suppress(OSError):  # a full disk: the process ends all the same
            sink.flush()
    return _leave, args, kwargs


def _set_trace(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Call:
    """For `sys.settrace`.

    Beside the compiled recorder `sys.gettrace` gives None, so who sets None there changes nothing: doctest
    does after every test.
    """
    is_none = len(args) == 1 and args[0] is None and not kwargs
    if is_none and any(recorder.kind == "c" and recorder.is_installed() for recorder, _ in _recordings):
        return _nothing, (), {}
    return _settrace, args, kwargs


def _start_recorded(start: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Call:
    """For `start`, which starts a thread: that is recorded if the starting one is."""
    recorder = next((recorder for recorder, _ in _recordings if recorder.is_installed()), None)
    function, *its = args or (None,)
    is_joinable = start.__name__ == "start_joinable_thread"  # of a function without arguments
    has_arguments = [type(one) for one in its] in ([tuple], [tuple, dict])
    if recorder is None or not callable(function) or (bool(its) if is_joinable else not has_arguments):
        return start, args, kwargs  # which says what is wrong with them
    begin = _Beginning(recorder, function, *its)
    return start, (begin,) if is_joinable else (begin, ()), kwargs


class _Beginning(partial[Any]):
    """What runs in a thread, with a trace function set; called by C, it adds no frame to the stack."""

    function: Any

    def __new__(
        cls, recorder: Recorder, function: Any, args: tuple[Any, ...] = (), kwargs: Any = _NO_KEYWORDS
    ) -> _Beginning:
        steps = [
            partial(_settrace, recorder.on_call),
            partial(function, *args, **kwargs),
            partial(_leave_recorded, recorder),
        ]
        self = super().__new__(cls, deque, map(methodcaller("__call__"), steps), 0)
        self.function = function
        return self

    def __repr__(self) -> str:
        return repr(self.function)  # the interpreter says it of an exception that ends the thread


def _leave_thread(args: tuple[Any, ...], _: Mapping[str, Any]) -> Call:
    """For the last step of a thread that was begun recorded."""
    args[0].leave_thread()
    return _nothing, (), {}


_leave_recorded = stand_in(_thread.get_ident, _leave_thread)


def _stand_ins() -> Iterator[tuple[tuple[Any, str], tuple[Any, Any]]]:
    """Of a module and a name: the function that is there, and what stands in for it."""
    leave = stand_in(_leave, _flush_and_leave)
    for module in (os, sys.modules[_leave.__module__]):
        yield (module, "_exit"), (_leave, leave)
    yield (sys, "settrace"), (_settrace, stand_in(_settrace, _set_trace) if IS_BUILT else _settrace)
    for name in "start_new_thread", "start_new", "start_joinable_thread":
        real = getattr(_thread, name, None)
        if real is not None:
            both = real, stand_in(real, partial(_start_recorded, real))
            yield (_thread, name), both
            if hasattr(threading, f"_{name}"):
                yield (threading, f"_{name}"), both


_STAND_INS = dict(_stand_ins())
"""`threading` has the functions of `_thread` under names of its own, `os` that of `posix`."""

TRACE_FUNCTIONS.update(
    function.__code__
    for function in (_flush_and_leave, _set_trace, _start_recorded, _Beginning.__new__, _leave_thread)
)


def _leave_to_parent() -> None:
    for recorder, sink in _recordings:
        recorder.leave_to_parent()
        sink.abandon()


_recordings: list[tuple[Recorder, Buffer]] = []
_held: list[None] = []
"""One for each `stand_ins` that is open."""
os.register_at_fork(after_in_child=_leave_to_parent)  # once: it cannot be taken back


def exit_code(error: BaseException | None) -> int:
    """What Python would give its parent."""
    if error is None:
        return 0
    if isinstance(error, SystemExit):
        if error.code is None:
            return 0
        return error.code if isinstance(error.code, int) else 1
    if isinstance(error, KeyboardInterrupt):
        return 130
    return 124 if isinstance(error, TimeLimitReached) else 1
