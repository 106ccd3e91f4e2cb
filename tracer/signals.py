"""Signals of a recorded program: its handlers are called as they would be without a tracer.

A handler is called wherever the main thread happens to be, which is most often in a trace function. What is
installed for the program is therefore a `Delivery`, which puts such a signal off until the trace function
has been left. `signal.signal` and `signal.getsignal` give and take the program's own handlers as ever.
"""

from __future__ import annotations

import _thread
import errno
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from operator import is_, itemgetter
from types import FrameType
from typing import Any

from cwm_trace.errors import CwmTraceError
from cwm_trace.tracer.extension import IS_BUILT, Call, frame_looked_at, stand_in, when_recorded
from cwm_trace.tracer.interrupts import (
    TRACE_FUNCTIONS,
    Interrupted,
    is_program_call,
    raiser,
    trace_function_of,
    when_left,
)
from cwm_trace.tracer.values import TimeLimitReached

_bare: Any = vars(signal)["_signal"]
"""The module below `signal`, which gives and takes handlers as they are."""

_PATIENCE = 1.0
"""Seconds that a trace function may put a signal off, until it is taken to be stuck (a pipe nobody reads)."""

_OUR_SIGNAL = int(getattr(signal, "SIGRTMAX", signal.SIGUSR2))
"""Carries the time limit; the program's alarms stay its own."""


Until = Callable[[list[Callable[[], object]]], None]
"""Calls functions of C when the trace function has been left."""


_first = itemgetter(0)


def _choose_handler(args: tuple[Any, ...], _: Mapping[str, Any]) -> Call:
    """For `Delivery.__call__`: who is to be called."""
    delivery: Delivery = args[0]
    frame = sys._getframe().f_back
    if not IS_BUILT and frame is not None:
        frame = frame.f_back  # a stand-in that is of Python has a frame of its own
    return _first, ((_handler_at(delivery, frame),),), {}


def _handler_at(delivery: Delivery, frame: FrameType | None) -> Callable[..., object]:
    callback = trace_function_of(frame)
    if frame is None or callback is None:
        looked_at = frame_looked_at()
        if looked_at is not None:
            return partial(delivery.call_inside, when_recorded, looked_at)
        return raiser(delivery.errors.pop()) if delivery.errors else delivery.handler
    if is_program_call(frame):
        return partial(delivery.call_inside, partial(when_left, callback), callback.f_back)
    if _is_stuck(callback, frame):
        return raiser(OSError(errno.ETIMEDOUT, "nobody takes the recording"))
    return partial(_put_off, partial(_when_left_from, callback, frame))


class Delivery:
    """The handler of a signal as the interpreter has it, in front of the program's.

    Calling it looks its `__call__` up, a property: `_choose_handler` decides, ends, and what it decided on
    is called by the interpreter. So the handler has no frame of ours around it, nor in its traceback.
    """

    __slots__ = ("errors", "handler")

    def __init__(self, handler: Callable[..., object]) -> None:
        self.handler = handler
        self.errors: list[BaseException] = []
        """What the handler raised in a `__repr__`, to be raised in the program."""

    __call__: Any = property(partial(stand_in(len, _choose_handler)))

    def call_inside(self, until: Until, seen: FrameType | None, number: int, _: FrameType | None) -> None:
        """In a `__repr__`, which may wait for what only a signal ends: call the handler at once."""
        try:
            self.handler(number, seen)
        except BaseException as error:
            if until is when_recorded:  # no frame of ours has to end for that
                error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next
            else:
                _forget_frames(error)
            self.errors.append(error)
            _put_off(until, number, None)
            raise Interrupted from None


def _when_left_from(callback: FrameType, frame: FrameType, steps: list[Callable[[], object]]) -> None:
    """`when_left`, and remember where in the trace function it was asked for, and since when."""
    when_left(callback, steps)
    place, waits = (id(frame), frame.f_lasti), callback.f_trace
    if waits.place != place:  # type: ignore[union-attr]  # see `when_left`
        waits.place, waits.since = place, time.monotonic()  # type: ignore[union-attr]


def _is_stuck(callback: FrameType, frame: FrameType) -> bool:
    """Whether a trace function has put a signal off before, a second ago, and has not moved since."""
    waits = callback.f_trace
    place = getattr(waits, "place", None)
    if waits is None or place != (id(frame), frame.f_lasti):
        return False
    return time.monotonic() - waits.since > _PATIENCE  # type: ignore[attr-defined, no-any-return]


