"""What a program may do to its process, and how the process ends."""

from __future__ import annotations

import _thread
import atexit
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn, Protocol

from cwm_trace.tracer.recorder import Recorder
from cwm_trace.tracer.signals import deliver_signals
from cwm_trace.tracer.values import TimeLimitReached

_NO_KEYWORDS: Mapping[str, Any] = {}


class Buffer(Protocol):
    """What a sink does when its process is about to end or was forked."""

    def flush(self) -> None:
        """The process ends without another word."""

    def abandon(self) -> None:
        """This is a forked child: whatever is still written goes nowhere."""


def report_error(error: BaseException, own: str) -> None:
    """Say what Python would of an uncaught exception, without the frames of our folder `own` at its top."""
    if isinstance(error, TimeLimitReached):
        return
    if isinstance(error, SystemExit):
        if error.code is not None and not isinstance(error.code, int):
            print(error.code, file=sys.stderr)
        return
    trace = error.__traceback__
    while trace is not None and os.path.dirname(trace.tb_frame.f_code.co_filename) == own:
        trace = trace.tb_next
    error.__traceback__ = trace  # the hook looks there, not at its argument
    sys.excepthook(type(error), error, trace)


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
    buffers are emptied before it; threads that `_thread` starts do not know `threading.settrace`.
    """
    leave, start_thread = os._exit, _thread.start_new_thread

    def flush_and_leave(status: int) -> NoReturn:
        sink.flush()
        leave(status)

    def start_recorded(
        function: Callable[..., object], args: tuple[Any, ...], kwargs: Mapping[str, Any] = _NO_KEYWORDS
    ) -> int:
        def run() -> None:
            sys.settrace(recorder.on_call)
            function(*args, **kwargs)

        return start_thread(run, ())

    _recordings.append((recorder, sink))
    os._exit, _thread.start_new_thread = flush_and_leave, start_recorded
    try:
        with deliver_signals():
            yield
    finally:
        os._exit, _thread.start_new_thread = leave, start_thread
        _recordings.remove((recorder, sink))


def _leave_to_parent() -> None:
    for recorder, sink in _recordings:
        recorder.leave_to_parent()
        sink.abandon()


_recordings: list[tuple[Recorder, Buffer]] = []
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
