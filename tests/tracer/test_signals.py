"""Signals, and exceptions from other threads, are the program's wherever they arrive."""

from __future__ import annotations

import itertools
import os
import re
import select
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from cwm_trace import Event, Limits, Outcome, Trace, read_trace, record, trace_execution
from cwm_trace.records import FrameFields
from cwm_trace.tracer import signals
from cwm_trace.tracer.calls import record_call
from cwm_trace.tracer.session import Memory, Options
from cwm_trace.tracer.signals import deliver_signals, end_handlers
from tests.effort import HANGS
from tests.tracer.both import NEEDS_C
from tests.tracer.stacks import check_stacks


def run(folder: Path, program: str, *options: str, warned: bool | None = False) -> tuple[Trace, str]:
    """The trace of a program and what it wrote; a recording that ended early fails unless `warned`."""
    (folder / "program.py").write_text(textwrap.dedent(program))
    command = [sys.executable, "-m", "cwm_trace", "run", "-o", "t.jsonl", *options, "program.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=HANGS, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    trace = read_trace(folder / "t.jsonl")
    check_stacks(trace)
    assert warned is None or bool(trace.warnings) == warned, trace.warnings
    return trace, done.stdout


RAISES = """
import signal

class Late(Exception):
    pass

def on_alarm(number, frame):
    where = frame.f_code.co_name
    raise Late(where)

def candidate():
    signal.setitimer(signal.ITIMER_REAL, 0.003)
    n = 0
    while True:
        n += 1

signal.signal(signal.SIGALRM, on_alarm)
places = []
for _ in range(20):
    try:
        candidate()
    except Late as late:
        frames = []
        trace = late.__traceback__
        while trace:
            frames.append((trace.tb_frame.f_code.co_name, trace.tb_frame.f_code.co_filename == __file__))
            trace = trace.tb_next
        places.append((late.args, frames))
own = [("<module>", True), ("candidate", True), ("on_alarm", True)]
print(all(place == (("candidate",), own) for place in places))
"""


def test_a_handler_that_raises_is_heard_and_recorded(tmp_path: Path) -> None:
    trace, output = run(tmp_path, RAISES)
    assert output == "True\n"
    calls = [f for f in trace.frames if f.event is Event.CALL and f.source.startswith("def on_alarm")]
    assert [frame.depth for frame in calls] == [2] * 20
    assert trace.frames[-1].event is Event.RETURN


INTERRUPTED = """
import signal, threading, time

caught = 0
ready = threading.Event()
main = threading.get_ident()

def press():
    for _ in range(15):
        ready.wait()
        ready.clear()
        time.sleep(0.005)
        signal.pthread_kill(main, signal.SIGINT)

threading.Thread(target=press).start()
n = 0
while caught < 15:
    try:
        ready.set()
        while True:
            n += 1
    except KeyboardInterrupt:
        caught += 1
print(caught)
"""


def test_an_interrupt_that_the_program_catches_does_not_end_the_recording(tmp_path: Path) -> None:
    trace, output = run(tmp_path, INTERRUPTED)
    assert output == "15\n"
    raised = [frame for frame in trace.frames if frame.event is Event.EXCEPTION]
    assert len(raised) >= 15
    assert all(frame.value and frame.value.text == "KeyboardInterrupt()" for frame in raised)
    assert [frame for frame in trace.frames if frame.thread == 0][-1].source == "print(caught)"


TICKS = """
import signal

ticks = []

def on_tick(number, frame):
    ticks.append(frame.f_code.co_filename == __file__)
    if len(ticks) == 50:
        signal.setitimer(signal.ITIMER_REAL, 0)

class Shown:
    def __repr__(self):
        return "".join(str(i) for i in range(30))

def work(shown):
    n = 0
    while len(ticks) < 50:
        n += 1

signal.signal(signal.SIGALRM, on_tick)
signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
work(Shown())
print(len(ticks), all(ticks))
"""


def test_the_frame_a_handler_is_given_is_the_programs(tmp_path: Path) -> None:
    """A `__repr__` that is called for the trace is not a place where the program is."""
    trace, output = run(tmp_path, TICKS)
    assert output == "50 True\n"
    texts = {f.changed["shown"].text for f in trace.frames if f.changed.get("shown")}  # type: ignore[union-attr]
    assert texts == {"".join(map(str, range(30)))}


WAITS = """
import signal, threading

lock = threading.Lock()

class Late(Exception):
    pass

class Guarded:
    def __repr__(self):
        with lock:
            return "guarded"

def on_alarm(number, frame):
    raise Late(frame.f_code.co_name)

def work():
    guarded = Guarded()
    with lock:
        return 1

signal.signal(signal.SIGALRM, on_alarm)
signal.setitimer(signal.ITIMER_REAL, 0.3, 0.3)
try:
    work()
    print("done")
except Late as late:
    print(late, not lock.locked())
signal.setitimer(signal.ITIMER_REAL, 0)
after = 1
"""


def test_a_handler_ends_a_repr_that_waits(tmp_path: Path) -> None:
    trace, output = run(tmp_path, WAITS)
    assert output == "work True\n"  # untraced nothing waits: docs/tracer-limits.md
    assert trace.frames[-1].source == "after = 1"


@NEEDS_C
def test_what_a_handler_raises_in_a_repr_shows_where_it_was_raised(tmp_path: Path) -> None:
    program = """
    import signal, traceback
    class Rings:
        def __repr__(self):
            if armed:
                armed.clear()
                signal.raise_signal(signal.SIGUSR1)
            return "Rings"
    def on(number, frame):
        raise ValueError
    def f():
        rings = Rings()
        armed.append(1)
        for i in range(3):
            x = i
    signal.signal(signal.SIGUSR1, on)
    armed = []
    try:
        f()
    except ValueError as error:
        print([entry.name for entry in traceback.extract_tb(error.__traceback__)])
    """
    _, output = run(tmp_path, program, "--recorder", "c")
    assert output == "['<module>', 'f', 'on']\n"


class Ringing(Memory):
    """A signal arrives when the sixth, twelfth and eighteenth frame is handed on."""

    def __init__(self) -> None:
        super().__init__()
        self.frame = self.take_frame

    def take_frame(self, fields: FrameFields) -> None:
        self.frames.append(fields)
        if len(self.frames) in (6, 12, 18):
            signal.raise_signal(signal.SIGUSR1)


def test_signals_that_are_seconds_apart_end_no_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trace functions are called at the same place again and again: that is not one which waits."""
    clock = itertools.count(step=60)
    monkeypatch.setattr(signals, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    heard: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: heard.append(number))
    try:
        sink = Ringing()
        ending = record_call(summing, (10,), {}, sink, Options(recorder="python"))
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert (ending.value, ending.failure) == (45, None)
    assert len(heard) == 3
    assert sink.trace.frames[-1].event is Event.RETURN


def summing(count: int) -> int:
    total = 0
    for number in range(count):
        total += number
    return total


ASYNCIO = """
import asyncio, os, signal, threading, time

heard = []

async def main():
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, heard.append, 1)
    main_thread = threading.get_ident()

    def send():
        for _ in range(20):
            signal.pthread_kill(main_thread, signal.SIGUSR1)
            time.sleep(0.01)

    sender = threading.Thread(target=send)
    sender.start()
    n = 0
    while sender.is_alive():
        n += 1
        await asyncio.sleep(0)
    await asyncio.sleep(0.05)

