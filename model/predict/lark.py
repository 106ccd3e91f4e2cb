"""The frame grammar for somebody else's engine: Lark text, as llguidance and vLLM read it.

A special token in angle brackets is that token by its id, never its characters. Calls and returns balance by
themselves, since a function's frames are a rule of their own: `rest` is what follows a CALL up to its RETURN.
The end token of a trace is the end of a text to an engine, so no rule names it: it may come where a text may
end. Unlike our `FrameGrammar` it lets a frame name a variable twice, and spell a line in any tokens.
"""

from __future__ import annotations

import json

from cwm_trace.model.predict.grammar import running_lines
from cwm_trace.records import Event, Trace
from cwm_trace.wire.profile import CWM, FormatProfile
from cwm_trace.wire.render import STATEFUL
from cwm_trace.wire.tokens import EVENT_TOKENS, Special

_TOKENS = {event: token for event, token in EVENT_TOKENS.items() if event is not Event.END}
_TEXTS = r"""
locals: "{}" | "{" pair (", " pair)* "}"
pair: NAME ": " TEXT
NAME: /"([A-Za-z0-9_.]|\\u[0-9a-f]{4})+"/
TEXT: /"([ !#-\[\]-~]|\\["\\bfnrt]|\\u[0-9a-f]{4})*"/
"""


def frame_grammar(program: Trace, events: frozenset[Event], profile: FormatProfile = CWM) -> str:
    """One frame whose event is one of `events`; with `Event.END` none at all may come."""
    names = " | ".join(event.value for event in _TOKENS if event in events)
    some = f"({names})" + "?" * (Event.END in events) if names else '""'
    return f"start: {some}\n{_rules(program, profile)}"


def trace_grammar(program: Trace, open_calls: int, profile: FormatProfile = CWM) -> str:
    """The rest of a trace in which so many calls are open."""
    rest = " ".join(["rest"] * open_calls)
    return f"start: {rest}\nrest: (line | exception | call rest)* return\n{_rules(program, profile)}"


def _rules(program: Trace, profile: FormatProfile) -> str:
    action, arg, frame = (token.value for token in (Special.ACTION, Special.ARG, Special.FRAME))
    rules = []
    for event, token in _TOKENS.items():
        inside = f"locals {action} source" if event in STATEFUL else f"{action} source {arg} TEXT"
        rules.append(f"{event.value}: {token.value} {inside} {frame}")
    lines = " | ".join(json.dumps(line, ensure_ascii=False) for line in running_lines(program, profile))
    return "\n".join(rules) + f"\nsource: {lines}\n{_TEXTS}"
