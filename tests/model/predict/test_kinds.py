"""Every kind of predictor in every mode: steps, frames as they come, threads, draws, log-probabilities."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from cwm_trace import predict_execution, predict_step, trace_execution
from cwm_trace.model.predict.backends.chat import BYTES, ChatPredictor
from cwm_trace.model.predict.backends.completions import Patience
from cwm_trace.model.predict.backends.server import ServerPredictor
from cwm_trace.model.predict.backends.transformers import TransformersPredictor
from cwm_trace.model.predict.local import LocalPredictor
from cwm_trace.model.tokenizer import save_tokenizer
from cwm_trace.predict.driver import HIDDEN
from cwm_trace.predict.modes import ALL_MODES
from cwm_trace.predict.protocol import Request
from cwm_trace.predict.registry import find_predictor
from cwm_trace.predict.stepping import roll_out
from cwm_trace.records import Decoding, Event, Frame, Outcome, Trace
from cwm_trace.wire import render_trace
from cwm_trace.wire.tokens import Special
from tests.model.predict.backends.backends import Parrot
from tests.model.predict.backends.fake_server import FakeServer, listening
from tests.model.predict.examples import guessing, real_traces, start_of, taught, tokenizer, tokens

QUICK = Patience(timeout=20, tries=2, pause=0.001)
SHORT: dict[str, Any] = {"max_new_tokens": 60, "max_frame_tokens": 60, "max_text_tokens": 6}
FLOORS = ("copy", "unchanged", "frequent", "halt")
MODELS = ("mini", "random", "transformers", "server", "chat")
KINDS = (*FLOORS, *MODELS)
MODES = (*ALL_MODES[:4], "reground-3", *ALL_MODES[5:])


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any]]:
    """Makes a predictor of a kind, with settings of its decoding."""
    with ExitStack() as stack:
        folder = Path(tmp_path_factory.mktemp("words"))
        save_tokenizer(tokenizer(), folder)
        texts = [render_trace(trace, tokens=tokens()) for trace in real_traces(12)]
        parrot = Parrot(texts, 0.03, vocabulary=len(tokenizer()))
        server = FakeServer(parrot, 900, len(tokenizer()), tokens().ids[Special.END])
        server.chat = recite([render_trace(trace, tokens=BYTES) for trace in real_traces(12)])
        url = stack.enter_context(listening(server)).url

        def make(kind: str, **settings: Any) -> Any:
            decoding = Decoding(**settings)
            match kind:
                case "mini":
                    return find_predictor("mini", replace(decoding, **SHORT))
                case "random":
                    return LocalPredictor(guessing(), tokens(), decoding=replace(decoding, **SHORT))
                case "transformers":
                    decoding = replace(decoding, max_new_tokens=40)
                    return TransformersPredictor(taught(), tokenizer(), decoding=decoding)
                case "server":
                    decoding = replace(decoding, max_new_tokens=60)
                    return ServerPredictor(url, tokenizer=tokenizer(), decoding=decoding, patience=QUICK)
                case "chat":
                    decoding = replace(decoding, max_new_tokens=2000)
                    return ChatPredictor(url, "some-chat", decoding=decoding, patience=QUICK)
                case _:
                    return find_predictor(kind, decoding)

        yield make


def recite(texts: list[list[int]]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A chat model that knows some traces by heart, and says one frame of nothing where it knows none."""
    from cwm_trace.model.predict.backends.chat import spell
    from cwm_trace.wire.parse import split

    def answer(fields: dict[str, Any]) -> dict[str, Any]:
        shown = fields["messages"][-1]["content"]
        ids = BYTES.encode_pieces([piece for _, piece in split(shown, None)])
        rest = next((text[len(ids) :] for text in texts if text[: len(ids)] == ids), [])
        separator = BYTES.ids[Special.FRAME]
        if "stop" in fields and separator in rest:
            rest = rest[: rest.index(separator)]
        message = {"content": spell(rest) or "I cannot say."}
        return {"choices": [{"message": message, "finish_reason": "stop"}]}

    return answer


@cache
def programs() -> list[Trace]:
    return [real_traces()[index] for index in (0, 3, 5)]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", KINDS)
