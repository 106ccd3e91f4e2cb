"""A frame that is being written, and the one in which anything may come next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from cwm_trace.model.predict.vocabulary import Legal
from cwm_trace.records import Event
from cwm_trace.wire.fields import FIELD_AFTER
from cwm_trace.wire.tokens import TOKEN_EVENTS, Special, TraceTokens

ANYTHING = Legal(None, -1)
"""What is legal without a grammar."""


class OpenFrame(Protocol):
    """A frame that is being written, under a grammar or freely."""

    event: Event | None
    ids: list[int]

    @property
    def is_done(self) -> bool:
        """Whether the frame, or the trace, has ended."""

    @property
    def field(self) -> str:
        """What the next token belongs to: one of `cwm_trace.wire.fields.FIELDS`."""

    @property
    def legal(self) -> Legal:
        """What may come next."""

    def allows(self, number: int) -> bool:
        """Whether the id may come next."""

    def take(self, number: int) -> None:
        """Write an id."""

    def give(self, ids: Sequence[int], event: Event) -> None:
        """Write tokens that are given: the event, or all up to the source."""

    def copy(self) -> OpenFrame:
        """A copy that goes on by itself."""


class FreeFrame:
    """A frame in which anything may come next; it ends at a frame separator or at the end token."""

    __slots__ = ("_tokens", "event", "field", "ids", "is_done")

    legal = ANYTHING

    def __init__(self, tokens: TraceTokens) -> None:
        self._tokens = tokens
        self.event: Event | None = None
        self.ids: list[int] = []
        self.field = "event"
        self.is_done = False

    def copy(self) -> FreeFrame:
        """A copy that goes on by itself."""
        other = FreeFrame(self._tokens)
        other.event, other.ids = self.event, list(self.ids)
        other.field, other.is_done = self.field, self.is_done
        return other

    def allows(self, number: int) -> bool:  # noqa: ARG002
        """Everything is allowed."""
        return True

    def give(self, ids: Sequence[int], event: Event) -> None:
        """Write tokens that are given: the event, or all up to the source."""
        for number in ids:
            self.take(number)
        self.event = event

    def take(self, number: int) -> None:
        """Write an id."""
        special = self._tokens.specials.get(number)
        if special is not None:
            self.event = self.event if self.ids else TOKEN_EVENTS.get(special)
            self.field = FIELD_AFTER.get(special, self.field)
        self.ids.append(number)
        self.is_done = special in (Special.FRAME, Special.END)
