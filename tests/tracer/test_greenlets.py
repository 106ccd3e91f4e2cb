"""Greenlets have stacks of their own, wherever the module is imported."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from cwm_trace import Event, Trace, trace_execution
from tests.tracer.stacks import check_stacks

pytest.importorskip("greenlet")

SWITCHES = """
def work(name, n):
    total = 0
    for i in range(n):
        total += i
        hub.switch(name)
    return total

def start():
    global hub
    import greenlet
    hub = greenlet.getcurrent()
    a, b = greenlet.greenlet(work), greenlet.greenlet(work)
    seen = [a.switch("a", 2), b.switch("b", 1), a.switch(), b.switch(), a.switch()]
    return seen

start()
"""

THROUGH = """
from greenlet import getcurrent, greenlet

main = getcurrent()

def inner(n):
    value = main.switch(n)
    return value + 1

def body():
    one = inner(1)
    return one

def deep(n):
    if n:
        return deep(n - 1)
    return child.switch(41)

child = greenlet(body)
first = child.switch()
print(first, deep(3), child.dead)
"""

THROWN = """
import greenlet

def body():
    try:
        main.switch("ready")
    except KeyError as error:
        got = error.args
        return got

main = greenlet.getcurrent()
child = greenlet.greenlet(body)
ready = child.switch()
print(ready, child.throw(KeyError("k")))
"""

TOLD = """
import greenlet

def child(k):
    k = greenlet.getcurrent().parent.switch(k * 2)
    return k + 1

def switch(n):
    g = greenlet.greenlet(child)
    return g.switch(g.switch(n))

def told(event, ends):
    events.append(event)

events = []
print(greenlet.settrace(told), greenlet.gettrace() is told, switch(1))
print(events, greenlet.settrace(None) is told, greenlet.gettrace(), switch(2), len(events))
"""

ELSEWHERE = """
from greenlet import _greenlet, greenlet, getcurrent

def child():
    getcurrent().parent.switch()
    return 1

def switch():
    g = greenlet(child)
    g.switch()
    return g.switch()

_greenlet.settrace(None)
print(switch())
"""


def record(tmp_path: Path, program: str, *, warned: bool = False) -> Trace:
    (tmp_path / "program.py").write_text(program)
    trace = trace_execution(tmp_path / "program.py", capture_output=True)
    assert bool(trace.warnings) == warned, trace.warnings
    if not warned:
        check_stacks(trace)
    return trace


def test_greenlets_take_turns(tmp_path: Path) -> None:
    trace = record(tmp_path, SWITCHES)
    returned = [f.value.text for f in trace.frames if f.event is Event.RETURN and f.thread and f.value]
    assert returned == ["0", "1"]
    assert {frame.thread for frame in trace.frames} == {0, 1, 2}


def test_a_switch_from_deep_within_a_stack(tmp_path: Path) -> None:
    trace = record(tmp_path, THROUGH)
    assert trace.run.output == "1 42 True\n"
    assert max(frame.depth for frame in trace.frames if frame.thread == 1) == 1
    assert max(frame.depth for frame in trace.frames if frame.thread == 0) == 4


def test_what_is_thrown_into_a_greenlet_arrives_on_its_stack(tmp_path: Path) -> None:
    trace = record(tmp_path, THROWN)
    assert trace.run.output == "ready ('k',)\n"
    raised = [frame for frame in trace.frames if frame.event is Event.EXCEPTION]
    assert {(frame.thread, frame.depth) for frame in raised} == {(1, 0)}


def test_a_program_that_listens_to_switches_itself_hears_all_and_is_recorded(tmp_path: Path) -> None:
    greenlet = pytest.importorskip("greenlet")

    before = greenlet.settrace, greenlet.gettrace()
    trace = record(tmp_path, TOLD)
    assert trace.run.output == ("None True 3\n['switch', 'switch', 'switch', 'switch'] True None 5 4\n")
    assert (greenlet.settrace, greenlet.gettrace()) == before


def test_a_recording_begins_where_greenlets_are_there_already() -> None:
    pytest.importorskip("greenlet").getcurrent()
    results: list[int] = []
    thread = threading.Thread(target=lambda: results.append(len(trace_execution("x = 1\n").frames)))
    thread.start()
    thread.join()
    assert results == [len(trace_execution("x = 1\n").frames)]


def test_switches_that_are_not_heard_are_warned_about(tmp_path: Path) -> None:
    trace = record(tmp_path, ELSEWHERE, warned=True)
    assert trace.run.output == "1\n"
    assert "greenlets were switched unheard" in trace.warnings[0]
