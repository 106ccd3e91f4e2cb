"""A trace as token ids, each with the field that it belongs to; from that follows whether a model learns it.

Datasets that are packed and training that makes its programs on the way both come through here.
"""

from __future__ import annotations

import enum
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from cwm_trace.records import UNCHANGED, Trace
from cwm_trace.wire.fields import fields_of
from cwm_trace.wire.profile import CWM, FormatProfile
from cwm_trace.wire.render import ENDED, FrameRenderer, main_thread, render_prompt
from cwm_trace.wire.tokens import Piece, Special, TraceTokens


class TokenField(enum.IntEnum):
    """What a token is part of; a separator is part of what it ends (`cwm_trace.wire.fields`)."""

    GIVEN = 0
    """what a predictor is handed: the program, and the first frames"""
    EVENT = 1
    """the special token that says which event comes next; the end of the trace is one"""
    LOCALS = 2
    """braces, names, and values that are `..`"""
    CHANGED = 3
    """a value in full, up to the quote that ends it"""
    SOURCE = 4
    """a source line"""
    VALUE = 5
    """what is returned or raised"""
    PADDING = 6
    """what fills a packed sequence"""


LEARNT = tuple(field for field in TokenField if field not in (TokenField.GIVEN, TokenField.PADDING))
"""The fields that a model is to predict."""

_TARGET = bytes(number in LEARNT for number in range(256))


def targets_of(fields: bytes) -> bytes:
    """A 1 for each token that is to be predicted, from the tokens before it."""
    return fields.translate(_TARGET)


@dataclass(frozen=True, slots=True)
class TokenizedTrace:
    """Ids of a trace, equal to those of `render_trace`, and what each of them is.

    Args:
        ids: token ids.
        fields: a `TokenField` each.
        frames: index of the frame among those that the wire shows (`main_thread`); -1 in the program; the
            number of frames at the end token.
    """

    ids: tuple[int, ...]
    fields: bytes
    frames: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def given(self) -> int:
        """How many tokens, at its beginning, are given."""
        return self.fields.count(TokenField.GIVEN)

    @property
    def targets(self) -> bytes:
        """1 if it is to be predicted: everything that is not given."""
        return targets_of(self.fields)

    def cut(self, length: int) -> TokenizedTrace:
        """Its first `length` tokens."""
        if length >= len(self.ids):
            return self
        return TokenizedTrace(self.ids[:length], self.fields[:length], self.frames[:length])


def tokenize_trace(
    trace: Trace, tokens: TraceTokens, *, profile: FormatProfile = CWM, given: int = 1
) -> TokenizedTrace:
    """Tokenize a trace.

    Args:
        trace: a real one, which has frames.
        tokens: the tokenizer's mapping.
        profile: which reading of the format to write.
        given: leading frames that a model is handed, as in CWM's prompt: the CALL of the entry.
    """
    ids = render_prompt(trace, given=0, profile=profile, tokens=tokens)
    fields = bytearray([TokenField.GIVEN]) * len(ids)
    frames = [-1] * len(ids)
    renderer = FrameRenderer(trace, profile)
    shown = main_thread(trace)
    rendered = [renderer.render(frame) for frame in shown]
    texts = list(dict.fromkeys([piece for pieces in rendered for piece in pieces if type(piece) is str]))
    encoded: dict[Piece, list[int]] = {special: [number] for special, number in tokens.ids.items()}
    encoded.update(zip(texts, tokens.encode_each(texts), strict=True))
    layouts: dict[Piece, list[TokenField]] = {}
    for number, pieces in enumerate(rendered):
        if pieces and pieces[0] not in layouts:  # the event, which all that stands behind it follows from
            layouts[pieces[0]] = [TokenField[name.upper()] for _, name in fields_of(pieces)]
        for piece, field in zip(pieces, layouts[pieces[0]] if pieces else (), strict=True):
            part = encoded[piece]
            ids += part
            if field is TokenField.LOCALS and type(piece) is str:
                fields += _locals_fields(piece, part, tokens)
            else:
                fields += _ONE[field] * len(part)
        frames += [number] * (len(ids) - len(frames))
        if number < given:
            fields = bytearray([TokenField.GIVEN]) * len(ids)
    if trace.outcome in ENDED:
        ids.append(tokens.ids[Special.END])
        fields.append(TokenField.EVENT)
        frames.append(len(shown))
    return TokenizedTrace(tuple(ids), bytes(fields), tuple(frames))


_ONE = [bytes([number]) for number in TokenField]
_CHANGED = re.compile(rf'": "(?!{re.escape(UNCHANGED)}")((?:[^"\\]|\\.)*)')


def changed_spans(locals_text: str) -> Iterator[tuple[int, int]]:
    """Where the values that are written in full begin, and where the quotes stand that end them.

    >>> list(changed_spans('{"a": "..", "b": "12"}'))
    [(18, 20)]
    """
    return (found.span(1) for found in _CHANGED.finditer(locals_text))


def _locals_fields(text: str, ids: Sequence[int], tokens: TraceTokens) -> bytearray:
    """The fields of the tokens of locals; the text is ASCII, as `json.dumps` writes it."""
    fields = bytearray(_ONE[TokenField.LOCALS] * len(ids))
    spans = list(changed_spans(text))
    if not spans:
        return fields
    starts = list(accumulate(map(tokens.characters.__getitem__, ids), initial=0))[:-1]
    for start, stop in spans:
        first, last = bisect_left(starts, start), bisect_right(starts, stop)
        fields[first:last] = _ONE[TokenField.CHANGED] * (last - first)
    return fields
