"""A traced program does what it does untraced: same result, same output, same exception.

Exempt by nature of a Python-level tracer: programs whose own `__repr__` has side effects or waits for a lock
they hold, and programs that look at `locals()` or at the recursion limit.
"""

from __future__ import annotations

import contextlib
import io
from typing import Any

import pytest
from hypothesis import given

from cwm_trace import Outcome, TraceTokens, parse_trace, render_trace, trace_execution
from cwm_trace.strategies import DrawnProgram, programs
from tests.effort import examples


def untraced(program: DrawnProgram) -> tuple[str, str, str]:
    """Result or exception, and output."""
    namespace: dict[str, Any] = {"__name__": "source"}
    output = io.StringIO()
    value, error = "", ""
    with contextlib.redirect_stdout(output):
        try:
            exec(compile(program.source, "<source>", "exec"), namespace)
            value = repr(eval(program.call, namespace))
        except Exception as raised:
            error = repr(raised)
    return value, error, output.getvalue()


def traced(program: DrawnProgram) -> tuple[str, str, str]:
    trace = trace_execution(program.source, call=program.call, capture_output=True)
    error = ""
    if trace.outcome is Outcome.RAISED:
        last = [frame for frame in trace.frames if frame.event.value == "exception"][-1]
        assert last.value is not None
        error = last.value.text
    return (trace.value.text if trace.value else ""), error, trace.run.output or ""


@examples(2)
@given(programs())
def test_tracing_changes_nothing(program: DrawnProgram) -> None:
    assert traced(program) == untraced(program)


@pytest.mark.slow
@examples(2)
@given(programs(max_statements=20))
def test_tracing_changes_nothing_in_longer_programs(program: DrawnProgram) -> None:
    assert traced(program) == untraced(program)


@given(programs())
def test_traces_survive_the_wire(program: DrawnProgram) -> None:
    trace = trace_execution(program.source, call=program.call, capture_output=True)
    tokens = TraceTokens.of_bytes()
    ids = render_trace(trace, tokens=tokens)
    parsed = parse_trace(ids, tokens=tokens)
    assert parsed.guess.problems == ()
    assert [(f.event, f.source, f.activation, f.depth) for f in parsed.frames] == [
        (f.event, f.source, f.activation, f.depth) for f in trace.frames
    ]
    assert render_trace(parsed, tokens=tokens) == ids