def test_any_kind_in_any_mode(make: Callable[..., Any], kind: str, mode: str) -> None:
    predictor = make(kind)
    for real in programs():
        told: list[Frame] = []
        request = Request(start_of(real), mode, real, max_frames=4, on_frame=told.append)
        got = predictor.predict(request)
        assert tuple(told) == got.frames[1:]  # every frame is told of, in every mode
        assert (got.guess.mode, got.guess.given, got.frames[0]) == (mode, 1, real.frames[0])
        if mode.startswith(("forced", "reground")):
            assert len(got.frames) - len(real.frames) in (0, 1)
        # what these say is compared with a reference of its own, since a step starts from text that is
        # encoded anew: a model that spells `{}` in two tokens reads it in one there
        if kind in ("transformers", "server", "chat") or (kind == "random" and not mode.startswith("forced")):
            continue
        slow = roll_out(predictor, replace(request, on_frame=None))
        assert (got.frames, got.outcome) == (slow.frames, slow.outcome)


@pytest.mark.parametrize("kind", KINDS)
def test_any_kind_goes_single_steps(make: Callable[..., Any], kind: str) -> None:
    predictor = make(kind)
    assert callable(predictor.step)
    real = programs()[0]
    forced = predictor.predict(Request(start_of(real), "forced", real))
    for count in range(1, 4):
        step = predict_step(start_of(real, count), model=predictor)
        place = forced.frames[count]
        if step is None:
            assert place.event is Event.END
        else:
            assert (step.event, step.line, step.source) == (place.event, place.line, place.source)
    told = predict_step(start_of(real), model=predictor, event="return")
    if kind not in ("chat", "halt"):  # a chat may say what it likes, and `halt` says nothing
        assert told is not None
        assert told.event in (Event.RETURN, Event.END)


THREADED = """\
import threading

def work(n):
    m = n + 1
    return m

def go():
    thread = threading.Thread(target=work, args=(1,))
    thread.start()
    thread.join()
    return work(2)
"""


@pytest.mark.parametrize("kind", KINDS)
def test_frames_of_other_threads_keep_their_places(make: Callable[..., Any], kind: str) -> None:
    real = trace_execution(THREADED, call="go()")
    assert any(frame.thread for frame in real.frames)
    for mode in ("forced", "reground-3"):
        got = make(kind).predict(Request(start_of(real), mode, real))
        assert len(got.frames) - len(real.frames) in (0, 1)
        if kind in MODELS:
            hidden = [frame for frame, true in zip(got.frames, real.frames, strict=False) if true.thread]
            assert {frame.event for frame in hidden} == {Event.END}
            assert got.warnings == (HIDDEN,)


@pytest.mark.parametrize("kind", MODELS)
def test_draws_repeat_and_differ(make: Callable[..., Any], kind: str) -> None:
    predictor = make(kind, temperature=1.0, seed=3)
    requests = [Request(start_of(real), "free", sample=sample) for real in programs() for sample in (0, 1)]
    first, again = ([predictor.predict(request) for request in requests] for _ in range(2))
    assert [trace.frames for trace in first] == [trace.frames for trace in again]
    assert [trace.guess.decoding for trace in first] == [
        replace(predictor.decoding, sample=request.sample) for request in requests
    ]
    if kind != "chat":
        assert len({(trace.frames, trace.guess.problems).__repr__() for trace in first}) > 2


@pytest.mark.parametrize("kind", [kind for kind in MODELS if kind != "chat"])
@pytest.mark.parametrize("mode", ["free", "forced"])
def test_log_probabilities_by_field(make: Callable[..., Any], kind: str, mode: str) -> None:
    real = programs()[0]
    got = make(kind, logprobs=True).predict(Request(start_of(real), mode, real, max_frames=3))
    said = [frame.logprobs for frame in got.frames[1:]]
    assert all(logprobs is not None for logprobs in said)
    for logprobs in said:
        assert set(logprobs or {}) <= {"event", "locals", "source", "value"}
        assert all(value <= 0 for values in (logprobs or {}).values() for value in values)


def test_source_text_is_told_from_a_path_as_everywhere() -> None:
    source = "def f(n): return n + 1"
    real = trace_execution(source, call="f(2)")
    guess = predict_execution(source, call="f(2)", model="copy")
    assert guess.files == real.files
    assert guess.frames[0] == real.frames[0]
    forced = predict_execution(source, call="f(2)", model="oracle", mode="forced", history=real)
    assert (forced.frames, forced.outcome) == (real.frames, Outcome.RETURNED)
