"""Greenlets have stacks of their own, wherever the module is imported."""

from __future__ import annotations

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


def record(tmp_path: Path, program: str) -> Trace:
    (tmp_path / "program.py").write_text(program)
    trace = trace_execution(tmp_path / "program.py", capture_output=True)
    check_stacks(trace)
    assert trace.warnings == ()
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
