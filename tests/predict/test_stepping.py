from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given

from cwm_trace.errors import CwmTraceError
from cwm_trace.predict.baselines import CopyPredictor
from cwm_trace.predict.known_frames import NOTHING, History, Known, Prediction
from cwm_trace.predict.protocol import Request, require_truth
from cwm_trace.predict.stepping import roll_out
from cwm_trace.records import Decoding, Event, Frame, Outcome, Program, Run, Slot, SourceFile, Trace
from cwm_trace.states import Activations, resolve_states
from tests.traces import traces

ONE, TWO = Slot("1", "int"), Slot("2", "int")
CALL = Frame(Event.CALL, 1, "def f(a):", changed={"a": ONE})
LINE = Frame(Event.LINE, 2, "    return a")
RETURN = Frame(Event.RETURN, 2, "    return a", value=ONE)
REAL = Trace(
    Program((SourceFile("p.py", "def f(a):\n    return a\n"),), "f", 1),
    (CALL, LINE, RETURN),
    Outcome.RETURNED,
    warnings=("w",),
    run=Run(python="3.11.7", output="x", exit_code=0),
)
START = replace(REAL, frames=(CALL,))


class Scripted:
    """Says what it was told to say, and notes what it was shown."""

    def __init__(self, says: Sequence[Prediction | None]) -> None:
        self.says = list(says)
        self.seen: list[tuple[Frame, ...]] = []
        self.known: list[Known] = []

    decoding = Decoding("scripted")

    def step(self, history: History, known: Known = NOTHING) -> Prediction | None:
        self.seen.append(tuple(history.frames))
        self.known.append(known)
        return self.says.pop(0) if self.says else None


@given(traces())
def test_the_truth_step_by_step_is_the_truth(trace: Trace) -> None:
    states = Activations()
    steps = [
        Prediction(
            replace(frame, changed={}), states.advance(frame) if frame.event.name != "RETURN" else None
        )
        for frame in trace.frames
    ]
    start = replace(trace, frames=trace.frames[:1])
    free = roll_out(Scripted(steps[1:]), Request(start))
    forced = roll_out(Scripted(steps[1:]), Request(start, "forced", trace))
    for predicted in (free, forced):
        assert resolve_states(predicted.frames) == resolve_states(trace.frames)
        assert [frame.event for frame in predicted.frames] == [frame.event for frame in trace.frames]
    assert (free.guess.given, free.guess.mode, free.outcome) == (1, "free", Outcome.RETURNED)
    assert (forced.guess.given, forced.guess.mode, forced.outcome) == (1, "forced", trace.outcome)


def test_forced_steps_see_the_true_history_only() -> None:
    wrong = Prediction(Frame(Event.LINE, 9, "wrong"), {"a": TWO})
    predictor = Scripted([wrong, wrong])
    predicted = roll_out(predictor, Request(START, "forced", REAL))
    assert predictor.seen == [(CALL,), (CALL, LINE), (CALL, LINE, RETURN)]  # the last one for the end
    assert [frame.source for frame in predicted.frames] == [CALL.source, "wrong", "wrong"]
    assert resolve_states(predicted.frames) == [{"a": ONE}, {"a": TWO}, {"a": TWO}]


def test_a_forced_prediction_of_the_end_is_a_frame() -> None:
    predicted = roll_out(Scripted([None]), Request(START, "forced", REAL))
    assert [frame.event for frame in predicted.frames] == [Event.CALL, Event.END, Event.END]


def test_a_free_prediction_stops_at_its_limit() -> None:
    same = [Prediction(LINE, {"a": ONE})] * 9
    predicted = roll_out(Scripted(same), Request(START, max_frames=3))
    assert len(predicted.frames) == 4
    assert predicted.outcome is Outcome.TRUNCATED


def test_a_frame_where_nothing_follows_is_a_surplus_one() -> None:
    steps = [Prediction(LINE, {"a": ONE}), Prediction(RETURN), Prediction(LINE, {"a": ONE})]
    predicted = roll_out(Scripted(steps), Request(START, "forced", REAL))
    assert (len(predicted.frames), predicted.outcome) == (4, Outcome.INCOMPLETE)


