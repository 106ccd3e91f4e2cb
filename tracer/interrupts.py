"""What comes into a trace function from outside: signals, and exceptions that another thread sends.

Both may arrive at any instruction of the main thread, or of any thread, and so in the middle of a trace
function. They are the program's: they are put off until the trace function has been left, which lets the
program meet them at its own next instruction, with its own frames around it and the trace function still
in place. Nothing here is called per event.
"""

from __future__ import annotations

import codecs
import dis
import sys
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from functools import partial
from operator import methodcaller
from types import CodeType, FrameType, TracebackType
from typing import Any

TRACE_FUNCTIONS: set[CodeType] = set()
"""The code of our trace functions, and of what else the interpreter calls of us while the program runs."""

PROGRAM_CALLS: set[CodeType] = set()
"""The code of ours that calls the program's: its `__repr__` and `__str__`."""

_RAISES = frozenset(
    dis.opmap[name]
    for name in ("RAISE_VARARGS", "RERAISE", "LOAD_ASSERTION_ERROR", "CLEANUP_THROW")
    if name in dis.opmap
)


class Interrupted(BaseException):
    """Raised through a `__repr__` that the tracer called, after a signal handler had raised there."""


def trace_function_of(frame: FrameType | None) -> FrameType | None:
    """The frame of our trace function that a frame is part of; None if it is the program's."""
    while frame is not None:
        if frame.f_code in TRACE_FUNCTIONS:
            return frame
        frame = frame.f_back
    return None


def is_program_call(frame: FrameType | None) -> bool:
    """Whether code of the program, called by a trace function, is running in `frame`."""
    if frame is None or frame.f_code in PROGRAM_CALLS:
        return False  # at most a `repr` written in C, which comes to its end
    while frame is not None and frame.f_code not in TRACE_FUNCTIONS:
        if frame.f_code in PROGRAM_CALLS:
            return True
        frame = frame.f_back
    return False


def when_left(frame: FrameType, steps: Iterable[Callable[[], object]]) -> None:
    """Call functions of C the moment that a trace function has been left, before the program goes on.

    A trace function is not traced itself, so its frame's `f_trace` is free to hold something whose end is
    the frame's end. No Python code runs there: it would be met by the very signal that is put off.
    """
    held: list[Callable[[], object]] | None = getattr(frame.f_trace, "steps", None)
    if held is None:
        frame.f_trace = _at_its_end(steps)
    else:
        held[-1:-1] = steps


def _at_its_end(steps: Iterable[Callable[[], object]]) -> Any:
    """An object whose end calls functions of C."""
    held = list(steps)
    held.append(held.clear)
    calls: Callable[[], object] = partial(deque, map(methodcaller("__call__"), held), 0)
    members = {
        "__del__": staticmethod(calls),
        "__call__": _ignore,
        "steps": held,
        "place": None,
        "since": 0.0,
    }
    return type("End", (), members)()


def _ignore(*_: object) -> None:
    """Take the events of a frame that is traced after all: of what is called, but is no trace function."""


def raiser(error: BaseException) -> Callable[..., Any]:
    """A function of C that raises `error` whatever it is given: one of Python would be in its traceback."""
    raising = partial(codecs.strict_errors, error)  # type: ignore[arg-type]  # takes any exception
    return partial(max, key=defaultdict(raising).__getitem__)


def let_through(frame: FrameType, trace: Callable[..., Any], local: Callable[..., Any]) -> None:
    """Make an exception that a trace function is about to let out of itself the end of neither.

    CPython removes a trace function that raises, and the frame's own after it; the end of what is put there
    installs both again.

    Args:
        frame: of the program, where the exception will be raised.
        trace: the trace function of the thread.
        local: that of the frame.
    """
    frame.f_trace = _at_its_end([partial(sys.settrace, trace), partial(setattr, frame, "f_trace", local)])


def forget_trace_functions(trace: TracebackType | None) -> None:
    """Take our frames out of a traceback that starts in the program's frame.

    They come behind that frame, which up to 3.11 is there twice, or behind that of a call.
    """
    for _ in range(3):
        inner = trace and trace.tb_next
        if trace is None or inner is None:
            return
        behind = inner.tb_next if inner.tb_frame is trace.tb_frame else inner
        if behind is not None and behind.tb_frame.f_code in TRACE_FUNCTIONS:
            trace.tb_next = None
        trace = trace.tb_next


def is_foreign(error: BaseException) -> bool:
    """Whether an exception met in a trace function is the program's.

    `PyThreadState_SetAsyncExc` sends one to another thread, as a type without arguments. A handler that was
    installed behind our back may raise any.
    """
    return was_sent(error) or not is_own(error)


def is_cut_short(error: BaseException, emit: CodeType) -> bool:
    """Whether an exception from outside came before a frame was handed on by `emit`.

    It comes where a thread waited: at the start of a function, or behind a call such as that of `write`.
    """
    if came_at_a_start(error):
        return True
    place = error.__traceback__
    while place is not None and place.tb_frame.f_code is not emit:
        place = place.tb_next
    return place is None


def came_at_a_start(error: BaseException) -> bool:
    """Whether an exception from outside came before the function that it came in had done anything."""
    place = _innermost(error.__traceback__)
    return place is None or place.tb_lineno == place.tb_frame.f_code.co_firstlineno


def is_own(error: BaseException) -> bool:
    """Whether an exception met in a trace function was raised by its own code, or by what that uses."""
    place = _innermost(error.__traceback__)
    if place is None or isinstance(error, RecursionError | MemoryError | Interrupted):
        return True
    package = str(place.tb_frame.f_globals.get("__name__")).partition(".")[0]
    return package in _OWN_PACKAGES or package in sys.stdlib_module_names


_OWN_PACKAGES = frozenset(["cwm_trace", "pydantic", "pydantic_core", "jsonlines"])


def was_sent(error: BaseException, *, into_program: bool = False) -> bool:
    """Whether another thread, or a handler of C, sent an exception that was met in a trace function.

    Args:
        error: the exception.
        into_program: it came out of code of the program that the compiled recorder called.
    """
    if error.args or isinstance(error, RecursionError | MemoryError | StopIteration | Interrupted):
        return False
    place = _innermost(error.__traceback__)
    if place is None:
        return False
    if not into_program and not is_program_call(place.tb_frame):
        return True  # no code of ours raises without a word
    code = place.tb_frame.f_code.co_code
    raised = place.tb_lasti >= 0 and code[place.tb_lasti] in _RAISES
    return not raised and type(error).__module__ != "builtins"  # C code may raise those without a word


def _innermost(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace
