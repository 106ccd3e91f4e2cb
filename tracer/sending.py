"""Exceptions that one thread sends to another, by `PyThreadState_SetAsyncExc`.

Only C code can, which from Python means `ctypes.pythonapi`. Where such an exception arrives is where it is
raised, and there are two places of a trace function at which it must not be: on its first instruction, where
nothing of ours can catch it, and in the line event of a jump within one line.
"""

from __future__ import annotations

import _thread
import dis
import sys
from functools import partial
from types import FrameType
from typing import Any

from cwm_trace.tracer.interpreter import RAISING_AT_A_JUMP_SKIPS_HANDLERS, SENT_EXCEPTIONS_COME_LATE
from cwm_trace.tracer.interrupts import TRACE_FUNCTIONS, was_sent, when_left
from cwm_trace.tracer.sources import Sources

try:
    import ctypes
except ImportError:  # an interpreter that was built without: then nobody can send one
    _HAS_CTYPES = False
else:
    _HAS_CTYPES = True

_NAME = "PyThreadState_SetAsyncExc"
_TRIES = 200
_LOOKS = 20  # at a thread that does not move: it waits in C code
_PAUSE = 0.0005  # seconds
_WITHIN = (None,) * 12  # frames of a trace function

_UNDIVIDED = Sources.find.__code__
"""What must not be left halfway: in 3.10 an exception may come at any instruction."""


def make_senders_wait() -> None:
    """Let who sends an exception wait while the other thread would meet it at the start of a trace function.

    That is where it stops more often than anywhere else, because the interpreter looks there whether another
    thread is to run. Where it stops is where it is raised, or in newer versions where it next would stop.
    """
    if _HAS_CTYPES:
        vars(ctypes.pythonapi)[_NAME] = _patient_function()


def leave_senders_alone() -> None:
    """Take that back."""
    if _HAS_CTYPES:
        vars(ctypes.pythonapi).pop(_NAME, None)  # which is found again when it is asked for


def _patient_function() -> Any:
    kind: Any = ctypes.pythonapi._FuncPtr

    class PatientFunction(kind):  # type: ignore[misc]  # a class that only the running interpreter knows
        _flags_, _restype_ = kind._flags_, kind._restype_

        def __call__(self, *arguments: Any) -> Any:
            send, number = super().__call__, _number(arguments)
            tries, seen, blocked = _TRIES if _is_traced(number) else 0, None, 0
            for _try, frames in zip(range(tries), iter(sys._current_frames, None), strict=False):
                # no call from here to `send`: the interpreter might let the other thread run behind it
                frame = frames[number] if number in frames else None  # noqa: SIM401
                if frame is None:
                    break
                is_at_the_start = frame.f_lasti <= 0 and frame.f_code in TRACE_FUNCTIONS
                place: FrameType | None = frame
                for _step in _WITHIN:
                    if place is not None and place.f_code is not _UNDIVIDED:
                        place = place.f_back
                is_undivided = place is not None and place.f_code is _UNDIVIDED
                if is_at_the_start is SENT_EXCEPTIONS_COME_LATE and not is_undivided:
                    break
                if blocked >= _LOOKS and not (is_at_the_start or is_undivided):
                    break
                blocked, seen = blocked + 1 if seen == frame.f_lasti else 0, frame.f_lasti
                _pause(True, _PAUSE)
            return send(*arguments)

    TRACE_FUNCTIONS.add(PatientFunction.__call__.__code__)
    return PatientFunction((_NAME, ctypes.pythonapi))


def _number(arguments: tuple[Any, ...]) -> int:
    """Of the thread that the program names; 0 if it names none."""
    first = arguments[0] if arguments else 0
    number = getattr(first, "value", first)
    return number if type(number) is int else 0


def _is_traced(thread: int) -> bool:
    """Whether trace functions of ours that are written in Python are called in a thread."""
    frame = sys._current_frames().get(thread)
    while frame is not None:
        if {frame.f_code, getattr(frame.f_trace, "__code__", None)} & TRACE_FUNCTIONS:
            return True
        frame = frame.f_back
    return False


_never = _thread.allocate_lock()
_never.acquire()
_pause = _never.acquire  # `time.sleep` may be the program's own


def send_again(callback: FrameType, frame: FrameType, error: BaseException) -> bool:
    """Send an exception once more, when the trace function that has met it has been left.

    For the line event of a jump within one line: if it was raised there, no handler of the program's frame
    would be asked. Gives whether that is done.

    Args:
        callback: the frame of the trace function.
        frame: of the program, at a line event.
        error: the exception, as the trace function met it.
    """
    if not RAISING_AT_A_JUMP_SKIPS_HANDLERS or not was_sent(error) or not _repeats_its_line(frame):
        return False
    if not _HAS_CTYPES:
        return False
    send: Any = ctypes.pythonapi._FuncPtr((_NAME, ctypes.pythonapi))
    when_left(callback, [partial(send, ctypes.c_ulong(_thread.get_ident()), ctypes.py_object(type(error)))])
    return True


def _repeats_its_line(frame: FrameType) -> bool:
    """Whether the line that a frame is at has a jump back to itself."""
    lines = {at: line for start, end, line in frame.f_code.co_lines() for at in range(start, end, 2)}
    return any(
        step.opname == "JUMP_BACKWARD" and lines.get(step.offset) == lines.get(step.argval) == frame.f_lineno
        for step in dis.get_instructions(frame.f_code)
    )
