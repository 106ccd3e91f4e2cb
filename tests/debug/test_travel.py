"""Where steps lead, against a reading of the frames' depths that knows no index."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from hypothesis import given

from cwm_trace import trace_execution
from cwm_trace.debug import travel
from cwm_trace.debug.session import Session
from cwm_trace.debug.timeline import Timeline
from cwm_trace.records import Event, Frame, Trace
from cwm_trace.states import resolve_states
from tests.debug.programs import NESTED, record
from tests.tracer.goldens import SAMPLES, alone, sample_names
from tests.traces import traces


def naive_next(frames: tuple[Frame, ...], start: int) -> int | None:
    here = frames[start]
    highest = here.depth - (here.event is Event.RETURN)
    return next(
        (
            i
            for i in range(start + 1, len(frames))
            if same_thread(frames[i], here) and frames[i].depth <= highest
        ),
        None,
    )


def naive_return(frames: tuple[Frame, ...], start: int) -> int | None:
    here = frames[start]
    if here.event is Event.RETURN:
        return naive_next(frames, start)
    at: int | None = start
    while at is not None and (
        frames[at].event is not Event.RETURN or frames[at].activation != here.activation
    ):
        at = naive_next(frames, at)
    return at


def naive_previous(frames: tuple[Frame, ...], start: int) -> int | None:
    here = frames[start]
    highest = here.depth - (here.event is Event.CALL)
    return next(
        (i for i in range(start - 1, -1, -1) if same_thread(frames[i], here) and frames[i].depth <= highest),
        None,
    )


def naive_call(frames: tuple[Frame, ...], start: int) -> int | None:
    if frames[start].event is Event.CALL:
        return naive_previous(frames, start)
    at: int | None = start
    while at is not None and (
        frames[at].event is not Event.CALL or frames[at].activation != frames[start].activation
    ):
        at = naive_previous(frames, at)
    return at


def same_thread(one: Frame, other: Frame) -> bool:
    return one.thread == other.thread


Way = Callable[[Timeline, int], int | None]
Naive = Callable[[tuple[Frame, ...], int], int | None]
WAYS: dict[str, tuple[Way, Naive]] = {
    "next": (travel.next_over, naive_next),
    "return": (travel.next_return, naive_return),
    "rnext": (travel.previous_over, naive_previous),
    "rreturn": (travel.previous_call, naive_call),
}


def whole(trace: Trace) -> Timeline:
    timeline = Timeline(trace, trace.frames)
    while timeline.grow():
        pass
    return timeline


@pytest.mark.parametrize("name", WAYS)
@given(trace=traces())
def test_a_way_leads_where_the_depths_say(name: str, trace: Trace) -> None:
    timeline = whole(trace)
    way, naive = WAYS[name]
    for start in range(len(trace.frames)):
        assert way(timeline, start) == naive(trace.frames, start), start


@given(traces())
def test_states_at_any_frame_are_those_that_were_recorded(trace: Trace) -> None:
    timeline = whole(trace)
    for index, state in enumerate(resolve_states(trace.frames)):
        if state is not None:
            assert timeline.state(index) == state


@given(traces())
def test_the_stack_is_what_is_called_and_has_not_returned(trace: Trace) -> None:
    timeline = whole(trace)
    for index, frame in enumerate(trace.frames):
        stack = timeline.stack(index)
        assert [trace.frames[at].depth for at in stack] == sorted({trace.frames[at].depth for at in stack})[
            ::-1
        ]
        assert stack == sorted(stack, reverse=True)
        assert len(stack) == frame.depth + 1


@pytest.mark.parametrize("name", sample_names())
def test_only_steps_give_the_recorded_trace_and_back_the_same_states(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(SAMPLES)
    with alone():
        trace = trace_execution(f"{name}.py", capture_output=True)
    session = Session(trace)
    track = session.current
    seen = [(track.frame, track.state())]
    while session.step(track).reason != "end":
        seen.append((track.frame, track.state()))
    assert [frame for frame, _ in seen] == list(trace.frames)
    for expected in reversed(seen):
        assert (track.frame, track.state()) == expected
        session.back(track)
    assert track.position == 0
    assert os.getcwd() == str(SAMPLES)


def test_until_and_jump_lead_to_lines() -> None:
    trace = record(NESTED, "total([1, 2])")
    session = Session(trace)
    track = session.current
    session.jump(track, 12)
    assert (track.frame.event, track.frame.source) == (Event.LINE, "    t = 0")
    session.jump(track, "y = x * 2")
    assert (track.frame.line, track.state()["x"].text) == (7, "2")
    session.finish(track)
    session.next(track)
    assert track.frame.line == 13
    session.until(track, 15)
    assert track.frame.source == "    return t"
    session.until(track)
    assert track.frame.event is Event.RETURN
    assert session.jump(track, 2).reason == "end"
