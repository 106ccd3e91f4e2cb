"""Drafts change no result and save passes."""

from __future__ import annotations

import pytest

from cwm_trace import trace_execution
from cwm_trace.model.predict.local import LocalPredictor
from cwm_trace.predict.protocol import Request
from cwm_trace.records import Trace
from cwm_trace.wire.render import render_trace
from tests.effort import rest_in_ci
from tests.model.predict.examples import (
    Reciting,
    guessing,
    predictor,
    real_traces,
    start_of,
    taught_decoder,
    tokens,
    without_cost,
)


def passes(trace: Trace) -> int:
    assert trace.guess.cost is not None
    return trace.guess.cost.forward_passes


def result(trace: Trace) -> tuple[object, ...]:
    """Everything but what it took."""
    assert trace.guess.cost is not None
    return (
        trace.frames,
        trace.outcome,
        trace.guess.problems,
        trace.guess.cost.new_tokens,
        trace.guess.cost.free_tokens,
    )


@pytest.mark.parametrize("count", rest_in_ci([3, 10]))
@pytest.mark.parametrize("temperature", [0.0, 0.8])
@pytest.mark.parametrize("constrained", [True, False])
def test_drafts_change_nothing(constrained: bool, temperature: float, count: int) -> None:
    on, off = (
        predictor(
            constrained=constrained, temperature=temperature, top_p=0.9, max_new_tokens=60, drafts=drafts
        )
        for drafts in (True, False)
    )
    requests = [
        Request(start_of(real, 1 + index % 3), mode, sample=index)
        for index, real in enumerate(real_traces()[:count])
        for mode in ("free", "output", "step-over-0")
    ]
    together = dict(on.predict_all(requests))
    assert len(together) == len(requests)
    saved = 0
    for index, request in enumerate(requests):
        without = off.predict(request)
        alone = on.predict(request)
        assert result(alone) == result(without)
        assert result(together[index]) == result(without)
        saved += passes(without) - passes(alone)
    assert saved > 0


def test_samples_differ() -> None:
    engine = predictor(guessing(), temperature=1.0, max_new_tokens=30)
    start = start_of(real_traces()[0])
    first, again, second = (engine.predict(Request(start, sample=n)) for n in (0, 0, 1))
    assert first.frames == again.frames
    assert first.frames != second.frames or first.guess.problems != second.guess.problems


@pytest.mark.parametrize("constrained", [True, False])
def test_what_does_not_change_is_drafted_right(constrained: bool) -> None:
    for real in real_traces()[:10]:
        ids = render_trace(real, tokens=tokens())
        counts = []
        for drafts in (True, False):
            trace = reciting(ids, constrained=constrained, drafts=drafts).predict(Request(start_of(real)))
            assert render_trace(trace, tokens=tokens()) == ids
            counts.append(passes(trace))
        frames = len(real.frames) - 1
        print(f"{counts[0] / frames:.1f} passes per frame with drafts, {counts[1] / frames:.1f} without")
        assert counts[0] < counts[1] * (0.9 if constrained else 0.6)


def test_a_value_goes_on_as_the_text_that_it_repeats() -> None:
    source = "def f(xs):\n    ys = xs * 2\n    return ys\n"
    real = trace_execution(source, call="f([11, 22, 33, 44, 55, 66, 77, 88])")
    ids = render_trace(real, tokens=tokens())
    with_drafts, without = (
        reciting(ids, drafts=drafts).predict(Request(start_of(real))) for drafts in (True, False)
    )
    assert render_trace(with_drafts, tokens=tokens()) == ids
    values = len(tokens().encode(repr([11, 22, 33, 44, 55, 66, 77, 88])))
    print(passes(without), passes(with_drafts), values)
    assert (
        passes(without) - passes(with_drafts) > 2 * values
    )  # it stands there five times, twice in one of them


def test_a_wrong_draft_costs_no_pass() -> None:
    """Every pass decides at least one token, as it does without drafts."""
    for real in real_traces()[:5]:
        start = start_of(real)
        with_drafts, without = (
            predictor(guessing(), max_new_tokens=40, drafts=drafts).predict(Request(start))
            for drafts in (True, False)
        )
        assert passes(with_drafts) <= passes(without)


def test_a_stream_is_the_prediction_and_minds_nobody() -> None:
    engine = predictor(taught_decoder(), max_new_tokens=80)
    first, second = (start_of(real_traces()[at]) for at in (2, 4))
    wanted = engine.predict(Request(first))
    stream = engine.stream(Request(first))
    frames = [next(stream)]
    engine.predict(Request(second))
    other = engine.stream(Request(second))
    next(other)
    frames += stream
    assert tuple(frames) == wanted.frames[1:]
    assert without_cost(engine.predict(Request(first))) == without_cost(wanted)


def reciting(ids: list[int], **options: object) -> LocalPredictor:
    return predictor(Reciting(ids), max_text_tokens=None, max_frame_tokens=10**6, **options)
