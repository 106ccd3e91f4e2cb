"""The frame grammar for somebody else's engine: Lark text, as llguidance and vLLM read it.

A special token in angle brackets is that token by its id, never its characters. Calls and returns balance by
themselves, since a function's frames are a rule of their own: `rest` is what follows a CALL up to its RETURN.
The end token of a trace is the end of a text to an engine, so no rule names it: it may come where a text may
end. Unlike our `FrameGrammar` it lets a frame name a variable twice, and spell a line in any tokens.
"""

from __future__ import annotations

import json
from typing import Literal

from cwm_trace.model.predict.grammar import running_lines
from cwm_trace.records import Event, Trace
from cwm_trace.wire.profile import CWM, FormatProfile
from cwm_trace.wire.render import STATEFUL
from cwm_trace.wire.tokens import EVENT_TOKENS, Special

Given = Literal["nothing", "event", "state"]

_TOKENS = {event: token for event, token in EVENT_TOKENS.items() if event is not Event.END}
_ACTION, _ARG, _FRAME = Special.ACTION.value, Special.ARG.value, Special.FRAME.value
_NOTHING = '""'
_TEXTS = r"""
locals: "{}" | "{" pair (", " pair)* "}"
pair: NAME ": " TEXT
NAME: /"([A-Za-z0-9_.]|\\u[0-9a-f]{4})+"/
TEXT: /"([ !#-\[\]-~]|\\["\\bfnrt]|\\u[0-9a-f]{4})*"/
"""


def frame_grammar(
    program: Trace, events: frozenset[Event], profile: FormatProfile = CWM, *, given: Given = "nothing"
) -> str:
    """One frame, or what is missing of one.

    Args:
        program: whose lines the source may be.
        events: its event is one of these; with `Event.END` none at all may come.
        profile: how lines are shown.
        given: what stands there already: `nothing`; the `event`, the only one of `events`; or everything
            before the source, the `state`.
    """
    names = [event for event in _TOKENS if event in events]
    if given == "nothing":
        some = f"({' | '.join(event.value for event in names)})" + "?" * (Event.END in events)
        return f"start: {some if names else _NOTHING}\n{_rules(program, profile)}"
    (event,) = names
    inside = _inside(event) if given == "event" else _inside(event).partition(f"{_ACTION} ")[2]
    return f"start: {inside} {_FRAME}\n{_rules(program, profile)}"


def trace_grammar(program: Trace, open_calls: int, profile: FormatProfile = CWM) -> str:
    """The rest of a trace in which so many calls are open."""
    rest = " ".join(["rest"] * open_calls)
    return f"start: {rest}\nrest: (line | exception | call rest)* return\n{_rules(program, profile)}"


def _inside(event: Event) -> str:
    """A frame between its event and its separator."""
    return f"locals {_ACTION} source" if event in STATEFUL else f"{_ACTION} source {_ARG} TEXT"


def _rules(program: Trace, profile: FormatProfile) -> str:
    rules = [f"{event.value}: {token.value} {_inside(event)} {_FRAME}" for event, token in _TOKENS.items()]
    lines = " | ".join(json.dumps(line, ensure_ascii=False) for line in running_lines(program, profile))
    return "\n".join(rules) + f"\nsource: {lines}\n{_TEXTS}"
