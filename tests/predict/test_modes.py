from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwm_trace.errors import CwmTraceError
from cwm_trace.predict.modes import Mode, ModeKind, keep_frames, parse_mode, visible_indices
from cwm_trace.records import Event, Trace
from cwm_trace.states import resolve_states
from tests.traces import traces


def visible_frames(trace: Trace, mode: Mode) -> Trace:
    return keep_frames(trace, visible_indices(trace, mode))


@pytest.mark.parametrize(
    "name", ["free", "forced", "forced-event", "forced-state", "reground-3", "output", "step-over-0"]
)
def test_a_mode_is_its_name(name: str) -> None:
    assert str(parse_mode(name)) == name


def test_step_over_alone_follows_what_the_entry_calls() -> None:
    assert parse_mode("step-over") == Mode(ModeKind.STEP_OVER, 1)


@pytest.mark.parametrize(
    "name", ["", "dream", "reground", "reground-K", "reground-0", "reground--1", "free-1"]
)
def test_anything_else_is_refused(name: str) -> None:
    with pytest.raises(CwmTraceError, match="choose one of free, forced"):
        parse_mode(name)


@given(traces(), st.integers(0, 2))
def test_what_is_stepped_over_is_not_visible_and_the_rest_is_as_it_was(trace: Trace, depth: int) -> None:
    seen = visible_frames(trace, Mode(ModeKind.STEP_OVER, depth))
    kept = [
        (frame.event, frame.line, state)
        for frame, state in zip(trace.frames, resolve_states(trace.frames), strict=True)
        if frame.depth <= depth
    ]
    assert kept == [
        (frame.event, frame.line, state)
        for frame, state in zip(seen.frames, resolve_states(seen.frames), strict=True)
    ]


@given(traces())
def test_the_output_is_the_given_frames_and_the_entrys_return(trace: Trace) -> None:
    seen = visible_frames(replace(trace, guess=replace(trace.guess, given=1)), parse_mode("output"))
    assert seen.frames[0] == trace.frames[0]
    assert all(frame.event is Event.RETURN for frame in seen.frames[1:])
    assert seen.value == trace.value
    assert visible_frames(trace, parse_mode("free")) is trace
