"""Documents say what the wire says, and know what is given and what is a changed value."""

from __future__ import annotations

from pathlib import Path

import pytest

from cwm_trace.api import trace_execution
from cwm_trace.model.tokenizer import load_tokenizer
from cwm_trace.model.training.documents import Document, DocumentWriter, Field, changed_spans
from cwm_trace.model.training.stream import record
from cwm_trace.records import Trace
from cwm_trace.wire.render import render_prompt, render_trace
from cwm_trace.wire.tokens import TraceTokens
from tests.model.training.runs import MIX, make_writer

PROGRAM = "def f(s):\n    t = s + '<|frame_sep|>'\n    u = '\", \"'\n    return [t, u, 12]\n"


@pytest.fixture(scope="module")
def writer(words: Path) -> DocumentWriter:
    return make_writer(words)


def traces() -> list[Trace]:
    made = [record(MIX.item(number)) for number in range(8)]
    return [trace for trace in made if trace is not None] + [trace_execution(PROGRAM, call="f('é..')")]


def test_ids_are_those_of_the_wire(writer: DocumentWriter, words: Path) -> None:
    tokens = TraceTokens.from_tokenizer(load_tokenizer(words.parent))
    for trace in traces():
        document = writer.write(trace)
        assert list(document.ids) == render_trace(trace, tokens=tokens)
        assert len(document.fields) == len(document.ids)


def test_the_prompt_and_the_seeded_call_are_given_and_nothing_else(writer: DocumentWriter) -> None:
    for trace in traces():
        document = writer.write(trace)
        prompt = len(render_prompt(trace, tokens=writer.tokens))
        assert set(document.fields[:prompt]) == {Field.GIVEN}
        assert Field.GIVEN not in document.fields[prompt:]
        assert document.given == prompt


def text_of(writer: DocumentWriter, document: Document, field: Field) -> list[str]:
    """The runs of tokens of one field, as text."""
    runs: list[list[int]] = [[]]
    for number, mark in zip(document.ids, document.fields, strict=True):
        if mark == field:
            runs[-1].append(number)
        elif runs[-1]:
            runs.append([])
    return [writer.tokens.decode(run) for run in runs if run]


def test_changed_values_are_those_in_full(writer: DocumentWriter) -> None:
    trace = trace_execution("def f(a):\n    b = a + 1\n    a = b\n    return a\n", call="f(41)")
    document = writer.write(trace)
    changed = text_of(writer, document, Field.CHANGED)
    assert [text[:3] for text in changed] == ['41"', '42"', '42"'], "up to the quote that ends it"
    assert text_of(writer, document, Field.SOURCE)[0].strip().startswith("return f(41)")


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
