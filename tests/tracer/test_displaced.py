"""Frames that are recorded already when the program, or another recording, sets its own trace function."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from cwm_trace import Event, Outcome, Trace
from tests.tracer.both import RECORDERS, by
from tests.tracer.stacks import check_stacks

OWN = """
import sys

def mine(frame, event, arg):
    if frame.f_code.co_name == "inner":
        seen.append(event)
    return mine

def inner(n):
    return n + 1

def leave(how):
    sys.settrace(mine)
    if how == "raises":
        raise KeyError("k")
    inner(1)

def run(how):
    try:
        leave(how)
    except KeyError:
        inner(1)
    a = inner(2)
    sys.settrace(None)
    return a

seen = []
print(run(HOW), seen)
"""

NESTED = """
from cwm_trace import record

def f(n):
    m = n + 1
    return m

def gen():
    for i in range(2):
        with record() as inside:
            f(i)
            f(i)
        yield len(inside.trace.frames)

def fails():
    with record() as inside:
        f(1)
        raise KeyError
    return inside

print(list(gen()))
try:
    fails()
except KeyError:
    f(2)
"""


def lines(trace: Trace) -> list[tuple[int, str, int]]:
    return [(frame.depth, frame.event.value, frame.line) for frame in trace.frames]


def record_file(folder: Path, recorder: str, text: str) -> Trace:
    path = folder / "program.py"
    path.write_text(textwrap.dedent(text))
    trace = by(recorder, path)
    check_stacks(trace)
    return trace


@pytest.mark.parametrize("recorder", RECORDERS)
@pytest.mark.parametrize(("how", "value"), [("raises", None), ("returns", "None")])
def test_a_program_with_a_trace_function_of_its_own_goes_on(
    tmp_path: Path, recorder: str, how: str, value: str | None
) -> None:
    trace = record_file(tmp_path, recorder, OWN.replace("HOW", repr(how)))
    assert trace.run.output == f"3 {['call', 'line', 'return'] * 2}\n"
    assert trace.outcome is Outcome.RETURNED
    left = next(f for f in trace.frames if f.event.value == "return" and f.activation == 2)
    assert (left.value.text if left.value else None) == value
    assert trace.frames[-1].source.strip() == "sys.settrace(None)"


@pytest.mark.parametrize("text", [OWN.replace("HOW", "'raises'"), OWN.replace("HOW", "'returns'"), NESTED])
def test_both_recorders_see_the_same(tmp_path: Path, text: str) -> None:
    seen = [lines(record_file(tmp_path, recorder, text)) for recorder in RECORDERS]
    assert all(one == seen[0] for one in seen)


@pytest.mark.parametrize("recorder", RECORDERS)
def test_around_another_recording_the_lines_of_its_block_are_seen(tmp_path: Path, recorder: str) -> None:
    trace = record_file(tmp_path, recorder, NESTED)
    assert trace.run.output == "[8, 8]\n"
    assert [frame.line for frame in trace.frames if frame.line in (11, 12)] == [11, 12] * 2
    assert not [frame for frame in trace.frames if frame.line == 5 and frame.depth == 2]


DOCTEST = """
import doctest

def twice(n):
    \'\'\'
    >>> twice(2)
    4
    \'\'\'
    return n + n

def thrice(n):
    \'\'\'
    >>> thrice(2)
    6
    \'\'\'
    return n * 3

print(doctest.testmod())
twice(3)
"""


@pytest.mark.parametrize("recorder", RECORDERS)
def test_who_puts_back_what_it_found_ends_no_recording(tmp_path: Path, recorder: str) -> None:
    trace = record_file(tmp_path, recorder, DOCTEST)
    assert trace.warnings == ()
    assert trace.run.output == "TestResults(failed=0, attempted=2)\n"
    calls = [frame.source for frame in trace.frames if frame.event is Event.CALL]
    assert calls.count("def twice(n):") == 2
    assert calls.count("def thrice(n):") == 1
