from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from cwm_trace import trace_execution
from cwm_trace.errors import CwmTraceError
from cwm_trace.eval.comparison.score import score_program
from cwm_trace.flow import Flow, analyse
from cwm_trace.predict.baselines import BASELINES, CopyPredictor, OraclePredictor
from cwm_trace.predict.protocol import Predictor, Request
from cwm_trace.records import UNCHANGED, Event, Frame, Outcome, Program, Slot, SourceFile, Trace
from cwm_trace.states import resolve_states
from tests.effort import examples
from tests.traces import traces

MODES = ["free", "forced", "forced-event", "forced-state", "reground-3", "output", "step-over-1"]
TEXT = "def f(a):\n    # why\n\n    b = a\n    return b\nf(1)\n"
CALL = Frame(Event.CALL, 1, "def f(a):", changed={"a": Slot("1", "int")})
START = Trace(Program((SourceFile("p.py", TEXT),), "f", 1), (CALL,))


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
    start = replace(
        START,
        frames=(Frame(Event.CALL, 0, ""),),
        program=replace(START.program, entry="<module>", entry_line=0),
    )
    predicted = CopyPredictor().predict(Request(start))
    assert [frame.line for frame in predicted.frames] == [0, 1, 4, 5, 6, 6]


def test_copy_of_an_empty_program_returns() -> None:
    start = Trace(Program((SourceFile("p.py", ""),), "<module>"), (Frame(Event.CALL, 0, ""),))
    assert [f.event for f in CopyPredictor().predict(Request(start)).frames] == [Event.CALL, Event.RETURN]


@pytest.mark.parametrize("mode", MODES)
@examples(0.3)
@given(trace=traces())
def test_baselines_continue_any_trace(mode: str, trace: Trace) -> None:
    start = replace(trace, frames=trace.frames[:1])
    for name, make in BASELINES.items():
        predictor: Predictor = make()
        predicted = predictor.predict(Request(start, mode, trace, max_frames=20))
        assert predictor.name == name
        assert predicted.frames[:1] == trace.frames[:1]
        assert (predicted.guess.given, predicted.guess.mode, predicted.run.python) == (1, mode, "")
        if mode.startswith(("forced-", "reground")):
            assert len(predicted.frames) == len(trace.frames)


@examples(0.5)
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
    truth = replace(START, frames=frames, outcome=Outcome.RETURNED, run=replace(START.run, python="3.11.7"))
    predicted = OraclePredictor().predict(Request(START, "free", truth))
    assert (predicted.frames, predicted.outcome) == (frames, Outcome.RETURNED)
    cut = OraclePredictor().predict(Request(START, "free", truth, max_frames=1))
    assert (cut.frames, cut.outcome) == (frames[:2], Outcome.TRUNCATED)
    with pytest.raises(CwmTraceError, match="real trace"):
        OraclePredictor().predict(Request(START))


LOOP = """\
def f(n):
    total = 0
    while n:
        total += g(n)
        n -= 1
    return total

def g(n):
    return n
"""


def lines_of(name: str, mode: str, trace: Trace) -> list[tuple[Event, int]]:
    start = replace(trace, frames=trace.frames[:1])
    predicted = BASELINES[name]().predict(Request(start, mode, trace))
    return [(frame.event, frame.line) for frame in predicted.frames]


def test_what_came_most_often_comes_again() -> None:
    """Once around the loop is enough: the second time every line is right, but for the end of the loop."""
    real = trace_execution(LOOP, call="f(3)")
    said = lines_of("frequent", "forced", real)
    true = [(frame.event, frame.line) for frame in real.frames]
    first, second = [i for i, place in enumerate(true) if place == (Event.LINE, 3)][:2]
    wrong = [true[i] for i in range(second + 1, len(true)) if said[i] != true[i]]
    assert wrong == [(Event.LINE, 6)]
    assert sum(a == b for a, b in zip(said[first:second], true[first:second], strict=True)) < second - first


