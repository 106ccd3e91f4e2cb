"""One map says which field a token belongs to, and everything that speaks of fields agrees with it."""

from __future__ import annotations

from hypothesis import given

from cwm_trace.datasets.tokenizing import TokenField, tokenize_trace
from cwm_trace.records import Trace
from cwm_trace.wire.fields import FIELDS, fields_of
from cwm_trace.wire.profile import CWM
from cwm_trace.wire.render import FrameRenderer, main_thread
from cwm_trace.wire.tokens import Piece, Special, TraceTokens
from tests.traces import traces

TOKENS = TraceTokens.of_bytes()


def test_a_separator_belongs_to_the_text_that_it_ends() -> None:
    line: list[Piece] = [Special.LINE, "{}", Special.ACTION, "x = 1\n", Special.FRAME]
    assert [field for _, field in fields_of(line)] == ["event", "locals", "locals", "source", "source"]
    back: list[Piece] = [Special.RETURN, Special.ACTION, "return x\n", Special.ARG, '"1"', Special.FRAME]
    assert [field for _, field in fields_of(back)] == ["event", "event", "source", "source", "value", "value"]
    assert [field for _, field in fields_of([Special.END])] == ["event"]


@given(traces())
def test_documents_and_counts_agree(trace: Trace) -> None:
    document = tokenize_trace(trace, TOKENS, given=0)
    marks = {TokenField[name.upper()]: name for name in FIELDS} | {TokenField.CHANGED: "locals"}
    found = dict.fromkeys(FIELDS, 0)
    for mark in document.fields[document.fields.count(TokenField.GIVEN) :]:
        found[marks[TokenField(mark)]] += 1
    renderer = FrameRenderer(trace, CWM)
    wanted = dict.fromkeys(FIELDS, 0)
    for frame in main_thread(trace):
        for piece, field in fields_of(renderer.render(frame)):
            wanted[field] += len(TOKENS.encode_pieces([piece]))
    ended = len(document.frames) and document.frames[-1] == len(main_thread(trace))
    assert {**found, "event": found["event"] - bool(ended)} == wanted
