"""`ChatPredictor`: what is shown to a chat model, and how its replies are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cwm_trace.api import trace_execution
from cwm_trace.model.predict.backends.chat import BYTES, EXAMPLE, EXAMPLE_ANSWER, ChatPredictor, clean, spell
from cwm_trace.model.predict.backends.completions import Patience, ServerError
from cwm_trace.predict.protocol import Request, predict_all
from cwm_trace.records import Event, Outcome, Trace
from cwm_trace.wire import CWM, Special, parse_trace, render_prompt, render_trace
from tests.model.predict.backends.backends import sorted_out
from tests.model.predict.backends.fake_server import FakeServer, Fields, listening, status
from tests.model.predict.backends.programs import small_traces
from tests.model.predict.backends.reference import TRUE
from tests.traces import read_back, visible

QUICK = Patience(timeout=10, tries=2, pause=0.001)
FRAME = Special.FRAME.value


def start_of(trace: Trace) -> Trace:
    return replace(trace, frames=trace.frames[:1])


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with listening(FakeServer(None)) as running:
        running.chat = WellBehaved(running, [small_traces()[0]])
        yield running


class WellBehaved:
    """Knows some traces by heart and continues them, in the manners of chat models."""

    def __init__(self, server: FakeServer, traces: list[Trace]) -> None:
        self.texts = [render_trace(trace, tokens=BYTES) for trace in traces]
        self.around: Any = lambda text: text
        self.finish = "stop"

    def __call__(self, fields: Fields) -> Fields:
        text = fields["messages"][-1]["content"]
        ids = render(text)
        new = next((known[len(ids) :] for known in self.texts if known[: len(ids)] == ids), [])
        if fields.get("stop") == [FRAME] and BYTES.ids[Special.FRAME] in new:
            new = new[: new.index(BYTES.ids[Special.FRAME])]
        content = self.around(spell(new))
        return {"choices": [{"message": {"content": content}, "finish_reason": self.finish}]}


def render(text: str) -> list[int]:
    from cwm_trace.wire.parse import split

    return BYTES.encode_pieces([piece for _, piece in split(text, None)])


def predictor(server: FakeServer, **options: Any) -> ChatPredictor:
    return ChatPredictor(server.url, "some-chat", **sorted_out({"patience": QUICK, **options}))


def test_the_example_is_what_the_tracer_records() -> None:
    source = "def double(x):\n    y = x * 2\n    return y\n\n"
    trace = trace_execution(source, call="double(4)")
    text = render_trace(trace)
    assert text.split(Special.CONTEXT.value)[1].replace("\n\n\n", "\n\n") == (EXAMPLE + EXAMPLE_ANSWER).split(
        Special.CONTEXT.value
    )[1].replace("\n\n\n", "\n\n")
    assert parse_trace(EXAMPLE + EXAMPLE_ANSWER).guess.problems == ()


@pytest.mark.parametrize("mode", ["free", *TRUE])
def test_every_mode_through_a_chat(server: FakeServer, mode: str) -> None:
    traces = [trace for trace in small_traces()[:12] if trace.outcome is Outcome.RETURNED]
    assert traces
    server.chat = WellBehaved(server, traces)
    for trace in traces[:4]:
        got = predictor(server).predict(Request(start_of(trace), mode, trace))
        assert read_back(got) == visible(trace, CWM)
        assert (got.outcome, got.guess.problems) == (trace.outcome, ())
        assert got.guess.decoding is not None
        assert got.guess.decoding.predictor == "chat"


@pytest.mark.parametrize(
    "around",
    [
        lambda text: text,
        lambda text: f"```\n{text}\n```",
        lambda text: f"```text\n{text}```\n",
        lambda text: f"<think>it calls f\nthen</think>\n\n{text}",
        lambda text: text.replace(FRAME, FRAME + "\n"),
        lambda text: "\n" + text + "\n\n",
    ],
)
def test_the_manners_of_chat_models(server: FakeServer, around: Any) -> None:
    trace = next(trace for trace in small_traces() if trace.outcome is Outcome.RETURNED)
    server.chat = chat = WellBehaved(server, [trace])
    want = predictor(server).predict(Request(start_of(trace)))
    assert want.outcome is Outcome.RETURNED
    assert want.guess.problems == ()
    chat.around = around
    assert predictor(server).predict(Request(start_of(trace))).frames == want.frames


def test_a_beginning_that_is_said_again_is_not_doubled() -> None:
    begun = '<|line_sep|>{"a": "1"}<|action_sep|>'
    assert clean(begun + "    return a\n<|frame_sep|>", begun) == "    return a\n<|frame_sep|>"
    assert clean("    return a\n<|frame_sep|>\n", begun) == "    return a\n<|frame_sep|>"


def test_what_is_forced_is_asked_for_and_one_frame_is_one_stop(server: FakeServer) -> None:
    trace = small_traces()[0]
    predictor(server, extra={"reasoning_effort": "low"}).predict(Request(start_of(trace), "output"))
    fields = server.requests[0]
    assert fields["messages"][-1]["content"] == render_prompt(trace) + "<|return_sep|>"
    assert [message["role"] for message in fields["messages"]] == ["system", "user", "assistant", "user"]
    assert (fields["model"], fields["max_tokens"], fields["stop"]) == ("some-chat", 4096, [FRAME])
    assert fields["reasoning_effort"] == "low"
    predictor(server).predict(Request(start_of(trace), max_frames=1))
    assert "stop" not in server.requests[-1]


@pytest.mark.parametrize("reply", ["", "I cannot do that.", "<|line_sep|>{", "<|end_of_text|>"])
def test_whatever_is_replied_is_a_trace(server: FakeServer, reply: str) -> None:
    trace = small_traces()[0]
    server.chat = lambda _: {"choices": [{"message": {"content": reply}, "finish_reason": "stop"}]}
    for mode in ("free", "forced", "output", "reground-2", "step-over"):
        got = predictor(server).predict(Request(start_of(trace), mode, trace))
        assert got.frames[:1] == trace.frames[:1]
        if mode == "forced":
            assert len(got.frames) == len(trace.frames)
            assert {frame.event for frame in got.frames[1:]} <= {Event.END, Event.LINE}
        elif mode == "free":
            said_end = reply == "<|end_of_text|>"
            assert got.outcome is (Outcome.RAISED if said_end else Outcome.TRUNCATED)


def test_a_reply_that_was_cut_off_ends_the_prediction(server: FakeServer) -> None:
    trace = small_traces()[0]
    reply = "<|line_sep|>{}<|action_sep|>    return f(0)\n<|frame_sep|><|line_sep|>{"
    server.chat = lambda _: {"choices": [{"message": {"content": reply}, "finish_reason": "length"}]}
    got = predictor(server).predict(Request(start_of(trace)))
    assert (len(got.frames), got.outcome) == (2, Outcome.TRUNCATED)
    assert [problem.grade for problem in got.guess.problems] == ["truncated"]
    assert len(server.requests) == 1


def test_a_model_that_goes_round_in_circles_comes_to_an_end(server: FakeServer) -> None:
    frame = "<|line_sep|>{}<|action_sep|>    return f(0)\n<|frame_sep|>"
    server.chat = lambda _: {"choices": [{"message": {"content": frame * 5}, "finish_reason": "stop"}]}
    got = predictor(server, max_new_tokens=500).predict(Request(start_of(small_traces()[0])))
    assert got.outcome is Outcome.TRUNCATED
    assert 500 / 35 < len(got.frames) < 1000 / 15


def test_replies_are_kept_and_samples_have_seeds(server: FakeServer, tmp_path: Path) -> None:
    start = start_of(small_traces()[0])
    requests = [Request(start, max_frames=2, sample=sample) for sample in range(3)]
    options = {"answers": tmp_path / "replies.jsonl", "temperature": 0.5, "seed": 2}
    first = dict(predict_all(predictor(server, **options), requests))
    asked = len(server.requests)
    assert len({fields["seed"] for fields in server.requests}) == asked
    again = dict(predict_all(predictor(server, **options), requests))
    assert len(server.requests) == asked
    assert all(first[index].frames == again[index].frames for index in first)


def test_a_server_that_refuses_is_one_sentence(server: FakeServer) -> None:
    server.faults = [status(401, "wrong key")]
    with pytest.raises(ServerError, match=r"wants an API key: .* \(401 wrong key\)$"):
        predictor(server).predict(Request(start_of(small_traces()[0])))
    server.chat = lambda _: {"choices": []}
    with pytest.raises(ServerError, match="answered with no message"):
        predictor(server).predict(Request(start_of(small_traces()[0])))
