"""True frames are legal token by token, and whatever the grammar allows parses without a problem."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest
from hypothesis import given

from cwm_trace import trace_execution
from cwm_trace.model.predict.guide import Names, Opening
from cwm_trace.model.predict.open_frame import FreeFrame
from cwm_trace.model.predict.rollout import pieces_of
from cwm_trace.model.predict.vocabulary import INDEX
from cwm_trace.records import Event, Program, SourceFile, Trace
from cwm_trace.strategies import DrawnProgram, programs
from cwm_trace.wire.fields import fields_of
from cwm_trace.wire.parse import parse_trace
from cwm_trace.wire.profile import CWM, FormatProfile
from cwm_trace.wire.reader import FrameReader
from cwm_trace.wire.render import main_thread
from cwm_trace.wire.tokens import EVENT_TOKENS, Special
from tests.effort import examples
from tests.model.predict.examples import real_traces
from tests.model.predict.walks import PROGRAM, at_locals, grammar, legal_ids, takes, vocabulary, walk
from tests.traces import PROFILES, profiles

LONG = "def f(n):\n    s = '" + "x" * 300 + "'\n    return s\n"


@pytest.mark.parametrize("kind", ["bytes", "built"])
@examples(0.12)
@given(program=programs(max_statements=3), profile=profiles())
def test_true_frames_are_legal(kind: str, program: DrawnProgram, profile: FormatProfile) -> None:
    every_frame_is_legal(trace_execution(program.source, call=program.call), profile, kind)


@pytest.mark.parametrize("profile", PROFILES)
def test_frames_of_a_module_are_legal(profile: FormatProfile) -> None:
    source = "\nk = 1\ndef g():\n    return [k for _ in 'é']\n\nx = g()\n"
    every_frame_is_legal(trace_execution(source), profile, "built")


def every_frame_is_legal(trace: Trace, profile: FormatProfile, kind: str) -> None:
    tokens, _ = vocabulary(kind)
    rules = grammar(kind, trace, profile)
    reader = FrameReader(replace(trace, frames=()), profile)
    for frame in main_thread(trace)[:60]:
        state = rules.start(Opening(reader.legal_events))
        pieces = reader.push(frame)
        ids = tokens.encode_pieces(pieces)
        assert takes(state, ids), (frame, tokens.decode(state.ids))
        assert state.is_done == bool(ids)
        fields = [field for piece, field in fields_of(pieces) for _ in tokens.encode_pieces([piece])]
        constrained, free = rules.start(Opening(reader.legal_events)), FreeFrame(tokens)
        for number, field in zip(ids, fields, strict=True):
            assert constrained.field == free.field == field
            constrained.take(number)
            free.take(number)


@pytest.mark.parametrize("kind", ["bytes", "built", "joined"])
@pytest.mark.parametrize("profile", PROFILES)
def test_whatever_is_allowed_parses_without_a_problem(kind: str, profile: FormatProfile) -> None:
    tokens, _ = vocabulary(kind)
    choose = random.Random(f"{kind} {profile}")
    for trace in real_traces(10)[:: 3 if profile != CWM else 1]:
        given_frames = choose.randrange(len(trace.frames))
        history = replace(trace, frames=trace.frames[:given_frames])
        reader = FrameReader(history, profile)
        rules = grammar(kind, trace, profile, max_text_tokens=choose.choice([None, 0, 5]))
        ids: list[int] = []
        for _ in range(12):
            state = walk(rules, rules.start(Opening(reader.legal_events)), choose)
            ids += state.ids
            if state.event is Event.END:
                break
            parsed = parse_trace(state.ids, program=history, profile=profile, tokens=tokens)
            reader.read(pieces_of(state.ids, tokens)[:-1])
            assert len(parsed.frames) == given_frames + 1
        parsed = parse_trace(ids, program=history, profile=profile, tokens=tokens)
        assert parsed.guess.problems == ()


@pytest.mark.parametrize("kind", ["bytes", "built", "joined"])
@pytest.mark.parametrize("known", [False, True])
def test_what_is_allowed_is_what_is_legal(kind: str, known: bool) -> None:
    """`allows` answers for one id, `legal` for all: they agree on every id of the vocabulary."""
    tokens, words = vocabulary(kind)
    rules = grammar(kind)
    names = Names(["a", "ab", "b"], frozenset(["a", "ab", "b"]), frozenset("b"), {"a": ".."})
    excluded = 0
    for text in ('{"a": "..", "a', '{"a": "..", "ab": "x', '{"b": "1", "ab": "", "b": "2"}'):
        opening = Opening(frozenset([Event.LINE]), names={Event.LINE: names} if known else {})
        state = rules.start(opening)
        for number in (tokens.ids[Special.LINE], *tokens.encode(text)):
            legal = legal_ids(rules, state)
            assert [each for each in range(words.size) if state.allows(each)] == sorted(legal)
            excluded += len(state.legal.but)
            if number not in legal:
                break
            state.take(number)
        legal = legal_ids(rules, state)
        assert [each for each in range(words.size) if state.allows(each)] == sorted(legal)
        excluded += len(state.legal.but)
    assert excluded or (known and kind == "bytes")  # whose quotes are tokens of their own


@pytest.mark.parametrize("kind", ["bytes", "built", "joined"])
def test_the_source_is_a_line_that_can_run(kind: str) -> None:
    tokens, _ = vocabulary(kind)
    rules = grammar(kind)
    choose = random.Random(kind)
    seen = set()
    for _ in range(200):
        state = at_locals(rules)
        assert takes(state, [*tokens.encode("{}"), tokens.ids[Special.ACTION]])
        first = len(state.ids)
        seen.add(tokens.decode(walk(rules, state, choose).ids[first:-1]))
    assert seen == {"def f(a):\n", "    return a\n", "    return ab\n"}


def test_a_line_of_many_tokens_is_one_choice() -> None:
    program = Trace(Program((SourceFile("p.py", LONG),), "f", 1))
    tokens, _ = vocabulary("bytes")
    rules = grammar("bytes", program)
    state = at_locals(rules)
    takes(state, [*tokens.encode("{}"), tokens.ids[Special.ACTION]])
    choices = 0
    while state.field == "source" and state.legal.ids != (tokens.ids[Special.FRAME],):
        legal = legal_ids(rules, state)
        choices += len(legal) > 1
        state.take(legal[-1])
    assert choices <= 2


def test_a_program_of_comments_only_has_lines_too() -> None:
    program = Trace(Program((SourceFile("p.py", "# nothing\n"),), "<module>"))
    rules = grammar("bytes", program)
    state = walk(rules, rules.start(Opening(frozenset([Event.CALL]))), random.Random(0))
    assert state.event is Event.CALL


def test_only_legal_events_may_begin_a_frame() -> None:
    tokens, _ = vocabulary("bytes")
    rules = grammar("bytes")
    for legal in (frozenset([Event.CALL, Event.END]), frozenset(Event), frozenset([Event.END])):
        state = rules.start(Opening(legal))
        assert set(legal_ids(rules, state)) == {tokens.ids[EVENT_TOKENS[event]] for event in legal}
    end = rules.start(Opening(frozenset([Event.END])))
    end.take(tokens.ids[Special.END])
    assert end.is_done
    assert legal_ids(rules, end) == []


def test_what_is_given_need_not_be_legal() -> None:
    tokens, _ = vocabulary("bytes")
    rules = grammar("bytes", PROGRAM)
    state = rules.start(Opening(frozenset([Event.CALL])))
    ids = [tokens.ids[Special.LINE], *tokens.encode('{"q x": 1}'), tokens.ids[Special.ACTION]]
    state.give(ids, Event.LINE)
    assert (state.field, state.event, state.ids) == ("source", Event.LINE, ids)
    done = walk(rules, state, random.Random(0))
    assert done.ids[-1] == tokens.ids[Special.FRAME]


def test_a_copy_goes_on_by_itself() -> None:
    tokens, _ = vocabulary("built")
    rules = grammar("built")
    state = at_locals(rules)
    takes(state, tokens.encode('{"a": "1'))
    before = list(state.ids)
    walk(rules, state.copy(), random.Random(1))
    assert state.ids == before
    assert takes(state, tokens.encode('", "b": "2"}'))


@pytest.mark.parametrize("kind", ["bytes", "built", "joined"])
def test_a_frame_has_an_end_for_whoever_goes_on_naming(kind: str) -> None:
    """Where another name may begin, this reader of the grammar always asks for one."""
    tokens, words = vocabulary(kind)
    rules = grammar(kind)
    state = rules.start(Opening(frozenset([Event.LINE])))
    choose = random.Random(kind)
    further = {INDEX[name] for name in ("comma-space", "name-quote", "name-start")}
    for _ in range(4000):
        if state._phase not in ("event", "locals"):
            break
        legal = legal_ids(rules, state)
        asks = [number for number in legal if words.after[state._dfa, number] in further]
        closes = [number for number in legal if '"' in words.texts[number]]
        state.take(choose.choice(asks or (closes if choose.random() < 0.3 else []) or legal))
    names = len(json.loads(tokens.decode(state.ids[1:])))
    assert 12 < names <= rules.max_names
