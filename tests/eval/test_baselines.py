from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings

from cwm_trace.errors import CwmTraceError
from cwm_trace.eval.baselines import BASELINES, CopyPredictor, OraclePredictor
from cwm_trace.predictor import Predictor, Request
from cwm_trace.records import Event, Frame, Outcome, Slot, SourceFile, Trace
from cwm_trace.states import resolve_states
from tests.traces import traces

TEXT = "def f(a):\n    # why\n\n    b = a\n    return b\nf(1)\n"
CALL = Frame(Event.CALL, 1, "def f(a):", changed={"a": Slot("1", "int")})
START = Trace((SourceFile("p.py", TEXT),), "f", 1, (CALL,))


def test_copy_goes_down_the_text_of_the_function() -> None:
    predicted = CopyPredictor().predict(Request(START))
    assert [(f.event, f.line, f.source) for f in predicted.frames[1:]] == [
        (Event.LINE, 4, "    b = a"),
        (Event.LINE, 5, "    return b"),
        (Event.RETURN, 5, "    return b"),
    ]
    assert resolve_states(predicted.frames)[2] == {"a": Slot("1", "int")}
    assert predicted.value == Slot("None", "NoneType")
    assert predicted.outcome is Outcome.RETURNED


def test_copy_goes_down_a_whole_script() -> None:
    start = replace(START, entry="<module>", entry_line=0, frames=(Frame(Event.CALL, 0, ""),))
    predicted = CopyPredictor().predict(Request(start))
    assert [frame.line for frame in predicted.frames] == [0, 1, 4, 5, 6, 6]


def test_copy_of_an_empty_program_returns() -> None:
    start = Trace((SourceFile("p.py", ""),), "<module>", frames=(Frame(Event.CALL, 0, ""),))
    assert [f.event for f in CopyPredictor().predict(Request(start)).frames] == [Event.CALL, Event.RETURN]


@pytest.mark.parametrize("mode", ["free", "forced"])
@settings(max_examples=50)
@given(trace=traces())
def test_baselines_continue_any_trace(mode: str, trace: Trace) -> None:
    start = replace(trace, frames=trace.frames[:1])
    for name, make in BASELINES.items():
        predictor: Predictor = make()
        predicted = predictor.predict(Request(start, mode, trace, max_frames=20))
        assert predictor.name == name
        assert predicted.frames[:1] == trace.frames[:1]
        assert (predicted.given, predicted.mode, predicted.python) == (1, mode, "")
        if mode == "forced" and name == "copy":
            assert len(predicted.frames) == len(trace.frames)


@settings(max_examples=50)
@given(traces())
def test_copy_changes_nothing_when_forced(trace: Trace) -> None:
    start = replace(trace, frames=trace.frames[:1])
    predicted = CopyPredictor().predict(Request(start, "forced", trace))
    before = dict[int, object]()
    real = resolve_states(trace.frames)
    for frame, state, guess, true in zip(
        trace.frames, real, resolve_states(predicted.frames), predicted.frames, strict=True
    ):
        if guess is not None and true is not trace.frames[0]:
            assert guess == before.get(true.activation, {})
        if state is not None:
            before[frame.activation] = state


def test_the_oracle_replays_and_can_be_cut() -> None:
    frames = (CALL, Frame(Event.LINE, 4, "    b = a"), Frame(Event.RETURN, 4, "    b = a", value=Slot("1")))
    truth = replace(START, frames=frames, outcome=Outcome.RETURNED, python="3.11.7")
    predicted = OraclePredictor().predict(Request(START, "free", truth))
    assert (predicted.frames, predicted.outcome) == (frames, Outcome.RETURNED)
    cut = OraclePredictor().predict(Request(START, "free", truth, max_frames=1))
    assert (cut.frames, cut.outcome) == (frames[:2], Outcome.TRUNCATED)
    with pytest.raises(CwmTraceError, match="real trace"):
        OraclePredictor().predict(Request(START))
