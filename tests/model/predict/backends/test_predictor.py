"""All modes on a model of a few lines, against a reference that generates frame by frame and parses anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.predict.backends.continuer import Ask
from cwm_trace.model.predict.prediction import PromptTooLongError
from cwm_trace.model.predict.predictor import ModelPredictor
from cwm_trace.predict.known_frames import History
from cwm_trace.predict.modes import parse_mode
from cwm_trace.predict.protocol import Request, predict_all
from cwm_trace.records import Decoding, Event, Frame, Outcome, Program, Slot, SourceFile, Trace
from cwm_trace.states import Activations, resolve_states
from cwm_trace.wire import CWM, Special, parse_trace, render_prompt, render_trace
from cwm_trace.wire.profile import remove_addresses
from tests.effort import examples
from tests.model.predict.backends.backends import Parrot, asked
from tests.model.predict.backends.reference import OWN, TRUE, Reference, write_truth
from tests.traces import TOKENS, read_back, traces

FRAME, END = TOKENS.ids[Special.FRAME], TOKENS.ids[Special.END]
NOISES = [0.0, 0.004, 0.03, 0.3]
CAP = 150
"""Tokens of one text: a model with much noise rarely ends a frame."""


def parrot(trace: Trace, noise: float = 0.0, **options: Any) -> Parrot:
    return Parrot([render_trace(trace, tokens=TOKENS)], noise, **options)


def predictor(backend: Parrot, **changes: Any) -> ModelPredictor:
    return asked(backend, TOKENS, **{"max_new_tokens": CAP, **changes})


def start_of(trace: Trace) -> Trace:
    return replace(trace, frames=trace.frames[:1])


def reference(backend: Parrot) -> Reference:
    def complete(prompt: list[int], limit: int, stops: list[int]) -> list[int]:
        return [*backend.continue_all([Ask(prompt, limit, frozenset(stops))])[0].ids]

    return Reference(complete, TOKENS, CAP)


@examples(3)
@given(
    traces(),
    st.sampled_from([*OWN, *TRUE]),
    st.sampled_from(NOISES),
    st.sampled_from([1, 3, 50]),
    st.booleans(),
)
def test_any_mode_says_what_generating_frame_by_frame_does(
    trace: Trace, mode: str, noise: float, most: int, drafts: bool
) -> None:
    backend = parrot(trace, noise, can_judge=drafts)
    request = Request(start_of(trace), mode, trace, max_frames=most)
    got = predictor(backend).predict(request)
    assert backend.judged <= (drafts and mode in ("free", *TRUE))
    reference(backend).check(got, request)
    assert (got.guess.mode, got.guess.given) == (str(parse_mode(mode)), 1)
    assert got.guess.decoding == Decoding("parrot", grammar="none", max_new_tokens=CAP)


@examples(0.6)
@given(traces(), st.sampled_from(["free", *TRUE]), st.sampled_from(NOISES), st.sampled_from([CAP, 12]))
def test_a_draft_changes_nothing(trace: Trace, mode: str, noise: float, cap: int) -> None:
    request = Request(start_of(trace), mode, trace)
    with_draft, without = (
        predictor(parrot(trace, noise, can_judge=able), logprobs=True, max_new_tokens=cap).predict(request)
        for able in (True, False)
    )
    assert with_draft.frames == without.frames  # log-probabilities too
    assert with_draft.guess.problems == without.guess.problems
    assert with_draft.outcome == without.outcome
    assert with_draft.guess.cost is not None
    assert without.guess.cost is not None
    if mode not in ("free", "reground-3"):
        assert with_draft.guess.cost.new_tokens == without.guess.cost.new_tokens


class Oracle(Parrot):
    """Says what a text says at the same position."""

    def __init__(self, ids: Sequence[int], **options: Any) -> None:
        super().__init__([], **options)
        self.ids = ids

    def next(self, ids: Sequence[int], seed: int | None = None) -> int:
        return self.ids[len(ids)] if len(ids) < len(self.ids) else END


def without_addresses(trace: Trace) -> str:
    return remove_addresses(repr(read_back(trace)))


@examples(0.8)
@given(traces(whole=True), st.sampled_from(["free", *TRUE]))
def test_who_says_the_truth_is_right_everywhere(trace: Trace, mode: str) -> None:
    ids = render_trace(trace, tokens=TOKENS)
    got = predictor(Oracle(ids), max_new_tokens=None).predict(Request(start_of(trace), mode, trace))
    read = parse_trace(
        ids[len(render_prompt(trace, tokens=TOKENS)) :], program=start_of(trace), tokens=TOKENS
    )
    assert got.outcome in (trace.outcome, read.outcome)
    if mode == "free":
        assert (got.frames, got.outcome, got.guess.problems) == (
            read.frames,
            read.outcome,
            read.guess.problems,
        )
    else:
        assert without_addresses(got) == without_addresses(read)  # the truth's `..` mean values that have one


@examples(0.6)
@given(traces(), st.sampled_from([*OWN, *TRUE]), st.sampled_from(NOISES), st.integers(-3, 60))
def test_nothing_goes_beyond_the_length_of_the_model(
    trace: Trace, mode: str, noise: float, room: int
) -> None:
    """`Parrot` asserts that no request does."""
    request = Request(start_of(trace), mode, trace)
    prompt = len(render_prompt(trace, given=1, tokens=TOKENS))
    limited = predictor(parrot(trace, noise, length=prompt + room))
    if room <= 0 and (mode in OWN or len(trace.frames) > 1):
        with pytest.raises(PromptTooLongError, match=f"the prompt has {prompt} tokens and parrot reads"):
            limited.predict(request)
        ((_, cut),) = predict_all(limited, [request])
        assert (cut.frames, cut.outcome) == (trace.frames[:1], Outcome.TRUNCATED)
        assert "shorten the program" in cut.warnings[0]
        return
    got = limited.predict(request)
    free = predictor(parrot(trace, noise)).predict(request)
    if got.outcome is Outcome.TRUNCATED:
        if mode in TRUE:
            fit = [f for f in write_truth(trace, TOKENS, CWM).frames if f.end <= prompt + room]
            assert len(got.frames) in (len(fit), len(trace.frames))
        else:
            assert got.frames[: len(got.frames)] == free.frames[: len(got.frames)]
    elif mode in OWN:
        assert got.frames == free.frames


def test_frames_come_as_they_are_read() -> None:
    trace = example()
    streaming = predictor(parrot(trace))
    whole = streaming.predict(Request(start_of(trace)))
    frames = streaming.stream(Request(start_of(trace)))
    assert next(frames) == whole.frames[1]
    assert (*trace.frames[:1], whole.frames[1], *frames) == whole.frames
    forced = [*streaming.stream(Request(start_of(trace), "forced", trace))]
    assert forced == [*streaming.predict(Request(start_of(trace), "forced", trace)).frames[1:]]


def test_one_step_from_a_history_that_was_edited() -> None:
    trace = example()
    one = predictor(parrot(trace))
    first = one.step(History(trace, trace.frames[:1]))
    assert first is not None
    assert first.frame == one.predict(Request(start_of(trace))).frames[1]
    assert one.step(History(trace, trace.frames)) is None
    lost = predictor(Parrot([], 1.0, vocabulary=200)).step(History(trace, trace.frames[:1]))
    assert lost is not None
    assert (lost.frame.event, lost.frame.source) == (Event.END, "")


def test_samples_differ_and_repeat() -> None:
    trace = example()
    drawn = predictor(parrot(trace), temperature=0.8, top_p=0.95, seed=5)
    requests = [Request(start_of(trace), "free", sample=sample) for sample in range(4)]
    first = [drawn.predict(request) for request in requests]
    again = [drawn.predict(request) for request in requests]
    assert [t.frames for t in first] == [t.frames for t in again]
    assert len({t.guess.problems or t.frames[-1].source for t in first}) > 1
    assert [t.guess.decoding and t.guess.decoding.sample for t in first] == [0, 1, 2, 3]
    other = predictor(parrot(trace), temperature=0.8, top_p=0.95, seed=6)
    assert [other.predict(request).frames for request in requests] != [t.frames for t in first]


def test_a_sampling_model_is_never_given_a_draft() -> None:
    trace = example()
    backend = parrot(trace)
    predictor(backend, temperature=1.0).predict(Request(start_of(trace), "forced", trace))
    assert backend.judged == 0
    seeds = [ask.seed for ask in backend.asks]
    assert len(set(seeds)) == len(seeds)
    assert None not in seeds


def test_log_probabilities_stand_by_field_and_leave_out_what_was_given() -> None:
    trace = example()
    for mode, fields in [
        ("forced", ("event", "locals", "source")),
        ("forced-event", ("locals", "source")),
        ("forced-state", ("source",)),
    ]:
        got = predictor(parrot(trace), logprobs=True).predict(Request(start_of(trace), mode, trace))
        line = got.frames[1]
        assert line.event is Event.LINE
        assert line.logprobs is not None
        assert tuple(line.logprobs) == fields
        assert all(value < 0 for values in line.logprobs.values() for value in values)
    plain = predictor(parrot(trace)).predict(Request(start_of(trace), "forced", trace))
    assert all(frame.logprobs is None for frame in plain.frames)


def test_costs_are_counted() -> None:
    trace = example()
    ids = render_trace(trace, tokens=TOKENS)
    prompt = len(render_prompt(trace, given=1, tokens=TOKENS))
    judged = predictor(Oracle(ids)).predict(Request(start_of(trace), "forced", trace)).guess.cost
    assert judged is not None
    assert (judged.prompt_tokens, judged.new_tokens, judged.forward_passes) == (
        len(ids),
        len(ids) - prompt,
        1,
    )
    naive = (
        predictor(Oracle(ids, can_judge=False)).predict(Request(start_of(trace), "forced", trace)).guess.cost
    )
    assert naive is not None
    assert naive.new_tokens == naive.forward_passes == judged.new_tokens
    assert naive.prompt_tokens > 2 * len(ids)


def test_frames_that_the_wire_cannot_show_are_not_predicted() -> None:
    trace = example()
    other = replace(trace.frames[1], thread=1, activation=9)
    truth = replace(trace, frames=(*trace.frames[:2], other, *trace.frames[2:]))
    for mode in ("forced", "reground-2"):
        oracle = Oracle(render_trace(trace, tokens=TOKENS))
        got = predictor(oracle).predict(Request(start_of(truth), mode, truth))
        assert [f.event for f in got.frames] == [
            f.event if f is not other else Event.END for f in truth.frames
        ]
        assert got.outcome is truth.outcome
        assert "cannot be shown" in got.warnings[0]


def test_bad_requests_are_one_sentence() -> None:
    trace = example()
    with pytest.raises(CwmTraceError, match="needs the real trace"):
        predictor(parrot(trace)).predict(Request(start_of(trace), "forced"))
    with pytest.raises(CwmTraceError, match="no mode 'dream'"):
        predictor(parrot(trace)).predict(Request(start_of(trace), "dream"))
    with pytest.raises(CwmTraceError, match="top_p is 0"):
        predictor(parrot(trace), temperature=1.0, top_p=0.0)
    with pytest.raises(CwmTraceError, match="temperature is nan"):
        predictor(parrot(trace), temperature=float("nan"))


def test_a_long_history_is_read_once() -> None:
    """Twice the frames take about twice the calls, not four times."""
    import cwm_trace.wire.stack as stack

    counts = []
    original = stack.StackMachine.replay
    for length in (40, 80):
        calls = 0

        def counted(self: Any, frame: Frame) -> None:
            nonlocal calls
            calls += 1
            original(self, frame)

        trace = long_trace(length)
        backend = parrot(trace, 0.02)
        stack.StackMachine.replay = counted  # type: ignore[method-assign]
        try:
            predictor(backend).predict(Request(start_of(trace), "forced", trace))
        finally:
            stack.StackMachine.replay = original  # type: ignore[method-assign]
        counts.append(calls)
    assert counts[1] <= 2.2 * counts[0]


def example() -> Trace:
    from cwm_trace.api import trace_execution

    source = "def f(a):\n    b = a * 2\n    return g(b)\n\ndef g(x):\n    y = x + 1\n    return y\n"
    return trace_execution(source, call="f(3)")


def long_trace(frames: int) -> Trace:
    source = "def f():\n    x = 1\n"
    body = [Frame(Event.LINE, 2, "    x = 1", changed={"x": Slot(str(at))}) for at in range(frames - 1)]
    call = Frame(Event.CALL, 1, "def f():")
    return Trace(Program((SourceFile("p.py", source),), "f", 1), (call, *body), Outcome.FRAME_LIMIT)


def test_states_of_forced_frames_resolve_by_themselves() -> None:
    trace = example()
    got = predictor(parrot(trace, 0.02)).predict(Request(start_of(trace), "forced", trace))
    chain = Activations()
    for frame, state in zip(got.frames, resolve_states(got.frames), strict=True):
        if frame.event in (Event.CALL, Event.LINE):
            assert chain.advance(frame) == state
