"""The frame grammar for somebody else's engine: Lark text, as llguidance and vLLM read it.

A special token in angle brackets is that token by its id, never its characters. Calls and returns balance by
themselves, since a function's frames are a rule of their own: `rest` is what follows a CALL up to its RETURN.
The end token of a trace is the end of a text to an engine, so no rule names it: it may come where a text may
end. Unlike our `FrameGrammar` it lets a frame spell a line in any tokens, and name a variable twice where any
name or more than `_MOST_NEW` new ones may stand.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Literal

from cwm_trace.model.predict.grammar import running_lines
from cwm_trace.model.predict.guide import Names, Opening
from cwm_trace.records import Event, Trace
from cwm_trace.wire.profile import CWM, FormatProfile
from cwm_trace.wire.render import STATEFUL
from cwm_trace.wire.tokens import EVENT_TOKENS, Special

Given = Literal["nothing", "event", "state"]

_TOKENS: dict[Event, Special] = {
    event: token for event, token in EVENT_TOKENS.items() if event is not Event.END
}
_ACTION, _ARG, _FRAME = Special.ACTION.value, Special.ARG.value, Special.FRAME.value
_NOTHING = '""'
_MOST_NEW = 4
"""New names of a frame up to which each order of them is spelt out."""
_TEXTS = r"""
locals: "{}" | "{" pair (", " pair)* "}"
pair: NAME ": " TEXT
NAME: /"([A-Za-z0-9_.]|\\u[0-9a-f]{4})+"/
TEXT: /"([ !#-\[\]-~]|\\["\\bfnrt]|\\u[0-9a-f]{4})*"/
"""


def frame_grammar(
    program: Trace, opening: Opening, profile: FormatProfile = CWM, *, given: Given = "nothing"
) -> str:
    """One frame, or what is missing of one.

    Args:
        program: whose lines the source may be.
        opening: what the frame may be; with `Event.END` none at all may come.
        profile: how lines are shown.
        given: what stands there already: `nothing`; the `event`, the only one of the opening's; or everything
            before the source, the `state`.
    """
    names = [event for event in _TOKENS if event in opening.events]
    if given == "nothing":
        some = f"({' | '.join(event.value for event in names)})" + "?" * (Event.END in opening.events)
        start = some if names else _NOTHING
    else:
        (event,) = names
        inside = _inside(event, opening)
        start = f"{inside if given == 'event' else inside.partition(f'{_ACTION} ')[2]} {_FRAME}"
    return f"start: {start}\n{_rules(program, profile, names, opening)}"


def _inside(event: Event, opening: Opening) -> str:
    """A frame between its event and its separator."""
    source = f"{event.value}_source" if event in opening.lines else "source"
    if event not in STATEFUL:
        return f"{_ACTION} {source} {_ARG} TEXT"
    names = f"{event.value}_locals" if event in opening.names else "locals"
    return f"{names} {_ACTION} {source}"


def _rules(program: Trace, profile: FormatProfile, events: Sequence[Event], opening: Opening) -> str:
    lines = running_lines(program, profile)
    rules = [f"{event.value}: {_TOKENS[event].value} {_inside(event, opening)} {_FRAME}" for event in events]
    for event, legal in opening.lines.items():
        possible = [line for line in lines if line in legal]
        rules.append(f"{event.value}_source: {_either(possible or lines)}")
    for event, names in opening.names.items():
        rules += _locals(f"{event.value}_locals", names)
    return "\n".join(rules) + f"\nsource: {_either(lines)}\n{_TEXTS}"


def _locals(rule: str, names: Names) -> Iterator[str]:
    """Rules of locals under a guide: known names in their order, then new ones.

    What may follow once so many known names have had their turn is a rule of its own: `first_N` as long as
    nothing is written, and `after_N`.
    """
    yield f'{rule}: "{{" {rule}_first_0'
    for at, name in enumerate(names.order):
        skipped = "" if name in names.needed else f" | {rule}_{{}}_{at + 1}"
        pair = f"{_pair(name, names.texts.get(name))} {rule}_after_{at + 1}"
        yield f"{rule}_first_{at}: {pair}{skipped.format('first')}"
        yield f'{rule}_after_{at}: ", " {pair}{skipped.format("after")}'
    yield from _new_names(rule, len(names.order), names.fresh)


def _new_names(rule: str, known: int, fresh: frozenset[str] | None) -> Iterator[str]:
    """Rules of the names behind the known ones: each at most once, if they are few."""
    if fresh is None or len(fresh) > _MOST_NEW:
        pair = 'NAME ": " TEXT' if fresh is None else f"({' | '.join(map(_pair, sorted(fresh)))})"
        yield f'{rule}_first_{known}: "}}" | {pair} {rule}_after_{known}'
        yield f'{rule}_after_{known}: "}}" | ", " {pair} {rule}_after_{known}'
        return

    every = tuple(sorted(fresh))

    def state(left: Sequence[str]) -> str:
        which = "" if len(left) == len(every) else "".join(f"_{every.index(name)}" for name in left) or "_no"
        return f"{rule}_after_{known}{which}"

    more: list[str] = []
    for count in range(len(every) + 1):
        for left in combinations(every, count):
            more = [f"{_pair(one)} {state([name for name in left if name != one])}" for one in left]
            yield f'{state(left)}: "}}"' + "".join(f' | ", " {pair}' for pair in more)
    yield " | ".join([f'{rule}_first_{known}: "}}"', *more])  # of the last ones, which are all


def _pair(name: str, text: str | None = None) -> str:
    """A name and its value: a text that is known, or any."""
    if text is None:
        head = f'"{name}": '
        return f"{_literal(head)} TEXT"
    return _literal(f'"{name}": "{text}"')


def _either(texts: Sequence[str]) -> str:
    return " | ".join(map(_literal, texts))


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
