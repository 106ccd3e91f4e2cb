"""The grammar for other engines, under llguidance itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import llguidance.hf
import pytest
from hypothesis import given
from llguidance import LLMatcher

from cwm_trace import Event, Outcome, Trace, render_trace, trace_execution
from cwm_trace.model.predict.lark import frame_grammar, trace_grammar
from cwm_trace.model.tokenizer import build_tokenizer
from cwm_trace.strategies import Program, programs
from cwm_trace.wire.profile import CWM
from cwm_trace.wire.reader import FrameReader
from cwm_trace.wire.tokens import Piece, Special, TraceTokens
from tests.effort import examples

SOURCE = """\
def f(xs):
    out = {"é": "<|frame_sep|>", 'q"': "\\n"}
    for x in xs:
        out[x] = (lambda y: y * 2)(x)
    return out["missing"]
"""


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return build_tokenizer([render_trace(trace_execution(SOURCE, call="f([1, 2])"))], 400)


@pytest.fixture(scope="module")
def engine(tokenizer: Any) -> Any:
    return llguidance.hf.from_tokenizer(tokenizer)


def matcher(engine: Any, grammar: str) -> Any:
    compiled = LLMatcher.grammar_from_lark(grammar)
    assert not LLMatcher.validate_grammar(compiled, engine)
    return LLMatcher(engine, compiled)


def accepts(engine: Any, grammar: str, ids: list[int]) -> bool:
    found = matcher(engine, grammar)
    return bool(
        found.validate_tokens(ids) == len(ids)
        and found.try_consume_tokens(ids) == len(ids)
        and found.is_accepting()
    )


def ids_after_the_prompt(trace: Trace, tokens: TraceTokens) -> list[int]:
    start = replace(trace, frames=trace.frames[:1], outcome=Outcome.INCOMPLETE)
    whole = render_trace(replace(trace, outcome=Outcome.INCOMPLETE), tokens=tokens)
    return whole[len(render_trace(start, tokens=tokens)) :]


def test_a_true_trace_is_in_the_language_and_nothing_less_is(tokenizer: Any, engine: Any) -> None:
    trace = trace_execution(SOURCE, call="f([1, 2])")
    tokens = TraceTokens.from_tokenizer(tokenizer)
    ids = ids_after_the_prompt(trace, tokens)
    assert accepts(engine, trace_grammar(trace, 1), ids)
    assert not accepts(engine, trace_grammar(trace, 2), ids)
    assert not accepts(engine, trace_grammar(trace, 1), ids[:-1])
    spelt = tokens.encode("<|frame_sep|>")
    assert not accepts(engine, trace_grammar(trace, 1), [*ids[:-1], *spelt])


@examples(0.15)
@given(program=programs())
def test_traces_of_generated_programs(tokenizer: Any, engine: Any, program: Program) -> None:
    trace = trace_execution(program.source, call=program.call)
    ids = ids_after_the_prompt(trace, TraceTokens.from_tokenizer(tokenizer))[:2_000]
    assert matcher(engine, trace_grammar(trace, 1)).validate_tokens(ids) == len(ids)


def test_each_frame_is_one_that_its_stack_allows(tokenizer: Any, engine: Any) -> None:
    trace = trace_execution(SOURCE, call="f([1, 2])")
    tokens = TraceTokens.from_tokenizer(tokenizer)
    reader = FrameReader(replace(trace, frames=trace.frames[:1]), CWM)
    for frame in trace.frames[1:]:
        legal = reader.legal_events
        ids = tokens.encode_pieces(reader.push(frame))
        assert accepts(engine, frame_grammar(trace, legal), ids)
        assert not accepts(engine, frame_grammar(trace, legal - {frame.event}), ids)
        assert not accepts(engine, frame_grammar(trace, legal), [])
    assert reader.legal_events == {Event.END}
    assert accepts(engine, frame_grammar(trace, reader.legal_events), [])


def test_a_line_of_another_program_is_refused(tokenizer: Any, engine: Any) -> None:
    trace = trace_execution(SOURCE, call="f([1, 2])")
    tokens = TraceTokens.from_tokenizer(tokenizer)
    pieces: list[Piece] = [Special.LINE, "{}", Special.ACTION, "    return nothing\n", Special.FRAME]
    assert not accepts(engine, frame_grammar(trace, frozenset([Event.LINE])), tokens.encode_pieces(pieces))
