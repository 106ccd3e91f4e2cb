"""Sessions: moves, stops and forks against a model of them that only reads frames."""

from __future__ import annotations

from dataclasses import replace

import hypothesis.strategies as st
import pytest
from hypothesis import given
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cwm_trace.debug.predicted import PredictedTimeline
from cwm_trace.debug.session import Session
from cwm_trace.debug.stops import AtLine, OnWrite
from cwm_trace.debug.track import Track
from cwm_trace.errors import CwmTraceError
from cwm_trace.predict.known_frames import History, Known, Prediction
from cwm_trace.records import Event, Frame, Trace
from cwm_trace.states import resolve_states
from tests.debug.programs import NESTED, Scripted, record, without_types
from tests.debug.test_travel import Naive, naive_call, naive_next, naive_previous, naive_return
from tests.traces import NAMES, traces

FORWARD: dict[str, Naive] = {
    "step": lambda frames, at: at + 1 if at + 1 < len(frames) else None,
    "next": naive_next,
    "finish": naive_return,
    "go_on": lambda frames, at: None,
}
BACK: dict[str, Naive] = {
    "back": lambda frames, at: at - 1 if at else None,
    "back_over": naive_previous,
    "back_to_call": naive_call,
    "back_on": lambda frames, at: None,
}


class Machine(RuleBasedStateMachine):
    """Everything that one does to a session, and where that must lead."""

    @initialize(trace=traces())
    def begin(self, trace: Trace) -> None:
        self.trace = trace
        self.session = Session(trace, predictor=Scripted(without_types(trace)))
        self.positions = dict.fromkeys(self.session.tracks, 0)
        self.undo: dict[str, list[int]] = {name: [] for name in self.positions}
        self.lines: set[tuple[int, int]] = set()
        self.names: set[str] = set()

    def is_stop(self, frame: Frame) -> bool:
        at_line = frame.event is Event.LINE and (frame.file, frame.line) in self.lines
        return at_line or bool(self.names & set(frame.changed))

    def pick(self, data: st.DataObject) -> Track:
        return self.session.tracks[data.draw(st.sampled_from(sorted(self.session.tracks)))]

    def whole(self, track: Track) -> tuple[Frame, ...]:
        """Every frame there is to come, found out on a copy."""
        timeline = track.timeline
        if not isinstance(timeline, PredictedTimeline):
            return self.trace.frames
        copy = PredictedTimeline(timeline.predictor, self.session.program, timeline.frames)
        while copy.grow():
            pass
        return tuple(copy.frames)

    def arrive(self, track: Track, index: int) -> None:
        if index != self.positions[track.name]:
            self.undo[track.name].append(self.positions[track.name])
        self.positions[track.name] = index

    @rule(data=st.data(), name=st.sampled_from(sorted(FORWARD)))
    def forward(self, data: st.DataObject, name: str) -> None:
        track = self.pick(data)
        frames, start = self.whole(track), self.positions[track.name]
        goal = FORWARD[name](frames, start)
        last = len(frames) - 1 if goal is None else goal
        expected = next((i for i in range(start + 1, last + 1) if self.is_stop(frames[i])), last)
        arrival = getattr(self.session, name)(track)
        assert arrival.index == expected
        self.arrive(track, expected)

    @rule(data=st.data(), name=st.sampled_from(sorted(BACK)))
    def backward(self, data: st.DataObject, name: str) -> None:
        track = self.pick(data)
        frames, start = self.whole(track), self.positions[track.name]
        goal = BACK[name](frames, start)
        last = 0 if goal is None else goal
        expected = next((i for i in range(start - 1, last - 1, -1) if self.is_stop(frames[i])), last)
        getattr(self.session, name)(track)
        self.arrive(track, expected)

    @rule(data=st.data())
    def go_to(self, data: st.DataObject) -> None:
        track = self.pick(data)
        index = data.draw(st.integers(0, len(self.whole(track)) - 1))
        self.session.go_to(track, index)
        self.arrive(track, index)

    @rule(data=st.data())
    def take_back(self, data: st.DataObject) -> None:
        track = self.pick(data)
        assert track.undo() is bool(self.undo[track.name])
        if self.undo[track.name]:
            self.positions[track.name] = self.undo[track.name].pop()

    @rule(data=st.data())
    def stop_at_a_line(self, data: st.DataObject) -> None:
        frame = data.draw(st.sampled_from(self.trace.frames))
        self.lines.add((frame.file, frame.line))
        self.session.stops.add(AtLine(frame.file, frame.line))

    @rule(name=st.sampled_from(NAMES))
    def watch(self, name: str) -> None:
        self.names.add(name)
        self.session.stops.add(OnWrite(name))

    @precondition(lambda self: self.lines or self.names)
    @rule()
    def clear(self) -> None:
        self.session.stops.rules.clear()
        self.lines, self.names = set(), set()

    @rule(data=st.data(), value=st.sampled_from(["0", "[1]", "'x'"]))
    def write(self, data: st.DataObject, value: str) -> None:
        track = self.pick(data)
        if track.frame.event not in (Event.CALL, Event.LINE) or len(self.session.tracks) > 5:
            return
        before = {name: list(other.timeline.frames) for name, other in self.session.tracks.items()}
        fork = self.session.write(track, "x", value)
        assert fork.state()["x"].text == value
        assert [*fork.timeline.frames[:-1]] == before[track.name][: track.position]
        assert {
            name: other.timeline.frames for name, other in self.session.tracks.items() if name in before
        } == before
        self.positions[fork.name], self.undo[fork.name] = fork.position, []

    @rule(data=st.data())
    def ground(self, data: st.DataObject) -> None:
        track = self.pick(data)
        truth = track if track.name == "real" else track.truth
        if truth is None or track.position >= len(self.trace.frames) or len(self.session.tracks) > 5:
            return
        fork = self.session.ground(track)
        assert tuple(fork.timeline.frames) == self.trace.frames[: track.position + 1]
        self.positions[fork.name], self.undo[fork.name] = fork.position, []

    @invariant()
    def everything_stands_where_it_should(self) -> None:
        if not hasattr(self, "session"):
            return
        assert {name: track.position for name, track in self.session.tracks.items()} == self.positions
        for track in self.session.tracks.values():
            state = resolve_states(track.timeline.frames)[track.position]
            if state is not None:
                assert track.state() == state


