"""The grammar that goes along with each request, under llguidance: what a server would let pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import llguidance.hf
import pytest
from llguidance import LLMatcher

from cwm_trace import trace_execution
from cwm_trace.model.predict.backends.continuer import Ask, Continuation, Verdict
from cwm_trace.model.predict.backends.server import ServerPredictor
from cwm_trace.model.tokenizer import build_tokenizer
from cwm_trace.predict.protocol import Request
from cwm_trace.records import Decoding, Event, Trace
from cwm_trace.wire import render_prompt, render_trace
from cwm_trace.wire.tokens import Special, TraceTokens
from tests.model.predict.backends.backends import asked
from tests.model.predict.backends.fake_server import FakeServer, listening
from tests.model.predict.backends.programs import small_traces


class Reciter:
    """Continues a true trace, or returns from it, and keeps what it was asked."""

    can_judge = False
    attention = ""
    length = 100_000

    def __init__(self, true_ids: Sequence[int], returned: Sequence[int] = ()) -> None:
        self._true, self._returned = list(true_ids), list(returned)
        self.asked: list[tuple[Ask, list[int]]] = []

    def continue_all(self, asks: Sequence[Ask], *, logprobs: bool = False) -> list[Continuation]:
        answers = []
        for ask in asks:
            rest = self._true[len(ask.ids) :]
            if self._true[: len(ask.ids)] != ask.ids:
                rest = self._returned
            stop = next(at for at, number in enumerate(rest) if number in ask.stop_ids)
            answers.append(Continuation(tuple(rest[: stop + 1])))
            self.asked.append((ask, rest[: stop + 1]))
        return answers

    def judge(self, ids: Sequence[int], start: int) -> list[Verdict]:
        raise AssertionError("drafts know of no grammar")


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return build_tokenizer([render_trace(trace) for trace in small_traces()], 500)


def predict(trace: Trace, mode: str, tokenizer: Any, level: str = "frame") -> tuple[Trace, Reciter]:
    tokens = TraceTokens.from_tokenizer(tokenizer)
    start = replace(trace, frames=trace.frames[:1])
    ids = render_trace(trace, tokens=tokens)
    before_last = render_prompt(trace, given=len(trace.frames) - 1, tokens=tokens)
    backend = Reciter(ids, ids[len(before_last) + 1 :])
    return asked(backend, tokens, grammar=level).predict(Request(start, mode, trace)), backend


@pytest.mark.parametrize("level", ["frame", "flow"])
@pytest.mark.parametrize(
    "mode", ["free", "output", "forced", "forced-event", "forced-state", "reground-3", "step-over-5"]
)
def test_what_is_true_is_allowed_at_every_request(tokenizer: Any, mode: str, level: str) -> None:
    engine = llguidance.hf.from_tokenizer(tokenizer)
    end = tokenizer.convert_tokens_to_ids(Special.END.value)
    for trace in [
        one for one in small_traces(count=12, max_frames=40) if one.frames[-1].event is Event.RETURN
    ]:
        predicted, backend = predict(trace, mode, tokenizer, level)
        assert predicted.guess.problems == ()
        assert predicted.outcome is trace.outcome
        assert backend.asked
        for ask, said in backend.asked:
            assert ask.grammar is not None
            assert said[-1] != end  # where only the end is legal nobody is asked
            matcher = LLMatcher(engine, LLMatcher.grammar_from_lark(ask.grammar))
            assert matcher.try_consume_tokens(said) == len(said), matcher.get_error()
            assert matcher.is_accepting()


@pytest.mark.parametrize(
    ("mode", "most_frames", "says_so"),
    [
        ("free", 9, True),
        ("free", 1, False),
        ("forced", 9, False),
        ("reground-3", 9, False),
    ],
)
def test_only_where_it_is_asked_frame_by_frame_it_is_told_what_python_allows(
    tokenizer: Any, mode: str, most_frames: int, says_so: bool
) -> None:
    trace = trace_execution("def f(n):\n    n += 1\n    m = n\n    return m\n", call="f(1)")
    ids = render_trace(trace, tokens=TraceTokens.from_tokenizer(tokenizer))
    server = FakeServer(Reciter(ids), vocabulary=len(tokenizer), length=10_000)
    with listening(server):
        engine = ServerPredictor(server.url, decoding=Decoding(grammar="flow"), tokenizer=tokenizer)
        start = replace(trace, frames=trace.frames[:1])
        got = engine.predict(Request(start, mode, trace, max_frames=most_frames))
    assert got.guess.decoding is not None
    assert got.guess.decoding.grammar == "flow"
    grammars = [fields["structured_outputs"]["grammar"] for fields in server.requests]
    lines = next(rule for rule in grammars[0].split("\n") if rule.partition(":")[0].endswith("source"))
    if says_so:
        assert got.warnings[0].startswith(f"predicted under the grammar 'frame': in mode '{mode}'")
        assert "m = n" in lines  # any line
    else:
        assert got.warnings == ()
        assert "m = n" not in lines
