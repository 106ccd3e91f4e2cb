"""Tokens of a trace by field, where the tokenizer is known: what each field of a frame costs."""

from __future__ import annotations

from collections import Counter

from cwm_trace.records import Event, Trace
from cwm_trace.wire.profile import CWM, PROFILES
from cwm_trace.wire.render import FrameRenderer
from cwm_trace.wire.tokens import Special, TraceTokens

_STATEFUL = (Event.CALL, Event.LINE)


def count_field_tokens(trace: Trace, tokens: TraceTokens) -> dict[str, int]:
    """Tokens of the frames that were not given, by field: `event`, `locals`, `source`, `value`.

    The special token behind a text counts for that text, as it ends it; an `end` of the trace is an event.
    """
    renderer = FrameRenderer(trace, PROFILES.get(trace.profile, CWM))
    counts: Counter[str] = Counter()
    for index, frame in enumerate(trace.frames):
        pieces = renderer.render(frame)
        if index < trace.guess.given or not pieces:
            continue
        fields = ("locals", "source") if frame.event in _STATEFUL else ("source", "value")
        counts["event"] += 1
        texts = [piece for piece in pieces if not isinstance(piece, Special)]
        for field, text in zip(fields, texts, strict=False):
            counts[field] += len(tokens.encode_pieces([text])) + 1
        if frame.event not in _STATEFUL and frame.event is not Event.END:
            counts["event"] += 1  # the separator between event and source
    return dict(counts)
