"""The lanes of a decoder whose caches count what is fed and can take it back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from cwm_trace.model.predict.decoders.trace_decoder import CHUNK


class Passes(Protocol):
    """How a decoder runs its layers over tokens and the cache of their texts."""

    def rows(self, count: int, prefix: Any = None) -> RowLanes:
        """So many lanes with texts of their own, or with beginnings of the text in a cache."""

    def read(self, ids: Sequence[int], cache: Any) -> Any:
        """States of the tokens of one text, `(tokens, width)`."""

    def pick(self, parts: Sequence[Any], places: Sequence[int]) -> Any:
        """Logits `(places, vocabulary)` of some tokens among all that `read` has returned."""

    def step(
        self, ids: Sequence[Sequence[int]], spots: Sequence[tuple[int, int]], cache: Any
    ) -> tuple[Any, Sequence[int]]:
        """Logits `(spots, vocabulary)` of tokens fed to rows, and how many the cache has of each row now."""


class TextLane:
    """One lane: a cache that goes on where it ends."""

    def __init__(self, passes: Passes, cache: Any) -> None:
        self._passes, self._cache = passes, cache
        self._fed = 0

    @property
    def length(self) -> int:
        """Tokens that count."""
        return int(self._cache.length)

    def rollback(self, count: int) -> None:
        """Take back the last tokens."""
        self._cache.rollback(count)

    def branches(self, count: int) -> RowLanes:
        """Rows that go on from beginnings of this text."""
        return self._passes.rows(count, self._cache)

    def feed(self, ids: Sequence[Sequence[int]], spots: Sequence[tuple[int, int]]) -> Any:
        """Run the layers, a chunk at a time."""
        (row,) = ids
        parts = [self._passes.read(row[at : at + CHUNK], self._cache) for at in range(0, len(row), CHUNK)]
        self._fed = len(row)
        return self._passes.pick(parts, [at for _, at in spots])

    def accept(self, counts: Sequence[int]) -> None:
        """Take the others back."""
        if self._fed > counts[0]:
            self._cache.rollback(self._fed - counts[0])


class RowLanes:
    """Rows of one cache."""

    def __init__(self, passes: Passes, cache: Any) -> None:
        self._passes, self._cache = passes, cache
        self._fed: Sequence[int] = ()

    def restart(self, row: int, fork: int) -> None:
        """Let a row begin again."""
        self._cache.restart(row, fork)

    def keep(self, rows: Sequence[int]) -> None:
        """Keep only these rows."""
        self._cache.keep(rows)

    def feed(self, ids: Sequence[Sequence[int]], spots: Sequence[tuple[int, int]]) -> Any:
        """Run the layers."""
        logits, self._fed = self._passes.step(ids, spots, self._cache)
        return logits

    def accept(self, counts: Sequence[int]) -> None:
        """Take the others back."""
        self._cache.rollback([fed - count for fed, count in zip(self._fed, counts, strict=True)])
