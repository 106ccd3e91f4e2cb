"""What the rules say of small programs: as little as Python allows."""

from __future__ import annotations

from textwrap import dedent

import pytest

from cwm_trace import Trace, trace_execution
from cwm_trace.flow import Flow, Legal, analyse
from cwm_trace.flow import bytecodes as py
from cwm_trace.records import Event, Program, Slot

LOOP = """
    def f(n):
        total = 0
        while n:
            if n > 2:
                total += g(n)
            n -= 1
        return total

    def g(n):
        return n

    def unused(n):
        return n
"""


def record(text: str, call: str) -> Trace:
    return trace_execution(dedent(text).lstrip(), call=call)


def after(trace: Trace, count: int) -> Legal:
    return Flow(analyse(trace), trace.frames[:count]).legal()


def lines(legal: Legal, event: Event) -> set[int]:
    found = legal.lines.get(event, frozenset())
    assert found is not None
    return {line for _, line in found}


def first(trace: Trace, event: Event, line: int) -> int:
    """Frames up to the first of this event and line, that one included."""
    return next(i for i, frame in enumerate(trace.frames, 1) if (frame.event, frame.line) == (event, line))


def test_the_entry_begins() -> None:
    trace = record(LOOP, "f(3)")
    legal = after(trace, 0)
    assert legal.events == {Event.CALL}
    assert lines(legal, Event.CALL) == {trace.entry_line}
    assert after(trace, len(trace.frames)).events == {Event.END}


def test_lines_of_a_loop() -> None:
    trace = record(LOOP, "f(3)")
    assert lines(after(trace, first(trace, Event.CALL, 1)), Event.LINE) == {2}
    assert lines(after(trace, first(trace, Event.LINE, 2)), Event.LINE) == {3}
    assert lines(after(trace, first(trace, Event.LINE, 3)), Event.LINE) == {4, 7}
    assert lines(after(trace, first(trace, Event.LINE, 4)), Event.LINE) == {5, 6}
    assert lines(after(trace, first(trace, Event.LINE, 6)), Event.LINE) in ({3}, {4, 7}, {3, 4, 7})


def test_events_of_a_line() -> None:
    trace = record(LOOP, "f(3)")
    assert after(trace, first(trace, Event.LINE, 2)).events == {Event.LINE}
    legal = after(trace, first(trace, Event.LINE, 5))
    assert legal.events == {Event.CALL, Event.LINE, Event.EXCEPTION}
    assert lines(legal, Event.CALL) == {9}
    assert lines(after(trace, first(trace, Event.LINE, 7)), Event.RETURN) == {7}
    assert Event.LINE not in after(trace, first(trace, Event.LINE, 7)).events


def test_names_and_values() -> None:
    trace = record(LOOP, "f(3)")
    legal = after(trace, first(trace, Event.LINE, 2))
    assert legal.new == frozenset(["total"])
    assert legal.unchanged == {"n"}
    legal = after(trace, first(trace, Event.LINE, 6))
    assert (legal.new, legal.gone, legal.unchanged) == (frozenset(), frozenset(["n"]), frozenset(["total"]))


def test_values_that_change_without_a_store_are_free() -> None:
    trace = record("def f(x):\n    x.append(1)\n    return x\n", "f([1])")
    assert after(trace, first(trace, Event.LINE, 2)).unchanged == frozenset()


@pytest.mark.parametrize(
    ("header", "is_free"),
    [
        ("", False),
        ("import math\n", False),
        ("import somebodys_library\n", True),
        ("from collections import UserString\n", True),
        ("class C:\n    def __repr__(self):\n        return '1'\n", True),
        ("class C:\n    pass\n", False),
    ],
)
def test_a_predicted_text_proves_a_value_where_no_object_looks_like_it(header: str, is_free: bool) -> None:
    from cwm_trace.records import Frame, SourceFile

    text = f"{header}def f(x):\n    y = 1\n    return y\n"
    line = text.count("\n") - 2
    program = Trace(Program((SourceFile("p.py", text),), "f", line))
    frames = [
        Frame(Event.CALL, line, "def f(x):", changed={"x": Slot("1")}),
        Frame(Event.LINE, line + 1, "    y = 1"),
    ]
    assert Flow(analyse(program), frames).legal().unchanged == (set() if is_free else {"x"})


