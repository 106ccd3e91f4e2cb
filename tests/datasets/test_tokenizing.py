"""Tokenized traces say what the wire says, and know what is given and what is a changed value."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from cwm_trace.api import trace_execution
from cwm_trace.datasets.families import make_item
from cwm_trace.datasets.tokenizing import TokenField, TokenizedTrace, changed_spans, tokenize_trace
from cwm_trace.records import Trace
from cwm_trace.wire.render import render_prompt, render_trace
from cwm_trace.wire.tokens import EVENT_TOKENS, Special, TraceTokens

PROGRAM = "def f(s):\n    t = s + '<|frame_sep|>'\n    u = '\", \"'\n    return [t, u, 12]\n"


@cache
def traces() -> list[Trace]:
    items = [make_item(name, 1) for name in ("counters", "exceptions", "general", "stores", "generators")]
    return [trace_execution(item.source, call=item.call) for item in items] + [
        trace_execution(PROGRAM, call="f('é..')"),
        trace_execution(PROGRAM, call="f(3)"),
    ]


def merged_tokens() -> TraceTokens:
    """Of a tokenizer that merges bytes."""
    module: Any = pytest.importorskip("cwm_trace.model.tokenizer")
    texts = [trace.files[0].text for trace in traces()] + ['{"text": "..", "words": "\'é\'"}']
    return TraceTokens.from_tokenizer(module.build_tokenizer(texts, 400))


@pytest.fixture(scope="module", params=[TraceTokens.of_bytes, merged_tokens])
def tokens(request: pytest.FixtureRequest) -> TraceTokens:
    made: TraceTokens = request.param()
    return made


def test_ids_are_those_of_the_wire(tokens: TraceTokens) -> None:
    for trace in traces():
        document = tokenize_trace(trace, tokens)
        assert list(document.ids) == render_trace(trace, tokens=tokens)
        assert len(document.fields) == len(document.frames) == len(document) == len(document.ids)


@pytest.mark.parametrize("given", [0, 1, 3])
def test_the_program_and_the_first_frames_are_given_and_nothing_else(tokens: TraceTokens, given: int) -> None:
    for trace in traces():
        document = tokenize_trace(trace, tokens, given=given)
        prompt = len(render_prompt(trace, given=given, tokens=tokens))
        assert set(document.fields[:prompt]) == {TokenField.GIVEN}
        assert TokenField.GIVEN not in document.fields[prompt:]
        assert document.given == prompt
        assert document.targets == bytes(prompt) + b"\1" * (len(document) - prompt)
        half = document.cut(prompt // 2)
        assert half.ids == document.ids[: prompt // 2]
        assert not any(half.targets)


def texts_of(tokens: TraceTokens, document: TokenizedTrace, field: TokenField) -> list[str]:
    """The runs of tokens of one field, as text."""
    runs: list[list[int]] = [[]]
    for number, mark in zip(document.ids, document.fields, strict=True):
        if mark == field:
            runs[-1].append(number)
        elif runs[-1]:
            runs.append([])
    return [tokens.decode([n for n in run if n not in tokens.specials]) for run in runs if run]


def test_changed_values_are_those_in_full(tokens: TraceTokens) -> None:
    trace = trace_execution("def f(a):\n    b = a + 1\n    a = b\n    return a\n", call="f(41)")
    document = tokenize_trace(trace, tokens)
    changed = texts_of(tokens, document, TokenField.CHANGED)
    assert [text[:3] for text in changed] == ['41"', '42"', '42"'], "up to the quote that ends it"
    assert texts_of(tokens, document, TokenField.SOURCE)[0].strip() == "return f(41)"
    assert texts_of(tokens, document, TokenField.VALUE) == ['"42"', '"42"']


def test_separators_belong_to_what_they_end(tokens: TraceTokens) -> None:
    for trace in traces():
        document = tokenize_trace(trace, tokens)
        events = {tokens.ids[token] for token in EVENT_TOKENS.values()}
        pairs = list(zip(document.ids, document.fields, strict=True))[document.given :]
        fields = {number: {mark for id_, mark in pairs if id_ == number} for number in tokens.specials}
        assert all(fields[number] <= {TokenField.EVENT} for number in events)
        assert fields[tokens.ids[Special.ACTION]] == {TokenField.LOCALS, TokenField.EVENT}
        assert fields[tokens.ids[Special.ARG]] <= {TokenField.SOURCE}
        assert fields[tokens.ids[Special.FRAME]] <= {TokenField.SOURCE, TokenField.VALUE}


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("{}", []),
        ('{"a": ".."}', []),
        ('{"a": "\'..\'"}', ["'..'"]),
        ('{"a": "\\", \\"", "b": "..", "c": "\\\\"}', ['\\", \\"', "\\\\"]),
    ],
)
def test_changed_spans(text: str, values: list[str]) -> None:
    assert [text[a:b] for a, b in changed_spans(text)] == values
