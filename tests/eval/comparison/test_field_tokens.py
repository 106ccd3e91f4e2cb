from __future__ import annotations

from dataclasses import replace

from hypothesis import given

from cwm_trace import render_prompt, render_trace
from cwm_trace.eval.comparison.field_tokens import count_field_tokens
from cwm_trace.predict.protocol import ENDED
from cwm_trace.records import Event, Frame, Outcome, Program, Slot, SourceFile, Trace
from tests.traces import TOKENS, traces


def test_hand_worked() -> None:
    """`{"a": "1"}` has 10 bytes, `b` and its newline 2, `"None"` 6; each ends in a special token."""
    start = Trace(Program((SourceFile("p.py", "def f():\nb\n"),), "f", 1), outcome=Outcome.RETURNED)
    frames = (
        Frame(Event.CALL, 1, "def f():"),
        Frame(Event.LINE, 2, "b", changed={"a": Slot("1")}),
        Frame(Event.RETURN, 2, "b", value=Slot("None")),
    )
    trace = replace(start, frames=frames, guess=replace(start.guess, given=1))
    assert count_field_tokens(trace, TOKENS) == {"event": 3, "locals": 11, "source": 6, "value": 7}


@given(traces(whole=True))
def test_fields_are_all_of_a_trace(trace: Trace) -> None:
    counts = count_field_tokens(replace(trace, guess=replace(trace.guess, given=1)), TOKENS)
    ended = trace.outcome in ENDED
    whole, prompt = render_trace(trace, tokens=TOKENS), render_prompt(trace, tokens=TOKENS)
    assert sum(counts.values()) == len(whole) - len(prompt) - ended
