"""The local predictor as a whole: validity by construction, batches, budgets, edited states, real folders."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.predict.local import LocalPredictor
from cwm_trace.predict.known_frames import History, Known
from cwm_trace.predict.protocol import BatchPredictor, Request
from cwm_trace.records import Decoding, Event, Outcome, Slot, SourceFile
from cwm_trace.wire.parse import parse_trace
from cwm_trace.wire.render import render_trace
from cwm_trace.wire.tokens import TraceTokens
from tests.model.pairs import save_checkpoint
from tests.model.predict.examples import (
    guessing,
    predictor,
    real_traces,
    start_of,
    taught_decoder,
    tokens,
    without_cost,
)
from tests.model.predict.naive import prompt


def every_whole_frame_is_valid(count: int) -> None:
    """Predict so many programs with random weights and read all of it again."""
    engine = predictor(guessing(), max_text_tokens=3, max_new_tokens=160, max_frame_tokens=120)
    starts = [
        replace(
            start_of(real),
            program=replace(real.program, files=(SourceFile(f"p{number}.py", real.files[0].text),)),
        )
        for number, real in enumerate(real_traces() * (count // 100))
    ]
    frames = cut = 0
    for index, trace in engine.predict_all([Request(start) for start in starts]):
        grades = {problem.grade for problem in trace.guess.problems}
        assert grades <= {"truncated"}
        assert ("truncated" in grades) <= (trace.outcome is Outcome.TRUNCATED)
        ids = render_trace(trace, tokens=tokens())[len(prompt(starts[index])) :]
        again = parse_trace(ids, program=starts[index], tokens=tokens())
        assert again.guess.problems == ()
        assert again.frames == trace.frames
        frames += len(trace.frames) - 1
        cut += trace.outcome is Outcome.TRUNCATED
    print(f"{count} programs: {frames} whole frames, all valid; {cut} predictions cut")
    assert frames > 2 * count
    assert cut > 0


def test_every_whole_frame_is_valid() -> None:
    every_whole_frame_is_valid(100)


@pytest.mark.slow
def test_every_whole_frame_of_500_programs_is_valid() -> None:
    every_whole_frame_is_valid(500)


def test_a_batch_is_what_each_is_alone() -> None:
    for options in ({}, {"constrained": False}, {"max_rows": 2}, {"max_new_tokens": 1}, {"temperature": 0.9}):
        engine = predictor(taught_decoder(), **{"max_new_tokens": 50, **options})
        assert isinstance(engine, BatchPredictor)
        requests = [
            Request(start_of(real, 1 + index % 3), mode, real if mode == "forced" else None, max_frames=4)
            for index, real in enumerate(real_traces()[:4])
            for mode in ("free", "output", "step-over", "forced")
        ]
        together = dict(engine.predict_all(requests))
        assert sorted(together) == list(range(len(requests)))
        for index, request in enumerate(requests):
            alone = engine.predict(request)
            assert without_cost(together[index]) == without_cost(alone)


def test_what_came_before_changes_nothing() -> None:
    used = predictor(taught_decoder(), max_new_tokens=40)
    requests = [
        Request(start_of(real, given), "free")
        for real in (*real_traces()[:3], real_traces()[0])
        for given in (3, 1, 2, 2)
    ]
    for request in requests:
        fresh = predictor(taught_decoder(), max_new_tokens=40)
        assert without_cost(used.predict(request)) == without_cost(fresh.predict(request))


def test_a_step_from_an_edited_state_is_that_of_the_edited_history() -> None:
    engine = predictor(taught_decoder())
    real = real_traces()[0]
    history = History(real)
    for frame in real.frames[:2]:
        history.push(frame)
    straight = engine.step(history)
    edited = replace(real.frames[1], changed={"n": Slot("7", "int")})
    other = History(real)
    for frame in (real.frames[0], edited):
        other.push(frame)
    changed = engine.step(other)
    assert straight is not None
    assert changed is not None
    alone = engine.predict(Request(replace(real, frames=(real.frames[0], edited)), max_frames=1))
    assert changed.frame == alone.frames[2]
    assert changed.state is None or changed.state == other.states.after(changed.frame)
    unedited = engine.predict(Request(start_of(real, 2), max_frames=1))
    assert straight.frame == unedited.frames[2]


def test_a_step_says_what_it_was_told() -> None:
    engine = predictor(guessing())
    real = real_traces()[0]
    history = History(real)
    history.push(real.frames[0])
    for event in (Event.LINE, Event.CALL, Event.EXCEPTION, Event.RETURN):
        prediction = engine.step(history, Known(event))
        assert prediction is not None
        assert prediction.frame.event is event
    state = {"n": Slot("1", "int"), "m": Slot("[..]")}
    prediction = engine.step(history, Known(Event.LINE, state))
    assert prediction is not None
    assert prediction.state is not None
    assert {name: slot.text for name, slot in prediction.state.items()} == {"n": "1", "m": "[..]"}


def test_budgets_end_a_prediction() -> None:
    start = start_of(real_traces()[2])
    for options in (
        {"max_new_tokens": 1},
        {"max_new_tokens": 7},
        {"max_frame_tokens": 1},
        {"max_frame_tokens": 5},
    ):
        for mode in ("free", "output", "step-over"):
            trace = predictor(guessing(), **options).predict(Request(start, mode))
            assert trace.outcome is Outcome.TRUNCATED
            assert {problem.grade for problem in trace.guess.problems} <= {"truncated"}
            assert trace.guess.cost is not None
            assert trace.guess.cost.new_tokens <= options.get("max_new_tokens", 10**6)
    none = predictor(guessing()).predict(Request(start, max_frames=0))
    assert (none.frames, none.outcome, none.guess.problems) == (start.frames, Outcome.TRUNCATED, ())
    two = predictor(guessing(), max_frame_tokens=300).predict(Request(start, max_frames=2))
    assert (len(two.frames), two.outcome) == (3, Outcome.TRUNCATED)
    ((_, nothing),) = predictor(guessing(), max_new_tokens=0).predict_all([Request(start)])
    assert (nothing.frames, nothing.outcome) == (start.frames, Outcome.TRUNCATED)
    assert "leaves no room" in nothing.warnings[0]


def test_output_of_a_trace_that_has_ended_is_nothing() -> None:
    real = real_traces()[0]
    trace = predictor(guessing()).predict(Request(real, "output"))
    assert (trace.frames, trace.outcome) == (real.frames, Outcome.RETURNED)


def test_output_inside_of_a_call_returns_from_all() -> None:
    real = real_traces()[3]
    inside = next(index for index, frame in enumerate(real.frames) if frame.depth == 1)
    trace = predictor(guessing(), max_frame_tokens=200).predict(Request(start_of(real, inside + 1), "output"))
    assert [(f.event, f.depth) for f in trace.frames[inside + 1 :]] == [(Event.RETURN, 1), (Event.RETURN, 0)]
    assert trace.outcome is Outcome.RETURNED


def test_a_prompt_that_is_too_long() -> None:
    real = real_traces()[0]
    engine = predictor(guessing())
    engine.setup = replace(engine.setup, length=20)
    request = Request(start_of(real))
    ((_, trace),) = engine.predict_all([request])
    assert (trace.frames, trace.outcome) == (real.frames[:1], Outcome.TRUNCATED)
    assert "and local reads 20 at the most" in trace.warnings[0]
    with pytest.raises(CwmTraceError, match="reads 20 at the most"):
        engine.predict(request)
    with pytest.raises(CwmTraceError, match="reads 20 at the most"):
        list(engine.stream(request))
    history = History(real)
    history.push(real.frames[0])
    with pytest.raises(CwmTraceError, match="reads 20 at the most"):
        engine.step(history)


def test_what_cannot_be_asked_is_one_sentence() -> None:
    start = start_of(real_traces()[0])
    with pytest.raises(CwmTraceError, match="needs the real trace"):
        predictor(guessing()).predict(Request(start, "forced"))
    with pytest.raises(CwmTraceError, match="there is no mode"):
        predictor(guessing()).predict(Request(start, "dream"))
    with pytest.raises(CwmTraceError, match="another program"):
        predictor(guessing()).predict(Request(start, "free", real_traces()[1]))
    with pytest.raises(CwmTraceError, match="temperature"):
        predictor(guessing(), temperature=-1.0)
    with pytest.raises(CwmTraceError, match="the tokenizer needs"):
        LocalPredictor(guessing(), wide_tokens())


def wide_tokens() -> TraceTokens:
    ids = {token: number + 1000 for token, number in tokens().ids.items()}
    return replace(tokens(), ids=ids)


def test_a_prediction_says_how_it_was_made() -> None:
    engine = predictor(guessing(), temperature=0.5, seed=4, max_new_tokens=9)
    trace = engine.predict(Request(start_of(real_traces()[0]), "output", sample=2))
    decoding = trace.guess.decoding
    assert decoding is not None
    assert (decoding.predictor, decoding.model, decoding.dtype) == ("local", "local", "float32")
    assert (decoding.constrained, decoding.temperature, decoding.seed, decoding.sample) == (True, 0.5, 4, 2)
    assert (decoding.max_new_tokens, decoding.max_frame_tokens, decoding.max_text_tokens) == (9, 60, 6)
    assert (trace.guess.mode, trace.guess.given) == ("output", 1)


def test_a_real_folder_predicts(tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path / "checkpoint")
    decoding = Decoding(max_text_tokens=3, max_new_tokens=60)
    engine = LocalPredictor.load(folder, decoding=decoding)
    assert engine.decoding.model == str(folder)
    assert engine.name == "checkpoint"
    trace = engine.predict(Request(start_of(real_traces()[0])))
    assert {problem.grade for problem in trace.guess.problems} <= {"truncated"}
    assert len(list(engine.stream(Request(start_of(real_traces()[0]))))) == len(trace.frames) - 1
    with pytest.raises(CwmTraceError):
        LocalPredictor.load(tmp_path / "nowhere")
