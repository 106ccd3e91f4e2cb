"""The grammar for other engines, under llguidance itself."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import llguidance.hf
import pytest
from llguidance import LLMatcher

from cwm_trace import Event, Trace, render_trace, trace_execution
from cwm_trace.flow import Flow, analyse
from cwm_trace.model.predict.grammar import running_lines
from cwm_trace.model.predict.guide import START, Names, Opening, Place, read_program
from cwm_trace.model.predict.lark import frame_grammar
from cwm_trace.model.tokenizer import build_tokenizer
from cwm_trace.wire.profile import CWM
from cwm_trace.wire.reader import FrameReader
from cwm_trace.wire.render import STATEFUL
from cwm_trace.wire.tokens import TOKEN_EVENTS, Piece, Special, TraceTokens
from tests.model.predict.examples import PROGRAMS

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


def test_each_frame_is_one_that_its_stack_allows(tokenizer: Any, engine: Any) -> None:
    trace = trace_execution(SOURCE, call="f([1, 2])")
    tokens = TraceTokens.from_tokenizer(tokenizer)
    reader = FrameReader(replace(trace, frames=trace.frames[:1]), CWM)
    for frame in trace.frames[1:]:
        legal = reader.legal_events
        ids = tokens.encode_pieces(reader.push(frame))
        assert accepts(engine, frame_grammar(trace, Opening(legal)), ids)
        assert not accepts(engine, frame_grammar(trace, Opening(legal - {frame.event})), ids)
        assert not accepts(engine, frame_grammar(trace, Opening(legal)), [])
        spelt = [*ids[:-1], *tokens.encode("<|frame_sep|>")]
        assert not accepts(engine, frame_grammar(trace, Opening(legal)), spelt)
    assert reader.legal_events == {Event.END}
    assert accepts(engine, frame_grammar(trace, Opening(reader.legal_events)), [])


def test_a_line_of_another_program_is_refused(tokenizer: Any, engine: Any) -> None:
    trace = trace_execution(SOURCE, call="f([1, 2])")
    tokens = TraceTokens.from_tokenizer(tokenizer)
    pieces: list[Piece] = [Special.LINE, "{}", Special.ACTION, "    return nothing\n", Special.FRAME]
    grammar = frame_grammar(trace, Opening(frozenset([Event.LINE])))
    assert not accepts(engine, grammar, tokens.encode_pieces(pieces))


def is_legal(opening: Opening, trace: Trace, event: Event, names: str, source: str) -> bool:
    """What the guide of our own engine says of a frame."""
    lines = opening.lines.get(event, frozenset(running_lines(trace, CWM)))
    place = opening.names.get(event, Names()).after(START, names) if event in STATEFUL else Place("end")
    return event in opening.events and source in lines and place is not None and place.mode == "end"


def changed(pieces: list[Piece], lines: Sequence[str], draw: random.Random) -> list[Piece]:
    """A frame with another line, other locals or another event."""
    found = list(pieces)
    at = next(at for at in range(len(found) - 1, 0, -1) if found[at] in lines)
    match draw.randrange(3):
        case 0:
            found[at] = draw.choice(lines)
        case 1 if found[0] in (Special.CALL, Special.LINE):
            items = [*json.loads(str(found[1])).items(), ("x", "1"), ("y", "..")]
            draw.shuffle(items)
            found[1] = json.dumps(dict(items[: draw.randrange(len(items) + 1)]))
        case _:
            found[0] = draw.choice([Special.LINE, Special.RETURN, Special.EXCEPTION])
            if found[0] is not Special.LINE and pieces[0] in (Special.CALL, Special.LINE):
                found[1:] = [Special.ACTION, found[at], Special.ARG, '"1"', Special.FRAME]
            elif found[0] is Special.LINE and pieces[0] not in (Special.CALL, Special.LINE):
                found[1:] = ["{}", Special.ACTION, found[at], Special.FRAME]
    return found


@pytest.mark.parametrize("source", [SOURCE, *(text for text in PROGRAMS)])
def test_under_flow_a_server_lets_pass_what_our_engine_does(tokenizer: Any, engine: Any, source: str) -> None:
    trace = trace_execution(source.replace("{0}", "1"), call="f([1, 2])" if source == SOURCE else "f(2)")
    tokens, draw = TraceTokens.from_tokenizer(tokenizer), random.Random(source)
    reading = read_program(
        replace(trace, frames=trace.frames[:1]), Flow(analyse(trace), trace.frames[:1]), CWM
    )
    verdicts = []
    for frame in trace.frames[1:]:
        opening = reading.opening
        true, lines = reading.push(frame), running_lines(trace, CWM)
        grammar = frame_grammar(trace, opening)
        assert accepts(engine, grammar, tokens.encode_pieces(true))
        for pieces in [true, *(changed(true, lines, draw) for _ in range(6))]:
            event = TOKEN_EVENTS[pieces[0]]  # type: ignore[index]
            first, second = [piece for piece in pieces if not isinstance(piece, Special)]
            names, source = (first, second) if event in STATEFUL else ("", first)
            verdicts.append(is_legal(opening, trace, event, names, source))
            assert accepts(engine, grammar, tokens.encode_pieces(pieces)) == verdicts[-1], pieces
    assert True in verdicts
    assert False in verdicts
