"""A trace as training text: its ids, and for each id the field of a frame that it belongs to.

The field decides what a token weighs in the loss. What a predictor is given, the context and the seeded
CALL of the entry, is `GIVEN` and weighs nothing.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from tokenizers import Tokenizer

from cwm_trace.predictor import ENDED
from cwm_trace.records import UNCHANGED, Trace
from cwm_trace.wire.profile import CWM, FormatProfile
from cwm_trace.wire.render import FrameRenderer, main_thread, render_prompt
from cwm_trace.wire.tokens import Piece, Special, TraceTokens


class Field(enum.IntEnum):
    """What a token is part of."""

    GIVEN = 0
    """the context, or the seeded CALL"""
    EVENT = 1
    """an event, or the end token"""
    LOCALS = 2
    """braces, names, and values that are `..`"""
    CHANGED = 3
    """a value in full, up to the quote that ends it"""
    SOURCE = 4
    """a source line, with the separator before it and the one behind it"""
    VALUE = 5
    """what is returned or raised"""


@dataclass(frozen=True, slots=True)
class Document:
    """One trace.

    Args:
        ids: of the whole text, `<|begin_of_text|>` first.
        fields: a byte for each id, a `Field`.
    """

    ids: tuple[int, ...]
    fields: bytes

    @property
    def given(self) -> int:
        """Tokens of the prompt."""
        return self.fields.count(Field.GIVEN)

    def cut(self, length: int) -> Document:
        """Its first `length` tokens."""
        return Document(self.ids[:length], self.fields[:length])


class DocumentWriter:
    """Writes traces as documents.

    Args:
        tokenizer: the backend of a tokenizer with the trace tokens; it is set to take text as text.
        profile: how frames are written.
    """

    def __init__(self, tokenizer: Tokenizer, profile: FormatProfile = CWM) -> None:
        tokenizer.encode_special_tokens = True  # text that spells a special token is text
        self._backend, self._profile = tokenizer, profile
        self._encode = lru_cache(maxsize=4096)(self._encode_text)  # source lines come again and again
        vocabulary = tokenizer.get_vocab()
        ids = {special: vocabulary[special.value] for special in Special}
        self.tokens = TraceTokens(ids, lambda text: list(self._encode(text)), tokenizer.decode)

    def write(self, trace: Trace) -> Document:
        """The document of a trace that has frames."""
        ids = render_prompt(trace, profile=self._profile, tokens=self.tokens)
        fields = bytearray([Field.GIVEN]) * len(ids)
        renderer = FrameRenderer(trace, self._profile)
        frames = main_thread(trace)
        renderer.render(frames[0])
        for frame in frames[1:]:
            for piece, field in _with_fields(renderer.render(frame)):
                new, marks = self._encode_piece(piece, field)
                ids += new
                fields += marks
        if trace.outcome in ENDED:
            ids.append(self.tokens.ids[Special.END])
            fields.append(Field.EVENT)
        return Document(tuple(ids), bytes(fields))

    def _encode_piece(self, piece: Piece, field: Field) -> tuple[Sequence[int], bytes]:
        if isinstance(piece, Special):
            return (self.tokens.ids[piece],), bytes([field])
        if field is not Field.LOCALS:
            ids = self._encode(piece)
            return ids, bytes([field]) * len(ids)
        encoding = self._backend.encode(piece, add_special_tokens=False)
        marks = bytearray([Field.LOCALS]) * len(encoding.ids)
        spans = iter([*changed_spans(piece), (len(piece) + 1, len(piece) + 1)])
        start, stop = next(spans)
        for place, (first, _) in enumerate(encoding.offsets):
            if first > stop:
                start, stop = next(spans)
            if start <= first <= stop:
                marks[place] = Field.CHANGED
        return encoding.ids, bytes(marks)

    def _encode_text(self, text: str) -> tuple[int, ...]:
        return tuple(self._backend.encode(text, add_special_tokens=False).ids)


_VALUE = re.compile(r'": "((?:[^"\\]|\\.)*)')


def changed_spans(locals_text: str) -> Iterator[tuple[int, int]]:
    """Where the values that are written in full begin, and where the quotes stand that end them.

    >>> list(changed_spans('{"a": "..", "b": "12"}'))
    [(18, 20)]
    """
    for found in _VALUE.finditer(locals_text):
        if found.group(1) != UNCHANGED:
            yield found.span(1)


def _with_fields(pieces: Sequence[Piece]) -> Iterator[tuple[Piece, Field]]:
    """The pieces of a frame, each with its field."""
    field = Field.EVENT
    for place, piece in enumerate(pieces):
        if place == 1:
            field = Field.SOURCE if piece is Special.ACTION else Field.LOCALS
        elif piece is Special.ACTION:
            field = Field.SOURCE
        elif piece is Special.ARG:
            field = Field.VALUE
        yield piece, field