def test_an_exception_goes_to_its_handler_or_leaves() -> None:
    trace = record(
        """
        def f(n):
            try:
                n = 1 // n
            except ZeroDivisionError:
                n = 2
            return 1 // (n - 2)
        """,
        "f(0)",
    )
    legal = after(trace, first(trace, Event.EXCEPTION, 3))
    assert lines(legal, Event.LINE) == {4}
    assert Event.RETURN not in legal.events
    legal = after(trace, first(trace, Event.EXCEPTION, 6))
    assert lines(legal, Event.RETURN) == {6}
    assert Event.LINE not in legal.events


def test_a_generator_is_resumed_where_it_waits() -> None:
    trace = record(
        """
        def g():
            yield 1
            x = 2
            yield x

        def f():
            total = 0
            for i in g():
                total += i
            return total
        """,
        "f()",
    )
    second = [i for i, frame in enumerate(trace.frames) if frame.event is Event.LINE and frame.line == 8][1]
    assert trace.frames[second + 1].event is Event.CALL
    assert (0, 2) in (after(trace, second + 1).lines[Event.CALL] or ())


def test_a_call_over_several_lines_comes_back_once() -> None:
    trace = record("def f(a):\n    return max(\n        a,\n        1,\n    )\n", "f(2)")
    places = [(frame.event, frame.line) for frame in trace.frames]
    start, back = (i for i, place in enumerate(places, 1) if place == (Event.LINE, 2))
    assert lines(after(trace, start), Event.LINE) == {3}
    assert after(trace, back).events == {Event.RETURN, Event.EXCEPTION}


def test_a_fork_goes_on_by_itself() -> None:
    trace = record(LOOP, "f(3)")
    flow = Flow(analyse(trace), trace.frames[:5])
    before, other = flow.legal(), flow.fork()
    for frame in trace.frames[5:]:
        other.push(frame)
    assert flow.legal() == before
    assert other.legal().events == {Event.END}


def test_threads_allow_anything_but_their_own_frames_are_checked() -> None:
    trace = record("import threading\ndef f():\n    x = 1\n    return x\n", "f()")
    count = first(trace, Event.LINE, 3)
    flow = Flow(analyse(trace), trace.frames[:count])
    assert flow.legal().allows(Event.CALL, 0, 99)
    assert flow.legal(thread=0).events == {Event.LINE}


def test_a_wrong_frame_is_said_to_be() -> None:
    from dataclasses import replace

    trace = record(LOOP, "f(3)")
    count = first(trace, Event.LINE, 6)
    flow = Flow(analyse(trace), trace.frames[:count])
    frame = trace.frames[count]
    assert flow.illegal(frame) == ""
    assert "line 2" in flow.illegal(replace(frame, line=2))
    assert "return" in flow.illegal(replace(frame, event=Event.RETURN))
    assert "total has changed" in flow.illegal(replace(frame, changed={"total": Slot("9", "int")}))
    assert "z is new" in flow.illegal(replace(frame, changed={"z": Slot("9", "int")}))
    assert "total is gone" in flow.illegal(replace(frame, changed={"total": None}))


def test_where_a_generator_may_go_on_unseen_nothing_is_said_of_names() -> None:
    """On 3.11 the next line may be one of the generator that was thrown into, with its own variables."""
    source = (
        "def g():\n    try:\n        yield 1\n    except ValueError:\n        x = 2\n        yield x\n"
        "def f():\n    it = g()\n    y = next(it)\n    z = it.throw(ValueError)\n    return y + z\n"
    )
    trace = trace_execution(source, call="f()")
    at = next(index for index, frame in enumerate(trace.frames) if "throw" in frame.source)
    legal = Flow(analyse(trace), trace.frames[: at + 1]).legal()
    assert (legal.new is None) == py.THROW_HAS_NO_CALL
    if py.THROW_HAS_NO_CALL:
        assert legal.unchanged == frozenset()