def test_what_is_known_of_a_frame_is_told() -> None:
    right = [Prediction(LINE, {"a": ONE}), Prediction(RETURN)]
    by_event, by_state = Scripted(right), Scripted(right)
    roll_out(by_event, Request(START, "forced-event", REAL))
    roll_out(by_state, Request(START, "forced-state", REAL))
    assert by_event.known == [Known(Event.LINE), Known(Event.RETURN)]
    assert by_state.known == [Known(Event.LINE, {"a": ONE}), Known(Event.RETURN)]


def test_regrounded_blocks_start_from_the_truth_and_go_on_alone() -> None:
    wrong = Prediction(Frame(Event.LINE, 9, "wrong"), {"a": TWO})
    predictor = Scripted([wrong, wrong])
    predicted = roll_out(predictor, Request(START, "reground-2", REAL))
    guessed = replace(wrong.frame, changed={"a": TWO})
    assert predictor.seen == [(CALL,), (CALL, guessed)]
    assert resolve_states(predicted.frames) == [{"a": ONE}, {"a": TWO}, {"a": TWO}]
    ended = roll_out(Scripted([None]), Request(START, "reground-2", REAL))
    assert [frame.event for frame in ended.frames] == [Event.CALL, Event.END, Event.END]


@given(traces())
def test_blocks_of_one_frame_are_forced(trace: Trace) -> None:
    start = replace(trace, frames=trace.frames[:1])
    copy = CopyPredictor()
    forced = roll_out(copy, Request(start, "forced", trace)).frames[: len(trace.frames)]
    assert roll_out(copy, Request(start, "reground-1", trace)).frames == forced


def test_output_asks_for_the_return_only() -> None:
    predictor = Scripted([Prediction(RETURN)])
    predicted = roll_out(predictor, Request(START, "output"))
    assert predictor.known == [Known(Event.RETURN)]
    assert (predicted.frames, predicted.outcome) == ((CALL, RETURN), Outcome.RETURNED)


def test_step_over_returns_from_what_is_too_deep() -> None:
    inner = replace(CALL, activation=1, depth=1)
    back = replace(RETURN, activation=1, depth=1)
    predictor = Scripted([Prediction(inner, {}), Prediction(back), Prediction(LINE, {"a": ONE}), None])
    predicted = roll_out(predictor, Request(START, "step-over-0"))
    assert predictor.known == [NOTHING, Known(Event.RETURN), NOTHING, NOTHING]
    assert predicted.guess.mode == "step-over-0"


def test_an_empty_state_is_a_state() -> None:
    predicted = roll_out(Scripted([Prediction(LINE, {}), Prediction(LINE)]), Request(START))
    assert resolve_states(predicted.frames) == [{"a": ONE}, {}, {}]


def test_a_prediction_does_not_claim_the_facts_of_the_run() -> None:
    predicted = roll_out(Scripted([]), Request(START))
    assert (predicted.run.python, predicted.run.output, predicted.run.exit_code) == ("", None, None)
    assert predicted.warnings == ()


def test_what_cannot_be_done_is_one_sentence() -> None:
    with pytest.raises(CwmTraceError, match="no mode 'dream': choose one of free, forced"):
        roll_out(Scripted([]), Request(START, "dream"))
    with pytest.raises(CwmTraceError, match="needs the real trace"):
        roll_out(Scripted([]), Request(START, "forced"))
    other = replace(REAL, program=replace(REAL.program, files=(SourceFile("p.py", "pass\n"),)))
    with pytest.raises(CwmTraceError, match="another program"):
        require_truth(Request(START, "forced", other), "it")


def test_a_history_knows_the_open_activations() -> None:
    history = History(REAL)
    inner = replace(CALL, activation=1, depth=1, changed={"a": TWO})
    for frame in (CALL, LINE, inner):
        history.push(frame)
    assert history.stack == [LINE, inner]
    assert history.states.state(1) == {"a": TWO}
    history.push(replace(RETURN, activation=1, depth=1))
    assert history.stack == [LINE]
    history.push(RETURN)
    assert history.stack == []
