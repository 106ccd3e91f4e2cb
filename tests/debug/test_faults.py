"""What a demonstration of a neural debugger gets wrong, each a thing that must hold here."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest

from cwm_trace import trace_execution
from cwm_trace.debug.console import Console
from cwm_trace.debug.session import Session
from cwm_trace.errors import CwmTraceError
from cwm_trace.records import Event, Frame
from tests.debug.programs import NESTED, Scripted, console_of, record


def at_sum() -> Console:
    """A session at `t += f(g(x))`, the first time, in the truth and in a prediction that is right."""
    trace = record(NESTED, "total([1, 2])")
    console = Console(Session(trace, None, Scripted(trace)))
    console.say("jump 14")
    return console


def test_out_passes_the_returns_of_nested_calls() -> None:
    console = at_sum()
    for arrival in console.say("return").arrivals:
        assert (arrival.track.frame.event, arrival.track.frame.source) == (Event.RETURN, "    return t")


def test_next_passes_every_call_of_a_line() -> None:
    console = at_sum()
    for arrival in console.say("next").arrivals:
        assert (arrival.track.frame.source, arrival.track.state()["t"].text) == ("    for x in xs:", "4")


@pytest.mark.parametrize("verb", ["rnext", "undo"])
def test_after_next_over_a_call_one_verb_leads_back(verb: str) -> None:
    console = at_sum()
    before = [track.position for track in console.session.active]
    console.say("next")
    assert [track.position for track in console.session.active] != before
    console.say(verb)
    assert [track.position for track in console.session.active] == before


@pytest.mark.parametrize("model", ["copy", "flow-copy"])
def test_a_source_keeps_letters_that_markers_are_made_of(model: str) -> None:
    console = console_of(trace_execution("FACT = 3\nx = FACT\nACT = x\n"), model)
    for arrival in console.say("jump 2").arrivals:
        assert arrival.track.frame.source == "x = FACT"
    for line in ("real 2  <string>:2 in <module>  line", "predicted 2  <string>:2 in <module>  line"):
        assert f"{line}\n-> x = FACT\n" in console.say("goto 2").text


@pytest.mark.parametrize("model", ["copy", "flow-copy"])
def test_a_line_that_occurs_twice_is_two_lines(model: str) -> None:
    console = console_of(trace_execution("n = 1\nn += 1\nn += 1\nn -= 1\n"), model)
    console.say("break 3")
    for arrival in console.say("continue").arrivals:
        assert (arrival.index, arrival.track.frame.line, arrival.track.frame.source) == (3, 3, "n += 1")
    assert console.session.tracks["real"].state()["n"].text == "2"


def test_an_edit_of_an_earlier_frame_is_what_the_model_goes_on_from() -> None:
    trace = record(NESTED, "total([1, 2])")
    scripted = Scripted(trace)
    console = Console(Session(trace, None, scripted))
    console.say("mode predicted")
    console.say("last")
    console.say("goto 4")
    console.say("set t = 100")
    fork = console.session.current
    assert fork.state()["t"].text == "100"
    console.say("step")
    assert scripted.seen == fork.timeline.frames[:5]
    assert scripted.seen[4].changed["t"].text == "100"  # type: ignore[union-attr]
    assert len(console.session.tracks["predicted"].timeline) == len(trace.frames)


def test_answers_that_are_cut_or_malformed_end_no_session() -> None:
    trace = record(NESTED, "total([1, 2])")

    def cut(index: int, frame: Frame) -> Frame | None:
        if index == 5:
            return replace(frame, line=0, source="n0t a l1ne", depth=7, activation=99)
        return None if index == 8 else frame

    console = Console(Session(trace, None, Scripted(trace, cut)))
    console.say("mode predicted")
    assert "ends here: truncated" in console.say("continue").text
    for verb in ("back", "next", "return", "rnext", "rreturn", "first", "where", "compare", "locals"):
        with contextlib.suppress(CwmTraceError):  # a sentence, and the session goes on
            console.say(verb)
    console.say("last")
    assert "execution ends" not in console.say("rcontinue").text
    console.say("mode real")
    assert console.say("continue").arrivals[0].reason == "end"
