"""Tokens of a trace by field, where the tokenizer is known: what each field of a frame costs."""

from __future__ import annotations

from collections import Counter

from cwm_trace.records import Trace
from cwm_trace.wire.fields import fields_of
from cwm_trace.wire.profile import CWM, PROFILES
from cwm_trace.wire.render import FrameRenderer
from cwm_trace.wire.tokens import TraceTokens


def count_field_tokens(trace: Trace, tokens: TraceTokens) -> dict[str, int]:
    """Tokens of the frames that were not given, by field: `event`, `locals`, `source`, `value`.

    The fields are those of `cwm_trace.wire.fields`; an `end` of the trace is an event.
    """
    renderer = FrameRenderer(trace, PROFILES.get(trace.profile, CWM))
    counts: Counter[str] = Counter()
    for index, frame in enumerate(trace.frames):
        pieces = renderer.render(frame)
        if index < trace.guess.given:
            continue
        for piece, field in fields_of(pieces):
            counts[field] += len(tokens.encode_pieces([piece]))
    return dict(counts)