def _forget_frames(error: BaseException | None) -> None:
    """Drop the tracebacks of an error: they would keep the trace function's frame beyond its end."""
    while error is not None and error.__traceback__ is not None:
        error.__traceback__ = None
        error = error.__context__


def _put_off(until: Until, number: int, _: FrameType | None) -> None:
    meet: Callable[[], object] = partial(_thread.interrupt_main, number)  # type: ignore[arg-type]
    steps = [meet]
    descriptor = signal.set_wakeup_fd(-1)
    if descriptor != -1:  # has been told of this signal
        signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)
        again = partial(signal.set_wakeup_fd, descriptor, warn_on_full_buffer=False)
        steps = [partial(signal.set_wakeup_fd, -1), *steps, again]
    until(steps)


@contextmanager
def deliver_signals() -> Iterator[None]:
    """Put a `Delivery` in front of every handler, those that the program installs included.

    In another thread than the main one, which alone gets signals, this does nothing.
    """
    if _delivering or threading.current_thread() is not threading.main_thread():
        yield
        return
    _delivering.append(True)
    names: dict[str, Any] = vars(signal)
    names["_enum_to_int"], names["_int_to_enum"] = _wrapped_number, _unwrapped_name
    _replace(_wrap)
    try:
        yield
    finally:
        names["_enum_to_int"], names["_int_to_enum"] = _to_number, _to_name
        _replace(_unwrap)
        _delivering.clear()


_to_number, _to_name = vars(signal)["_enum_to_int"], vars(signal)["_int_to_enum"]


def _wrap_first(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Call:
    """For what `signal` takes handlers by."""
    return _to_number, (_wrap(args[0]), *args[1:]), kwargs


def _unwrap_first(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Call:
    """For what `signal` gives handlers by."""
    return _to_name, (_unwrap(args[0]), *args[1:]), kwargs


# Of C, and no function of C, whose calls are profiled.
_wrapped_number, _unwrapped_name = (partial(stand_in(len, choose)) for choose in (_wrap_first, _unwrap_first))
TRACE_FUNCTIONS.update(choose.__code__ for choose in (_choose_handler, _wrap_first, _unwrap_first))
if not IS_BUILT:  # stand-ins that are of Python share their code
    TRACE_FUNCTIONS.add(stand_in(len, _wrap_first).__code__)

_delivering: list[bool] = []
_SIGNALS = tuple(sorted(map(int, signal.valid_signals())))


def _wrap(value: Any) -> Any:
    if not callable(value) or isinstance(value, signal.Handlers | Delivery):
        return value
    return Delivery(value)


def _unwrap(value: Any) -> Any:
    return value.handler if type(value) is Delivery else value


def _replace(change: Callable[[Any], Any]) -> None:
    """Change every handler that Python code has."""
    for number in _SIGNALS:
        handler = _bare.getsignal(number)
        changed = change(handler)
        if changed is not handler:
            _bare.signal(number, changed)


def end_handlers() -> None:
    """Call no handler of the program any more, which has ended: what comes now finds code of ours.

    The interpreter does so when it ends, which is what a program without a tracer comes to next. Ctrl-C still
    interrupts, unless the program has a handler for it.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for number in _SIGNALS:
        handler = _bare.getsignal(number)
        if type(handler) is Delivery and handler.handler is not signal.default_int_handler:
            handler.handler = _take_no_notice


_take_no_notice = is_  # a function of C that takes what handlers do


def check_deadline_possible() -> None:
    """Refuse a time limit in a thread that gets no signals, before anything is recorded.

    Raises:
        CwmTraceError: this is not the main thread.
    """
    if threading.current_thread() is not threading.main_thread():
        raise CwmTraceError("a timeout needs the main thread, whose signals it uses")


@contextmanager
def deadline(seconds: float | None) -> Iterator[None]:
    """Interrupt the program after `seconds`, and again every second in case it catches that.

    A thread waits and sends the main thread a signal of its own; the program keeps its alarms.
    """
    if seconds is None:
        yield
        return
    ended = _thread.allocate_lock()
    ended.acquire()
    main = threading.get_ident()

    def watch() -> None:
        wait = min(seconds, threading.TIMEOUT_MAX)
        while not ended.acquire(timeout=wait):
            signal.pthread_kill(main, _OUR_SIGNAL)
            wait = 1.0

    error = TimeLimitReached(f"the program ran longer than {seconds:g} seconds")
    previous = _bare.signal(_OUR_SIGNAL, Delivery(raiser(error)))
    _thread.start_new_thread(watch, ())
    try:
        yield
    finally:
        ended.release()
        _bare.signal(_OUR_SIGNAL, previous)
