"""Variables that are written while a program is recorded."""

from __future__ import annotations

import pytest

from cwm_trace.records import Event, Trace
from cwm_trace.states import resolve_states
from cwm_trace.tracer.program import load_call, load_code
from cwm_trace.tracer.session import Memory, Options, record_program
from cwm_trace.tracer.writing import WritingSink


def written(source: str, call: str, *writes: tuple[int, str, str]) -> tuple[Trace, list[str]]:
    memory, refused = Memory(), list[str]()
    program = load_call(source, call) if call else load_code(source)
    record_program(program, WritingSink(memory, writes, refused.append), Options())
    return memory.trace, refused


def values(trace: Trace, name: str) -> list[str]:
    return [state[name].text for state in resolve_states(trace.frames) if state and name in state]


LOOP = "def f(n):\n    t = 0\n    for i in range(n):\n        t += i\n    return t\n"


def test_what_is_written_is_what_the_line_sees() -> None:
    plain, _ = written(LOOP, "f(3)")
    at = next(i for i, frame in enumerate(plain.frames) if frame.line == 4)
    trace, refused = written(LOOP, "f(3)", (at, "t", "10"), (at + 2, "i", "100"))
    assert not refused
    assert trace.frames[:at] == plain.frames[:at]
    assert values(trace, "t") == ["0", "10", "10", "10", "110", "110", "112", "112"]
    assert trace.value is not None
    assert trace.value.text == "112"
    assert "t" not in trace.frames[at + 1].changed  # shown once, where it was written
    assert trace.frames[at].changed["t"].type == "int"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("source", "name", "line", "result"),
    [
        ("def f(n):\n    return n\n", "n", 1, "[5]"),  # an argument, at the call
        ("def f(n):\n    def g():\n        return n\n    return g()\n", "n", 4, "[5]"),  # a cell
        (
            "def f(n):\n    def g():\n        n\n        return n\n    return g()\n",
            "n",
            4,
            "[5]",
        ),  # a free one
        ("def f(n):\n    xs = [i for i in n]\n    return xs\n", "xs", 3, "[5]"),
    ],
)
def test_every_kind_of_variable_of_a_function(source: str, name: str, line: int, result: str) -> None:
    plain, _ = written(source, "f([1])")
    at = next(i for i, frame in enumerate(plain.frames) if frame.line == line and frame.file == 0)
    trace, refused = written(source, "f([1])", (at, name, "[5]"))
    assert not refused
    assert trace.value is not None
    assert trace.value.text == result


def test_a_variable_of_a_module() -> None:
    trace, refused = written("x = 1\ny = x + 1\nz = y\n", "", (2, "x", "7"))
    assert not refused
    assert values(trace, "y") == ["8"] * len(values(trace, "y"))


@pytest.mark.parametrize(
    ("write", "why"),
    [
        ((3, "nothing", "1"), "no variable of f"),
        ((999, "t", "1"), "ended before"),
        ((-2, "t", "1"), ""),
    ],
)
def test_what_cannot_be_written_is_said(write: tuple[int, str, str], why: str) -> None:
    _, refused = written(LOOP, "f(3)", write)
    assert bool(refused) is bool(why)
    assert why in "".join(refused)


def test_a_return_shows_no_variables() -> None:
    plain, _ = written(LOOP, "f(3)")
    at = next(i for i, frame in enumerate(plain.frames) if frame.event is Event.RETURN)
    assert "shows no variables" in written(LOOP, "f(3)", (at, "t", "1"))[1][0]