def test_a_return_that_was_seen_is_seen_again() -> None:
    real = trace_execution(
        "def f(n):\n    return [g() for _ in range(n)]\n\ndef g():\n    return 7\n", call="f(3)"
    )
    start = replace(real, frames=real.frames[:1])
    predicted = BASELINES["frequent"]().predict(Request(start, "forced", real))
    pairs = zip(predicted.frames, real.frames, strict=True)
    values = [(p.value, r.value) for p, r in pairs if r.line == 5 and r.event is Event.RETURN]
    assert values[0][0] != values[0][1]
    assert all(said == true for said, true in values[1:])


@examples(0.3)
@given(traces())
def test_a_history_that_is_taken_back_counts_as_if_it_had_never_been(trace: Trace) -> None:
    """Blocks fork the history; a new predictor for each block says the same."""
    start = replace(trace, frames=trace.frames[:1])
    blocks = BASELINES["frequent"]().predict(Request(start, "reground-2", trace))
    for begin in range(1, len(trace.frames), 2):
        history = replace(trace, frames=trace.frames[:begin])
        alone = BASELINES["frequent"]().predict(Request(history, "free", None, max_frames=2))
        said = [(f.event, f.line) for f in alone.frames[begin:]]
        both = [(f.event, f.line) for f in blocks.frames[begin : begin + 2]]
        assert both[: len(said)] == said[: len(both)]


def test_unchanged_is_dangling_after_a_call_that_returned() -> None:
    real = trace_execution(LOOP, call="f(1)")
    start = replace(real, frames=real.frames[:1])
    predicted = BASELINES["unchanged"]().predict(Request(start, "forced-event", real))
    states = resolve_states(predicted.frames)
    after_return = next(i for i, f in enumerate(real.frames) if (f.event, f.line) == (Event.LINE, 5))
    before_call = next(i for i, f in enumerate(real.frames) if (f.event, f.line) == (Event.LINE, 4))
    assert {slot.text for slot in (states[after_return] or {}).values()} == {UNCHANGED}
    assert states[before_call] == {"n": Slot("1", "int", 1), "total": Slot("0", "int", 0)}


def test_halting_is_right_once() -> None:
    real = trace_execution(LOOP, call="f(1)")
    start = replace(real, frames=real.frames[:1])
    score = score_program(real, BASELINES["halt"]().predict(Request(start, "forced", real)))
    assert score.events.true_positives == 1
    assert score.events.false_negatives == score.length
    free = BASELINES["halt"]().predict(Request(start, "free"))
    assert (free.frames, free.outcome) == (real.frames[:1], Outcome.RETURNED)


def test_flow_copy_takes_the_first_legal_line() -> None:
    """Around the loop every line is the real one; the end of the loop, and the call, are choices."""
    real = trace_execution(LOOP, call="f(3)")
    said = lines_of("flow-copy", "forced", real)
    true = [(frame.event, frame.line) for frame in real.frames]
    wrong = [place for place, guess in zip(true, said, strict=True) if place != guess]
    assert wrong == [(Event.CALL, 1), *[(Event.CALL, 8)] * 3, (Event.LINE, 6)]
    assert len(wrong) < sum(a != b for a, b in zip(true, lines_of("copy", "forced", real), strict=True))


def test_flow_copy_only_says_what_is_legal() -> None:
    real = trace_execution(LOOP, call="f(3)")
    for mode in ("free", "forced"):
        start = replace(real, frames=real.frames[:1])
        said = BASELINES["flow-copy"]().predict(Request(start, mode, real, max_frames=30))
        flow = Flow(analyse(real), real.frames[:1])
        for index, frame in enumerate(said.frames[1:], 1):
            assert frame.event is not Event.END
            assert flow.legal().allows(frame.event, frame.file, frame.line)
            flow.push(real.frames[index] if mode == "forced" else frame)
