"""Rules of stops, one by one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cwm_trace.debug.session import Session
from cwm_trace.debug.stops import AtFunction, AtLine, OnException, OnSurprise, OnWrite, Place, surprise
from cwm_trace.errors import CwmTraceError
from cwm_trace.records import Event, Frame
from tests.debug.programs import CAUGHT, NESTED, Scripted, record


def stops(source: str, call: str, place: Place, condition: str = "", hits: str = "") -> list[str]:
    """What is at every stop: the line and the variables."""
    session = Session(record(source, call))
    session.stops.add(place, condition, hits)
    track, found = session.current, []
    while (arrival := session.go_on(track)).reason != "end":
        shown = ",".join(f"{name}={slot.text}" for name, slot in track.state().items())
        found.append(f"{track.frame.event.value} {arrival.track.frame.line} {shown}")
    return found


def test_lines() -> None:
    assert stops(NESTED, "total([1, 2])", AtLine(0, 2)) == ["line 2 x=1", "line 2 x=2"]


def test_functions_stop_at_their_calls() -> None:
    assert stops(NESTED, "total([1, 2])", AtFunction("f", 0, 6)) == ["call 6 x=2", "call 6 x=3"]


def test_conditions_that_cannot_be_evaluated_are_false() -> None:
    assert stops(NESTED, "total([1, 2])", AtLine(0, 2), condition="x > 1") == ["line 2 x=2"]
    assert stops(NESTED, "total([1, 2])", AtLine(0, 2), condition="nothing.here") == []


@pytest.mark.parametrize(
    ("hits", "times"),
    [("2", [2]), ("==2", [2]), (">1", [2, 3]), (">=3", [3]), ("<2", [1]), ("<=2", [1, 2]), ("%2", [2])],
)
def test_hits_are_counted_from_the_start(hits: str, times: list[int]) -> None:
    found = stops(NESTED, "total([1, 2, 3])", AtLine(0, 2), hits=hits)
    assert found == [f"line 2 x={time}" for time in times]


def test_a_hit_count_that_is_none_is_a_sentence() -> None:
    with pytest.raises(CwmTraceError, match="'often' is none"):
        stops(NESTED, "f(1)", AtLine(0, 2), hits="often")


def test_writes_are_those_of_one_function() -> None:
    assert stops(NESTED, "total([1])", OnWrite("y", "f")) == ["line 8 x=2,y=4"]
    assert len(stops(NESTED, "total([1])", OnWrite("y"))) == 2


def test_exceptions_stop_where_they_are_raised() -> None:
    assert stops(CAUGHT, "run()", OnException()) == ["exception 3 n=2"]
    assert stops(CAUGHT, "run()", OnException("ValueError")) == ["exception 3 n=2"]
    assert stops(CAUGHT, "run()", OnException("KeyError")) == []
    assert stops(CAUGHT, "run()", OnException(uncaught=True)) == []
    assert stops(CAUGHT, "check(5)", OnException(uncaught=True)) == ["exception 3 n=5"]


def test_log_points_say_and_do_not_stop_both_ways() -> None:
    session = Session(record(NESTED, "total([1, 2])"))
    session.stops.add(AtLine(0, 14), log="t is {t}, {t.x}")
    track = session.current
    there = session.go_on(track)
    assert there.reason == "end"
    assert [text.partition(",")[0] for _, text in there.logs] == ["t is 0", "t is 4"]
    assert "not offered" in there.logs[0][1]
    assert [text.partition(",")[0] for _, text in session.back_on(track).logs] == ["t is 4", "t is 0"]


def test_a_temporary_stop_stops_once() -> None:
    session = Session(record(NESTED, "total([1, 2])"))
    session.stops.add(AtLine(0, 2), once=True)
    assert session.go_on(session.current).reason == "breakpoint"
    assert session.go_on(session.current).reason == "end"


def test_surprise_is_that_of_all_tokens() -> None:
    trace = record(NESTED, "f(3)")

    def score(index: int, frame: Frame) -> Frame:
        return replace(frame, logprobs={"event": (-0.5,), "value": (-1.0, -2.0 if index == 3 else -0.1)})

    session = Session(trace, predictor=Scripted(trace, score))
    session.stops.add(OnSurprise(3))
    track = session.tracks["predicted"]
    arrival = session.go_on(track)
    assert (arrival.reason, arrival.index, surprise(track.frame)) == ("surprise", 3, 3.5)
    assert session.go_on(track).reason == "end"


def test_the_definition_of_a_function_is_where_it_is_called() -> None:
    found = stops(NESTED, "f(2)", AtLine(0, 6, is_definition=True))
    assert found == ["call 6 x=2"]
    assert all(Event.CALL.value in each for each in found)
