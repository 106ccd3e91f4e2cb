"""Keys and values of one text, or of rows that advance by themselves and may go on from one text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.decoding_config import DecodingConfig
from cwm_trace.model.light.attention import BLOCK, Part, attend, attend_text, merge
from cwm_trace.model.light.weights import Array
from cwm_trace.model.shape import SLIDING

Numbers = npt.NDArray[np.intp]

FIRST_SLOTS = 256
"""Tokens that a cache has room for at first; it doubles from there."""


class TextCache:
    """Keys and values of one text, each layer's `(K, capacity, D)`; what is after `length` does not count.

    Args:
        config: of the model.
    """

    def __init__(self, config: DecodingConfig) -> None:
        self.length = 0
        self.windows = _layer_windows(config)
        shape = (config.num_key_value_heads, FIRST_SLOTS, config.head_dim)
        self.keys = [np.zeros(shape, np.float32) for _ in self.windows]
        self.values = [np.zeros(shape, np.float32) for _ in self.windows]

    def rollback(self, count: int) -> None:
        """Take back the last `count` tokens.

        Raises:
            CwmTraceError: there are not so many.
        """
        if not 0 <= count <= self.length:
            raise CwmTraceError(f"cannot take back {count} of {self.length} tokens: ask for as many at most")
        self.length -= count

    def begin(self, count: int) -> Numbers:
        """Make room for `count` tokens; returns their positions `(N,)`."""
        end = self.length + count
        if end > self.keys[0].shape[1]:
            _grow((self.keys, self.values), end)
        return np.arange(self.length, end)

    def attend(self, layer: int, q: Array, k: Array, v: Array) -> Array:
        """Append what a layer computed for the tokens of `begin`, and attend.

        Args:
            layer: its number.
            q: `(N, K, G, D)`, rotated and scaled.
            k: `(N, K, D)`, rotated.
            v: `(N, K, D)`.

        Returns:
            `(N, K, G, D)`.
        """
        keys, values, end = self.keys[layer], self.values[layer], self.length + len(q)
        keys[:, self.length : end] = k.swapaxes(0, 1)
        values[:, self.length : end] = v.swapaxes(0, 1)
        part = attend_text(q, keys, values, self.length, self.windows[layer])
        return part.mixed / part.total

    def advance(self, count: int) -> None:
        """Count the tokens that all layers have appended."""
        self.length += count


class RowsCache:
    """Keys and values of rows with lengths of their own, each layer's `(R, K, capacity, D)`.

    A row has consecutive tokens in a pass, or none. Its last token attends together with those of all other
    rows, which is all of most passes; a loop over the rows would cost more than the arithmetic.

    Args:
        config: of the model.
        rows: how many.
        prefix: a text that rows continue; it may not change meanwhile.
    """

    def __init__(self, config: DecodingConfig, rows: int, prefix: TextCache | None = None) -> None:
        self.prefix = prefix
        self.windows = _layer_windows(config)
        self.forks, self.lengths = np.zeros(rows, np.intp), np.zeros(rows, np.intp)
        """Tokens of the prefix that each row sees, and tokens of its own, `(R,)`."""
        shape = (rows, config.num_key_value_heads, FIRST_SLOTS, config.head_dim)
        self.keys = [np.zeros(shape, np.float32) for _ in self.windows]
        self.values = [np.zeros(shape, np.float32) for _ in self.windows]

    def restart(self, row: int, fork: int) -> None:
        """Let a row begin again after `fork` tokens of the prefix."""
        self.forks[row], self.lengths[row] = fork, 0

    def keep(self, rows: Sequence[int]) -> None:
        """Keep only these rows, in this order."""
        index = np.array(rows, np.intp)
        self.forks, self.lengths = self.forks[index], self.lengths[index]
        for store in (self.keys, self.values):
            store[:] = [layer[index] for layer in store]

    def begin(self, counts: Sequence[int]) -> Numbers:
        """Make room for so many tokens of each row; returns their positions `(N,)`, row by row."""
        self._counts = np.array(counts, np.intp)  # (R,)
        ends = self._counts.cumsum()
        self._firsts = ends - self._counts
        self._lasts = np.maximum(ends - 1, 0)  # of a row without tokens any, which is thrown away
        self._fed = self._counts > 0
        self._rows = np.arange(len(counts)).repeat(self._counts)  # (N,)
        self._slots = np.arange(ends[-1]) - self._firsts[self._rows] + self.lengths[self._rows]  # (N,)
        self._end = int((self.lengths + self._counts).max())
        if self._end > self.keys[0].shape[2]:
            _grow((self.keys, self.values), self._end)
        return self._slots + self.forks[self._rows]

    def attend(self, layer: int, q: Array, k: Array, v: Array) -> Array:
        """Append what a layer computed for the tokens of `begin`, and attend; as `TextCache.attend`."""
        keys, values, window = self.keys[layer], self.values[layer], self.windows[layer]
        keys[self._rows, :, self._slots] = k
        values[self._rows, :, self._slots] = v
        part = self._attend_rows(q, keys, values, window)
        if self.prefix is not None:
            before = self.prefix.keys[layer], self.prefix.values[layer]
            part = merge(part, self._attend_prefix(q, *before, window))
        return part.mixed / part.total

    def advance(self, count: int) -> None:  # noqa: ARG002
        """Count the tokens that all layers have appended."""
        self.lengths += self._counts

    def rollback(self, counts: Sequence[int]) -> None:
        """Take back the last so many tokens of each row."""
        self.lengths -= np.array(counts, np.intp)

    def _attend_rows(self, q: Array, keys: Array, values: Array, window: int | None) -> Part:
        """Attend to each row's own tokens."""
        last = self._slots[self._lasts][:, None]  # (R, 1)
        slots = np.arange(self._end)
        hidden = slots > last  # (R, S)
        if window is not None:
            hidden |= slots <= last - window
        part = attend(
            q[self._lasts],  # (R, K, G, D)
            keys[:, :, : self._end],
            values[:, :, : self._end],
            hidden[:, None, None],
        )
        if len(q) == len(self._lasts) and self._fed.all():
            return part
        whole = Part(np.empty_like(q), *(np.empty((*q.shape[:-1], 1), np.float32) for _ in range(2)))
        for piece, found in zip(whole, part, strict=True):
            piece[self._lasts[self._fed]] = found[self._fed]
        for row in np.flatnonzero(self._counts > 1):
            tokens = slice(self._firsts[row], self._lasts[row])
            own = attend_text(q[tokens], keys[row], values[row], int(self.lengths[row]), window)
            for piece, found in zip(whole, own, strict=True):
                piece[tokens] = found
        return whole

    def _attend_prefix(self, q: Array, keys: Array, values: Array, window: int | None) -> Part:
        """Attend to what each row sees of the prefix."""
        count, heads, group, dim = q.shape
        found = []
        for at in range(0, count, BLOCK):
            rows = q[at : at + BLOCK]  # (T, K, G, D)
            fork = self.forks[self._rows[at : at + BLOCK]][:, None]  # (T, 1)
            lowest = np.zeros_like(fork)
            if window is not None:
                lowest = np.maximum(fork + self._slots[at : at + BLOCK, None] + 1 - window, 0)
            first, end = int(min(lowest.min(), fork.min())), int(fork.max())
            seen = np.arange(first, end)
            hidden = (seen >= fork) | (seen < lowest)  # (T, S)
            part = attend(
                rows.swapaxes(0, 1).reshape(heads, -1, dim),
                keys[:, first:end],
                values[:, first:end],
                hidden.repeat(group, axis=0) if hidden.any() else None,
            )
            found.append([piece.reshape(heads, len(rows), group, -1).swapaxes(0, 1) for piece in part])
        return Part(*(np.concatenate(pieces) for pieces in zip(*found, strict=True)))


def _layer_windows(config: DecodingConfig) -> list[int | None]:
    """Tokens that each layer sees, the query counted; None: all."""
    return [config.sliding_window if kind == SLIDING else None for kind in config.layer_types]


def _grow(stores: Sequence[list[Array]], end: int) -> None:
    """Make room for `end` tokens in the last dimension but one."""
    for store in stores:
        for layer, old in enumerate(store):
            *outer, slots, dim = old.shape
            store[layer] = np.zeros((*outer, max(end, 2 * slots), dim), np.float32)
            store[layer][..., :slots, :] = old
