"""A trace as token ids, each with the field that it belongs to and whether a model is to learn it."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from cwm_trace.records import Outcome, Trace
from cwm_trace.wire.profile import CWM, FormatProfile
from cwm_trace.wire.render import STATEFUL, FrameRenderer, main_thread, render_prompt
from cwm_trace.wire.tokens import Special, TraceTokens


class TokenField(enum.IntEnum):
    """What a token is part of."""

    PROMPT = 0
    """The program."""
    EVENT = 1
    """The special token that says which event comes next; the end of the trace is one."""
    LOCALS = 2
    """The variables of a CALL or LINE."""
    SOURCE = 3
    """The line."""
    VALUE = 4
    """What is returned or raised."""
    SPECIAL = 5
    """Another special token of a frame."""
    PADDING = 6
    """What fills a packed sequence."""


@dataclass(frozen=True, slots=True)
class TokenizedTrace:
    """Ids of a trace, equal to those of `render_trace`, and what each of them is.

    Args:
        ids: token ids.
        fields: a `TokenField`.
        frames: index of the frame among those that the wire shows (`main_thread`); -1 in the program; the
            number of frames at the end token.
        targets: 1 if it is to be predicted: everything but the program and the `given` first frames.
    """

    ids: list[int]
    fields: bytes
    frames: list[int]
    targets: bytes

    def __len__(self) -> int:
        return len(self.ids)


def tokenize_trace(
    trace: Trace, tokens: TraceTokens, *, profile: FormatProfile = CWM, given: int = 1
) -> TokenizedTrace:
    """Tokenize a trace.

    Args:
        trace: a real one.
        tokens: the tokenizer's mapping.
        profile: which reading of the format to write.
        given: leading frames that a model is handed, as in CWM's prompt: the CALL of the entry.
    """
    ids = render_prompt(trace, given=0, profile=profile, tokens=tokens)
    fields = bytearray([TokenField.PROMPT]) * len(ids)
    frames = [-1] * len(ids)
    start = len(ids)
    renderer = FrameRenderer(trace, profile)
    shown = main_thread(trace)
    for number, frame in enumerate(shown):
        pieces = renderer.render(frame)
        texts = iter(
            (TokenField.LOCALS, TokenField.SOURCE)
            if frame.event in STATEFUL
            else (TokenField.SOURCE, TokenField.VALUE)
        )
        for place, piece in enumerate(pieces):
            if isinstance(piece, Special):
                ids.append(tokens.ids[piece])
                fields.append(TokenField.SPECIAL if place else TokenField.EVENT)
            else:
                part = tokens.encode(piece)
                ids += part
                fields += bytes([next(texts)]) * len(part)
        frames += [number] * (len(ids) - len(frames))
        if number < given:
            start = len(ids)
    if trace.outcome in (Outcome.RETURNED, Outcome.RAISED, Outcome.EXITED):
        ids.append(tokens.ids[Special.END])
        fields.append(TokenField.EVENT)
        frames.append(len(shown))
    targets = bytes(start) + b"\1" * (len(ids) - start)
    return TokenizedTrace(ids, bytes(fields), frames, targets)
