"""Exceptions that another thread sends reach the program, and its recording goes on."""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import CodeType, SimpleNamespace

import pytest

from cwm_trace import Event, record
from cwm_trace.records import FrameFields
from cwm_trace.tracer import sending
from cwm_trace.tracer.calls import record_call
from cwm_trace.tracer.interpreter import SENT_EXCEPTIONS_COME_LATE
from cwm_trace.tracer.recorder import Recorder
from cwm_trace.tracer.session import Memory, Options
from cwm_trace.tracer.sources import Sources
from tests.tracer.both import RECORDERS
from tests.tracer.test_signals import run

SENT = """
import ctypes, threading, time, traceback

def extract(error):
    return traceback.extract_tb(error.__traceback__)

class Stop(Exception):
    pass

def send(ident):
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(Stop))

def spin():
    n = spinning[0] = 1
    while True:
        n += 1

def work():
    for _ in range(3):
        try:
            spin()
        except Stop as stop:
            stopped.append(stop)
            spinning[0] = 0
            done.set()
    after = "done"

spinning, done, stopped = [0], threading.Event(), []
thread = threading.Thread(target=work)
thread.start()
for _ in range(3):
    while not spinning[0]:
        time.sleep(0.001)
    send(thread.ident)
    done.wait()
    done.clear()
thread.join()
own = {"program.py"}
print(len(stopped), {trace.filename.rpartition("/")[2] for stop in stopped for trace in extract(stop)} == own)
"""


@pytest.mark.parametrize("recorder", RECORDERS)
def test_an_exception_from_another_thread_is_heard(tmp_path: Path, recorder: str) -> None:
    """It arrives in the trace function more often than not, but never on its first instruction."""
    trace, output = run(tmp_path, SENT, "--recorder", recorder)
    assert output == "3 True\n"
    assert trace.frames[-1].thread == 0
    assert sum(frame.event is Event.EXCEPTION for frame in trace.frames) == 6


def test_the_function_that_sends_them_is_as_it_was_afterwards() -> None:
    before = ctypes.pythonapi.PyThreadState_SetAsyncExc
    with record():
        assert ctypes.pythonapi.PyThreadState_SetAsyncExc(0, None) == 0
        with pytest.raises(ctypes.ArgumentError):
            ctypes.pythonapi.PyThreadState_SetAsyncExc(1.5, None)
    assert type(ctypes.pythonapi.PyThreadState_SetAsyncExc) is type(before)


@pytest.mark.skipif(SENT_EXCEPTIONS_COME_LATE, reason="where the thread is now does not matter")
@pytest.mark.parametrize("code", [Recorder.on_call.__code__, Sources.find.__code__])
def test_who_sends_one_waits_however_long_the_other_thread_gets_no_time(
    monkeypatch: pytest.MonkeyPatch, code: CodeType
) -> None:
    """A busy machine may leave a thread at the start of a trace function: it does not wait in C code."""
    looks = []

    def frames() -> dict[int, object]:
        looks.append(True)
        place = code if len(looks) < 100 else frames.__code__
        outer = SimpleNamespace(f_lasti=100, f_code=place, f_trace=Recorder.on_call, f_back=None)
        if code is Recorder.on_call.__code__:
            outer.f_lasti = 0
            return {1: outer}
        return {1: SimpleNamespace(f_lasti=4, f_code=frames.__code__, f_trace=None, f_back=outer)}

    with record():
        monkeypatch.setattr(sending, "_pause", lambda *_: None)
        monkeypatch.setattr(sys, "_current_frames", frames)
        assert ctypes.pythonapi.PyThreadState_SetAsyncExc(1, None) == 0
    assert len(looks) == 100


class SentError(Exception):
    pass


def counting() -> str:
    try:
        n = 0
        while True: n += 1  # fmt: skip  # noqa: E701 (one line)
    except SentError:
        return "stopped"


def iterating() -> str:
    with suppress(SentError):
        for _ in iter(int, 1): pass  # fmt: skip  # noqa: E701
    return "stopped"


def comprehending() -> str:
    try:
        return str([n + 1 for n in iter(int, 1)])
    except SentError:
        return "stopped"


class Sending(Memory):
    """Lets an exception come as from another thread, right after it was given a frame."""

    def __init__(self, moment: int) -> None:
        super().__init__()
        self.moment = moment
        self.frame = self.take_frame

    def take_frame(self, fields: FrameFields) -> None:
        self.frames.append(fields)
        if len(self.frames) == self.moment:
            thread, kind = ctypes.c_ulong(threading.get_ident()), ctypes.py_object(SentError)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, kind)


@pytest.mark.parametrize("moment", range(20, 24))
@pytest.mark.parametrize("function", [counting, iterating, comprehending])
def test_what_another_thread_sends_into_a_loop_on_one_line_is_caught_there(
    function: Callable[[], str], moment: int
) -> None:
    sink = Sending(moment)
    ending = record_call(function, (), {}, sink, Options(recorder="python"))
    assert ending.value == "stopped"
    assert sink.trace.frames[-1].event is Event.RETURN
    assert not sink.trace.warnings