asyncio.run(main())
print(len(heard) <= 20, len(heard) > 0)
"""


def test_a_signal_that_was_put_off_is_told_to_asyncio_once(tmp_path: Path) -> None:
    _, output = run(tmp_path, ASYNCIO)
    assert output == "True True\n"


ALARMED = """
import signal
signal.signal(signal.SIGALRM, lambda *a: None)
signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
while True:
    sum(range(5_000))
"""


def test_the_time_limit_and_the_programs_alarms_do_not_meet(tmp_path: Path) -> None:
    trace, _ = run(tmp_path, ALARMED, "--timeout", "0.5")
    assert trace.outcome is Outcome.TIMED_OUT


def test_a_time_limit_leaves_an_alarm_that_was_set_before_alone() -> None:
    rung = threading.Event()
    previous = signal.signal(signal.SIGALRM, lambda *_: rung.set())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        trace_execution("x = 1\ny = 2\n", limits=Limits(timeout=5.0))
        assert rung.wait(5)
    finally:
        signal.signal(signal.SIGALRM, previous)


def test_handlers_are_the_programs_own_to_ask_for() -> None:
    def mine(*_: object) -> None: ...

    before = signal.getsignal(signal.SIGUSR1), signal.getsignal(signal.SIGINT)
    with record() as recording:
        assert signal.signal(signal.SIGUSR1, mine) == before[0]
        assert signal.getsignal(signal.SIGUSR1) is mine
        assert signal.getsignal(signal.SIGINT) is before[1]
        assert signal.signal(signal.SIGUSR1, signal.SIG_IGN) is mine
        assert signal.signal(signal.SIGUSR1, before[0]) is signal.SIG_IGN
    assert recording.trace is not None
    assert (signal.getsignal(signal.SIGUSR1), signal.getsignal(signal.SIGINT)) == before


def test_a_tests_time_limit_keeps_its_verdict(tmp_path: Path) -> None:
    (tmp_path / "test_late.py").write_text(
        "import signal, pytest\n"
        "class Late(Exception): pass\n"
        "def on(*a): raise Late\n"
        "def spin():\n    n = 0\n    while n < 3_000_000:\n        n += 1\n"
        "def test_late():\n"
        "    signal.signal(signal.SIGALRM, on)\n"
        "    signal.setitimer(signal.ITIMER_REAL, 0.05)\n"
        "    with pytest.raises(Late):\n        spin()\n"
    )
    command = ["run", "--per-test", "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_late.py"]
    done = subprocess.run(
        [sys.executable, "-m", "cwm_trace", *command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=HANGS,
    )
    assert re.search(r"1 passed", done.stdout), done.stdout


def test_a_recording_that_nobody_takes_ends_and_the_program_is_interrupted(tmp_path: Path) -> None:
    """A trace function that waits puts signals off for a second, not for ever."""
    (tmp_path / "program.py").write_text("n = 0\nwhile True:\n    n += 1\n")
    os.mkfifo(tmp_path / "t.jsonl")
    ends = [os.open(tmp_path / "t.jsonl", flag | os.O_NONBLOCK) for flag in (os.O_RDONLY, os.O_WRONLY)]
    command = [sys.executable, "-m", "cwm_trace", "run", "-o", "t.jsonl", "program.py"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    try:
        while select.select([], ends[1:], [], 0)[1]:  # there is room in the pipe
            assert process.poll() is None
            time.sleep(0.1)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
        for _ in range(10):  # the one after the second has passed is heard; none is to meet what it ends
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=3)
                break
        assert process.returncode == -signal.SIGINT
        assert process.stderr is not None
        assert "recording ended early" in process.stderr.read()
    finally:
        process.kill()
        process.communicate()
        for end in ends:
            os.close(end)


def test_a_handler_is_not_called_once_its_program_has_ended() -> None:
    """It would find code of ours, and what it raises would end that before the footer is written."""
    before = signal.getsignal(signal.SIGUSR1)
    try:
        with deliver_signals():
            signal.signal(signal.SIGUSR1, lambda number, _: pytest.fail(f"{number} was delivered"))
            end_handlers()
            os.kill(os.getpid(), signal.SIGUSR1)
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGUSR1, before)
