"""Every recorded event and every recorded variable is the one that a plain trace function sees."""

import os
import sys
from itertools import zip_longest

import pytest

from cwm_trace import Event, Trace, resolve_states, trace_execution
from tests.tracer.both import DISTORTED_BY_PYTHON, use
from tests.tracer.goldens import SAMPLES, alone, sample_names
from tests.tracer.oracle import Exits, Step, Watched, watch


def record(name: str) -> Trace:
    with alone():
        return trace_execution(SAMPLES / f"{name}.py", capture_output=True)


def recorded_steps(trace: Trace, seen: Watched) -> list[Step]:
    """The trace as the oracle would have told it."""
    steps = []
    for frame, state in zip(trace.frames, resolve_states(trace.frames), strict=True):
        has_state = state is not None and seen.codes[frame.activation].co_flags & 1
        has_value = frame.event.value in ("return", "exception")
        steps.append(
            Step(
                frame.event.value,
                frame.line,
                os.path.basename(trace.files[frame.file].name),
                frame.activation,
                frame.depth,
                {name: slot.text for name, slot in state.items()}
                if state is not None and has_state
                else None,
                (frame.value.text if frame.value else "None") if has_value else None,
            )
        )
    return steps


@pytest.mark.parametrize("name", [name for name in sample_names() if name != "exec_eval"])
def test_events_and_locals_are_those_that_a_plain_trace_function_sees(name: str) -> None:
    """The oracle knows code by its file: what `exec` runs has none."""
    with use("python" if name in DISTORTED_BY_PYTHON else "c"):  # as the oracle itself is
        trace = record(name)
    seen = watch(SAMPLES / f"{name}.py", traced=True)
    assert seen.output == trace.run.output
    for ours, theirs in zip_longest(recorded_steps(trace, seen), seen.steps):
        assert ours == theirs


@pytest.mark.parametrize("name", sample_names())
def test_a_traced_program_behaves_as_an_untraced_one(name: str) -> None:
    trace = record(name)
    plain = watch(SAMPLES / f"{name}.py", traced=False)
    assert trace.run.output == plain.output
    assert (trace.outcome.value == "returned") == (plain.ending == "returned")


@pytest.mark.skipif(sys.version_info < (3, 12), reason="PEP 669 came with 3.12")
@pytest.mark.parametrize("name", sample_names())
def test_a_return_says_whether_an_exception_leaves(name: str) -> None:
    exits = Exits(SAMPLES)
    exits.start()
    try:
        trace = record(name)
    finally:
        exits.stop()
    returns = [frame for frame in trace.frames if frame.event is Event.RETURN and frame.file == 0]
    assert [frame.value.text if frame.value else "raised" for frame in returns] == exits.exits
