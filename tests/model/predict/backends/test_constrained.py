"""The frame grammar that goes along with each request, under llguidance: what a server would let pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import llguidance.hf
import pytest
from llguidance import LLMatcher

from cwm_trace.model.predict.backends.backend import Ask, Continuation, Verdict
from cwm_trace.model.tokenizer import build_tokenizer
from cwm_trace.predict.protocol import Request
from cwm_trace.records import Event, Trace
from cwm_trace.wire import render_prompt, render_trace
from cwm_trace.wire.tokens import Special, TraceTokens
from tests.model.predict.backends.backends import asked
from tests.model.predict.backends.programs import small_traces


class Reciter:
    """Continues a true trace, or returns from it, and keeps what it was asked."""

    can_judge = False
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


def predict(trace: Trace, mode: str, tokenizer: Any) -> tuple[Trace, Reciter]:
    tokens = TraceTokens.from_tokenizer(tokenizer)
    start = replace(trace, frames=trace.frames[:1])
    ids = render_trace(trace, tokens=tokens)
    before_last = render_prompt(trace, given=len(trace.frames) - 1, tokens=tokens)
    backend = Reciter(ids, ids[len(before_last) + 1 :])
    return asked(backend, tokens, grammar="frame").predict(Request(start, mode, trace)), backend


@pytest.mark.parametrize(
    "mode", ["free", "output", "forced", "forced-event", "forced-state", "reground-3", "step-over-5"]
)
def test_what_is_true_is_allowed_at_every_request(tokenizer: Any, mode: str) -> None:
    engine = llguidance.hf.from_tokenizer(tokenizer)
    end = tokenizer.convert_tokens_to_ids(Special.END.value)
    for trace in [
        one for one in small_traces(count=12, max_frames=40) if one.frames[-1].event is Event.RETURN
    ]:
        predicted, backend = predict(trace, mode, tokenizer)
        assert predicted.guess.problems == ()
        assert predicted.outcome is trace.outcome
        assert backend.asked
        for ask, said in backend.asked:
            assert ask.grammar is not None
            assert said[-1] != end  # where only the end is legal nobody is asked
            matcher = LLMatcher(engine, LLMatcher.grammar_from_lark(ask.grammar))
            assert matcher.try_consume_tokens(said) == len(said), matcher.get_error()
            assert matcher.is_accepting()