TestMachine = Machine.TestCase


@given(traces(), st.data())
def test_going_back_meets_the_same_stops_reversed(trace: Trace, data: st.DataObject) -> None:
    session = Session(trace)
    for frame in data.draw(st.lists(st.sampled_from(trace.frames), min_size=1, max_size=3)):
        hits = data.draw(st.sampled_from(["", "2", ">1", "%2"]))
        session.stops.add(AtLine(frame.file, frame.line), hits=hits)
    session.stops.add(OnWrite(data.draw(st.sampled_from(NAMES))))
    track, there, back = session.current, [], []
    while (arrival := session.go_on(track)).reason != "end":
        there.append(arrival.index)
    while (arrival := session.back_on(track)).reason != "start":
        back.append(arrival.index)
    ends = (0, len(trace.frames) - 1)  # where one stands already, or is stopped anyway
    assert [at for at in there if at not in ends] == [at for at in reversed(back) if at not in ends]


def test_a_prediction_is_made_step_by_step_and_remembered() -> None:
    trace = record(NESTED, "f(3)")
    scripted = Scripted(trace)
    session = Session(trace, predictor=scripted)
    track = session.tracks["predicted"]
    assert scripted.asked == []
    session.step(track)
    session.step(track)
    session.back(track)
    session.step(track)
    assert [index for index, _ in scripted.asked] == [1, 2]


def test_a_prediction_leaps_over_a_call_by_a_forced_return() -> None:
    trace = record(NESTED, "f(g(3))")
    scripted = Scripted(trace)
    session = Session(trace, predictor=scripted)
    session.jumps = True
    track = session.tracks["predicted"]
    session.step(track)
    session.next(track)  # over g and f, of which nothing but a CALL and a RETURN is predicted
    timeline = track.timeline
    assert isinstance(timeline, PredictedTimeline)
    assert [leap.style for leap in timeline.leaps.values()] == ["composed"] * len(timeline.leaps)
    assert {known.event for _, known in scripted.asked if known.event} == {Event.RETURN}


