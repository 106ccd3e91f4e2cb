"""The truth as a draft equals naive prediction: frame by frame, block by block, and without the truth."""

from __future__ import annotations

import copy
import time
from dataclasses import replace

import pytest
from torch import Tensor

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.decoder import Decoder
from cwm_trace.model.predict.decoders.torch import TorchDecoder
from cwm_trace.model.predict.local import EngineBackend, LocalPredictor
from cwm_trace.predict.protocol import Request
from cwm_trace.predict.stepping import roll_out
from cwm_trace.records import Event, Frame, Outcome, Trace
from cwm_trace.states import resolve_states
from cwm_trace.wire.profile import FormatProfile
from cwm_trace.wire.render import render_trace
from tests.effort import rest_in_ci
from tests.model.predict.examples import Reciting, predictor, real_traces, start_of, tokens
from tests.model.predict.naive import prompt, shown


def along(engine: LocalPredictor, mode: str, traces: list[Trace]) -> list[Trace]:
    return [engine.predict(Request(start_of(real), mode, real)) for real in traces]


@pytest.mark.parametrize(
    "count", [5, pytest.param(20, marks=pytest.mark.ci), pytest.param(100, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("constrained", [True, False])
def test_forced_is_naive_prediction_frame_by_frame(constrained: bool, count: int) -> None:
    traces = real_traces()[:count]
    follow = predictor(constrained=constrained, max_frame_tokens=30)
    naive = predictor(constrained=constrained, max_frame_tokens=30, drafts=False)
    counted = count_passes(naive)
    began = time.perf_counter()
    predicted = along(follow, "forced", traces)
    between = time.perf_counter()
    passes = 0
    frames = right = 0
    for real, trace in zip(traces, predicted, strict=True):
        wanted = roll_out(naive, Request(start_of(real), "forced", real))
        assert trace.frames == wanted.frames
        assert trace.outcome is wanted.outcome
        assert trace.guess.cost is not None
        passes += trace.guess.cost.forward_passes
        frames += len(trace.frames) - 1
        right += sum(a[:3] == b[:3] for a, b in zip(shown(trace.frames), shown(real.frames), strict=False))
    ended = time.perf_counter()
    print(
        f"{len(traces)} traces, {frames} frames, constrained={constrained}: {passes} passes and "
        f"{between - began:.1f} s along the truth, {counted[0]} passes and {ended - between:.1f} s one by one"
    )
    assert 0.1 < right / frames < 0.95  # neither a model that knows nothing nor one that knows all
    assert 2 * passes < counted[0]


def fit(engine: LocalPredictor, length: int) -> None:
    """Let the model read so many tokens."""
    engine.setup = replace(engine.setup, length=length)


def count_passes(engine: LocalPredictor) -> list[int]:
    """Counts the passes of a predictor from now on; every pass asks for logits once."""
    count = [0]
    backend = engine.setup.backend
    assert isinstance(backend, EngineBackend)
    assert isinstance(backend.decoder, TorchDecoder)
    decoder = copy.copy(backend.decoder.decoder)

    def logits(states: Tensor) -> Tensor:
        count[0] += 1
        return Decoder.logits(decoder, states)

    decoder.logits = logits  # type: ignore[method-assign]
    backend.decoder = TorchDecoder(decoder)
    return count


@pytest.mark.parametrize("count", rest_in_ci([3, 10]))
@pytest.mark.parametrize("mode", ["forced-event", "forced-state"])
@pytest.mark.parametrize("constrained", [True, False])
def test_with_a_part_of_each_frame_given(mode: str, constrained: bool, count: int) -> None:
    traces = real_traces()[:count]
    follow = predictor(constrained=constrained, logprobs=True)
    naive = predictor(constrained=constrained, drafts=False, logprobs=True)
    for real, trace in zip(traces, along(follow, mode, traces), strict=True):
        wanted = roll_out(naive, Request(start_of(real), mode, real))
        assert bare(trace.frames) == bare(wanted.frames)
        for found, one_by_one in zip(trace.frames, wanted.frames, strict=True):
            same_logprobs(found, one_by_one)


def bare(frames: tuple[Frame, ...]) -> list[Frame]:
    return [replace(frame, logprobs=None) for frame in frames]


def same_logprobs(one: Frame, other: Frame) -> None:
    assert (one.logprobs is None) == (other.logprobs is None)
    if one.logprobs is not None and other.logprobs is not None:
        assert one.logprobs.keys() == other.logprobs.keys()
        for name, values in one.logprobs.items():
            assert values == pytest.approx(other.logprobs[name], abs=1e-4)


@pytest.mark.parametrize("count", rest_in_ci([3, 10]))
@pytest.mark.parametrize("constrained", [True, False])
def test_blocks_are_free_predictions_from_the_true_history(constrained: bool, count: int) -> None:
    follow = predictor(constrained=constrained)
    naive = predictor(constrained=constrained, drafts=False)
    for real in real_traces()[:count]:
        trace = follow.predict(Request(start_of(real), "reground-3", real))
        assert len(trace.frames) == len(real.frames)
        for start in range(1, len(real.frames), 3):
            block = len(real.frames[start : start + 3])
            alone = naive.predict(Request(start_of(real, start), max_frames=block))
            whole = alone.frames[start:]
            found = trace.frames[start : start + block]
            states = resolve_states(trace.frames)[start : start + block]
            wanted = resolve_states(alone.frames)[start:]
            assert [replace(f, changed={}) for f in found[: len(whole)]] == [
                replace(f, changed={}) for f in whole
            ]
            assert states[: len(whole)] == wanted
            assert all(frame.event is Event.END or not frame.source for frame in found[len(whole) :])


@pytest.mark.parametrize("count", rest_in_ci([3, 10]))
@pytest.mark.parametrize("temperature", [0.0, 0.7])
@pytest.mark.parametrize("constrained", [True, False])
def test_free_is_the_same_with_and_without_the_truth(
    constrained: bool, temperature: float, count: int
) -> None:
    engine = predictor(
        constrained=constrained, temperature=temperature, max_new_tokens=100, logprobs=True, seed=3
    )
    for index, real in enumerate(real_traces()[:count]):
        same(engine, real, start_of(real, 1 + index % 2), max_frames=6)


def same(engine: LocalPredictor, truth: Trace, start: Trace, max_frames: int = 10_000) -> Trace:
    """The prediction with the truth at hand equals that without in everything but its passes."""
    found = engine.predict(Request(start, "free", truth, max_frames=max_frames))
    wanted = engine.predict(Request(start, "free", max_frames=max_frames))
    assert bare(found.frames) == bare(wanted.frames)
    for one, other in zip(found.frames, wanted.frames, strict=True):
        same_logprobs(one, other)
    assert found.outcome is wanted.outcome
    assert found.guess.problems == wanted.guess.problems
    assert found.guess.cost is not None
    assert wanted.guess.cost is not None
    assert (found.guess.cost.prompt_tokens, found.guess.cost.new_tokens, found.guess.cost.free_tokens) == (
        wanted.guess.cost.prompt_tokens,
        wanted.guess.cost.new_tokens,
        wanted.guess.cost.free_tokens,
    )
    return found


REAL = real_traces(4)[2]
TEXT = render_trace(REAL, tokens=tokens())


@pytest.mark.parametrize("constrained", [True, False])
@pytest.mark.parametrize(
    "budget",
    [
        {},
        {"max_frame_tokens": 12},
        {"max_new_tokens": 1},
        {"max_new_tokens": 40},
        {"max_new_tokens": 41},
        {"max_new_tokens": 70, "max_frame_tokens": 24},
    ],
)
def test_budgets_cut_a_right_prediction_as_any_other(constrained: bool, budget: dict[str, int]) -> None:
    options = {"max_frame_tokens": 10**6, "max_text_tokens": None, **budget}
    engine = predictor(Reciting(TEXT), constrained=constrained, **options)
    for frames in (0, 1, 4, 10_000):
        for truth in (REAL, replace(start_of(REAL, 6), outcome=Outcome.FRAME_LIMIT)):
            found = same(engine, truth, start_of(REAL), frames)
            if not budget and frames > 100:
                assert shown(found.frames)[-1][:3] == shown(REAL.frames)[-1][:3]
                assert found.outcome is Outcome.RETURNED
    naive = predictor(Reciting(TEXT), constrained=constrained, drafts=False, **options)
    for mode in ("forced", "forced-event", "forced-state"):
        trace = engine.predict(Request(start_of(REAL), mode, REAL))
        assert trace.frames == roll_out(naive, Request(start_of(REAL), mode, REAL)).frames
    blocks = engine.predict(Request(start_of(REAL), "reground-4", REAL))
    alone = naive.predict(Request(start_of(REAL), max_frames=4))
    assert blocks.frames[: len(alone.frames)] == alone.frames


@pytest.mark.parametrize("constrained", [True, False])
def test_one_pass_reads_a_trace_that_is_all_right(constrained: bool) -> None:
    engine = predictor(Reciting(TEXT), constrained=constrained, max_text_tokens=None)
    for mode in ("free", "forced", "reground-2"):
        trace = engine.predict(Request(start_of(REAL), mode, REAL))
        assert [row[:3] for row in shown(trace.frames)] == [row[:3] for row in shown(REAL.frames)]
        assert trace.outcome is REAL.outcome
        assert trace.guess.problems == ()
        assert trace.guess.cost is not None
        assert trace.guess.cost.forward_passes == 1
        predicted = len(TEXT) - len(prompt(start_of(REAL)))
        assert trace.guess.cost.new_tokens == predicted - (mode == "reground-2")  # which has no end
        assert (trace.guess.cost.free_tokens > 0) == constrained


@pytest.mark.parametrize("constrained", [True, False])
def test_a_difference_anywhere(constrained: bool) -> None:
    first = len(prompt(start_of(REAL)))
    other = tokens().encode("9")[0]
    for position in range(first, len(TEXT), 13):
        for wrong in ({position: other}, {position: TEXT[first]}):
            engine = predictor(
                Reciting(TEXT, wrong), constrained=constrained, max_new_tokens=len(TEXT), max_frame_tokens=40
            )
            same(engine, REAL, start_of(REAL), max_frames=len(REAL.frames) + 2)


def test_a_model_that_is_too_short_keeps_what_it_has() -> None:
    for mode in ("free", "forced", "reground-3"):
        engine = predictor(max_text_tokens=3)
        fit(engine, len(prompt(start_of(REAL, 4))) + 1)
        trace = engine.predict(Request(start_of(REAL), mode, REAL))
        assert trace.outcome is Outcome.TRUNCATED
        if mode != "free":
            assert len(trace.frames) >= 4
        fit(engine, len(prompt(start_of(REAL))))
        request = Request(start_of(REAL), mode, REAL)
        ((_, trace),) = engine.predict_all([request])
        assert (len(trace.frames), trace.outcome) == (1, Outcome.TRUNCATED)
        assert "reads" in trace.warnings[0]
        with pytest.raises(CwmTraceError, match="reads"):
            engine.predict(request)
    engine = predictor(max_text_tokens=3)
    for room in range(1, 30, 5):
        fit(engine, len(prompt(start_of(REAL, 4))) + room)
        same(engine, REAL, start_of(REAL))


@pytest.mark.parametrize("mode", ["forced", "forced-event", "forced-state", "reground-3"])
def test_a_first_frame_that_does_not_fit_is_truncated(mode: str) -> None:
    engine = predictor(max_text_tokens=3)
    fit(engine, len(prompt(start_of(REAL))) + 2)
    trace = engine.predict(Request(start_of(REAL), mode, REAL))
    assert (trace.frames, trace.outcome) == (REAL.frames[:1], Outcome.TRUNCATED)
    assert trace.guess.cost is not None
    assert trace.guess.cost.new_tokens == 0


def test_returns_that_are_not_written_stay_the_true_ones() -> None:
    profile = FormatProfile(unwinding_return="dropped")
    for real in (real_traces(10)[5], real_traces(10)[7]):
        assert any(f.event is Event.RETURN and f.value is None for f in real.frames) == (
            real.outcome is Outcome.RAISED
        )
        engine = predictor(profile=profile)
        for mode in ("free", "forced", "forced-event", "forced-state", "reground-2"):
            trace = engine.predict(Request(start_of(real), mode, real))
            if mode != "free":
                assert len(trace.frames) - len(real.frames) in (0, 1)
