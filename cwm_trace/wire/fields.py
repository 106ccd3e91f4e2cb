"""Which field of a frame a token belongs to: the one map that training, metrics and predictors share.

A separator belongs to the text that it ends: so whoever says the next token says it about a field that is
known before the token is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from cwm_trace.wire.tokens import Piece, Special

FIELDS = ("event", "locals", "source", "value")
"""A CALL or LINE has `event`, `locals`, `source`; a RETURN or EXCEPTION has `event`, `source`, `value`."""

FIELD_AFTER: Mapping[Special, str] = {
    Special.CALL: "locals",
    Special.LINE: "locals",
    Special.ACTION: "source",
    Special.ARG: "value",
}
"""The field that begins behind a special token; behind any other the one before goes on."""


def fields_of(pieces: Sequence[Piece]) -> Iterator[tuple[Piece, str]]:
    """The pieces of one frame, each with its field.

    >>> list(fields_of([Special.LINE, "{}", Special.ACTION, "pass", Special.FRAME]))[2]
    (<Special.ACTION: '<|action_sep|>'>, 'locals')
    """
    field = "event"
    for piece in pieces:
        yield piece, field
        if isinstance(piece, Special):
            field = FIELD_AFTER.get(piece, field)