class Leaper(Scripted):
    """A model that was trained to jump."""

    def jump(self, history: History, action: str) -> Prediction | None:
        frames, at = self._trace.frames, len(history.frames) - 1
        goal = naive_next(frames, at) if action == "step_over" else naive_return(frames, at)
        return None if goal is None else Prediction(frames[goal], resolve_states(frames)[goal])


def test_a_model_that_can_jump_is_asked_to() -> None:
    trace = record(NESTED, "total([1])")
    session = Session(trace, predictor=Leaper(trace))
    session.jumps = True
    track = session.tracks["predicted"]
    session.step(track)
    arrival = session.next(track)
    assert arrival.track.frame.event is Event.RETURN
    assert arrival.track.frame.depth == 0
    assert len(track.timeline) == 3
    assert session.divergence(track) is None  # the truth beside it passes the call over too


class Dead(Scripted):
    """A server that went away."""

    def step(self, history: History, known: Known = Known()) -> Prediction | None:  # noqa: B008
        raise CwmTraceError("the server does not answer: connection refused")


def test_a_dead_server_is_a_sentence_and_the_session_lives() -> None:
    trace = record(NESTED, "f(3)")
    session = Session(trace, predictor=Dead(trace))
    real, predicted = session.active
    with pytest.raises(CwmTraceError, match="does not answer"):
        session.step(predicted)
    assert predicted.position == 0
    assert session.step(real).index == 1


def test_a_prediction_that_goes_on_is_interrupted() -> None:
    trace = record(NESTED, "f(3)")
    session = Session(trace, predictor=Scripted(trace))
    track = session.tracks["predicted"]
    session.step(track)
    session.cancel.set()
    arrival = session.go_on(track)
    assert (arrival.reason, arrival.index) == ("pause", 1)
    session.cancel.clear()
    assert session.go_on(track).reason == "end"


def test_the_first_divergence_is_a_stop_both_ways() -> None:
    trace = record(NESTED, "total([1, 2])")

    def wrong(index: int, frame: Frame) -> Frame:
        return replace(frame, line=frame.line + 1) if index == 6 else frame

    session = Session(trace, predictor=Scripted(trace, wrong))
    from cwm_trace.debug.stops import OnDivergence

    session.stops.add(OnDivergence(session.divergence_of))
    track = session.tracks["predicted"]
    assert (session.go_on(track).index, session.divergence(track)) == (6, 6)
    session.to_end(track)
    assert session.back_on(track).index == 6


def test_grounding_gives_the_model_the_truth() -> None:
    trace = record(NESTED, "f(3)")

    def wrong(index: int, frame: Frame) -> Frame:
        return replace(frame, line=99) if index == 2 else frame

    scripted = Scripted(trace, wrong)
    session = Session(trace, predictor=scripted)
    predicted = session.tracks["predicted"]
    session.run(predicted, 3)
    fork = session.ground(predicted)
    session.step(fork)
    assert scripted.seen == list(trace.frames[:4])
    assert session.divergence(fork) is None
    assert session.divergence(predicted) == 2


def test_bad_writes_are_refused_in_a_sentence() -> None:
    session = Session(record(NESTED, "f(3)"), predictor=Scripted(record(NESTED, "f(3)")))
    real = session.current
    for name, value, why in [
        ("x", "open('f')", "literal"),
        ("a.b", "1", "no variable"),
        ("x", "(", "expression"),
    ]:
        with pytest.raises(CwmTraceError, match=why):
            session.write(real, name, value)
    session.to_end(real)
    with pytest.raises(CwmTraceError, match="shows no variables"):
        session.write(real, "x", "1")


def test_an_empty_trace_has_nothing_to_begin_with() -> None:
    trace = record(NESTED, "f(3)")
    with pytest.raises(CwmTraceError, match="no frame"):
        Session(replace(trace, frames=()))
