"""What a program may do to its process, and how the process ends."""

from __future__ import annotations

import _thread
import atexit
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial, update_wrapper
from operator import methodcaller
from typing import Any, NoReturn, Protocol

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
        os._exit = _flush_and_leave
        sys.settrace = _set_trace
        for (module, name), stand_in in _STARTERS.items():
            setattr(module, name, stand_in)
        make_senders_wait()
    try:
        with deliver_signals():
            yield
    finally:
        _held.pop()
        if not _held:
            os._exit = _leave
            sys.settrace = _settrace
            for (module, name), stand_in in _STARTERS.items():
                setattr(module, name, stand_in.start)
            leave_senders_alone()


_leave = os._exit


def _flush_and_leave(status: int) -> NoReturn:
    """Stands in for `os._exit`."""
    for _, sink in _recordings:
        sink.flush()
    _leave(status)


_settrace = sys.settrace


def _set_trace(function: Any, /) -> None:
    """Stands in for `sys.settrace`.

    Beside the compiled recorder `sys.gettrace` gives None, so who sets None there changes nothing: doctest
    does after every test.
    """
    if function is None:
        if any(recorder.kind == "c" and recorder.is_installed() for recorder, _ in _recordings):
            return
    elif not isinstance(getattr(function, "__self__", None), Recorder):
        sys.settrace = _settrace  # the program's own trace function would see the frame of this one
    _settrace(function)


class _Starter:
    """Stands in for a function of C that starts a thread, and records that if the starting one is recorded.

    Args:
        start: that function.
    """

    def __init__(self, start: Callable[..., Any]) -> None:
        self.start = start
        update_wrapper(self, start)

    def __call__(self, function: Any, args: Any = (), kwargs: Any = _NO_KEYWORDS, /, **options: Any) -> Any:
        recorder = next((recorder for recorder, _ in _recordings if recorder.is_installed()), None)
        if recorder is None or not callable(function) or type(args) is not tuple:
            bound = (args, kwargs) if kwargs else (args,) if args or not options else ()
            return self.start(function, *bound, **options)
        begin = _Beginning(recorder, function, args, kwargs)
        return self.start(begin, **options) if options else self.start(begin, ())


class _Beginning(partial[Any]):
    """What runs in a thread, with a trace function set; called by C, it adds no frame to the stack."""

    function: Any

    def __new__(cls, recorder: Recorder, function: Any, args: tuple[Any, ...], kwargs: Any) -> _Beginning:
        steps = [
            partial(sys.settrace, recorder.on_call),
            partial(function, *args, **kwargs),
            recorder.leave_thread,
        ]
        self = super().__new__(cls, deque, map(methodcaller("__call__"), steps), 0)
        self.function = function
        return self

    def __repr__(self) -> str:
        return repr(self.function)  # the interpreter says it of an exception that ends the thread


_STARTERS = {
    (module, name): _Starter(getattr(module, name))
    for module, names in (
        (_thread, ("start_new_thread", "start_new", "start_joinable_thread")),
        (threading, ("_start_new_thread", "_start_joinable_thread")),
    )
    for name in names
    if hasattr(module, name)
}
"""Of modules and names: `threading` has the functions of `_thread` under names of its own."""

TRACE_FUNCTIONS.update(
    [_set_trace.__code__, _Starter.__call__.__code__, _Beginning.__new__.__code__, _flush_and_leave.__code__]
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
