"""A cache of rows that advance by themselves: each has its own length, and may go on from a shared prefix.

Rows are what the trace engine decodes together: branches of one true trace, or rollouts of several programs.
A prefix is read in place, once for all rows that fork near each other; nothing of it is copied. A step feeds
every row some tokens; those that turn out wrong are taken back row by row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.attention.interval import attend, attend_segments
from cwm_trace.model.attention.schedule import Plan, Schedule, Stores, plan_intervals
from cwm_trace.model.cache import FIRST_SLOTS, KVCache, LayerCache

if TYPE_CHECKING:
    from cwm_trace.model.decoding_config import DecodingConfig
    from cwm_trace.model.modeling import CwmConfig


class RowsCache:
    """Keys and values of rows with lengths of their own.

    Args:
        config: Of the model.
        rows: How many.
        prefix: Cache of one text that rows continue; do not change it meanwhile. With `rings=False` they may
            fork anywhere, else only where a ring still has the window.
        tokens: Make room for so many per row; more room is made when needed.
        dtype: Of keys and values.
        device: Where they are.

    Raises:
        CwmTraceError: The prefix has several rows, or padding.
    """

    def __init__(
        self,
        config: CwmConfig | DecodingConfig,
        rows: int,
        prefix: KVCache | None = None,
        *,
        tokens: int = FIRST_SLOTS,
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
    ) -> None:
        if prefix is not None and (prefix.batch != 1 or prefix.starts is not None):
            raise CwmTraceError(
                f"a prefix of {prefix.batch} padded rows cannot branch: give one text without padding"
            )
        self.prefix = prefix
        self.device = torch.device(device)
        self.forks = [0] * rows
        """Tokens of the prefix that each row sees."""
        self.lengths = [0] * rows
        """Tokens of its own that each row has."""
        self.layers: list[LayerCache] = []
        for kind in (config.layer_types or [])[: config.num_hidden_layers]:
            window = config.sliding_window if kind == "sliding_attention" else None
            shape = (rows, 2, config.num_key_value_heads, tokens, config.head_dim)
            self.layers.append(LayerCache(shape, window, False, dtype, self.device))
        self._plans: dict[int | None, tuple[Plan, Schedule | None]] = {}
        self._slots = torch.empty(0)
        self._rows = torch.arange(rows, device=self.device)[:, None]

    @property
    def batch(self) -> int:
        """Rows."""
        return len(self.lengths)

    @property
    def length(self) -> int:
        """Tokens of the longest row, what it sees of the prefix included."""
        return max(fork + length for fork, length in zip(self.forks, self.lengths, strict=True))

    def restart(self, row: int, fork: int) -> None:
        """Let a row begin again after `fork` tokens of the prefix.

        Raises:
            CwmTraceError: It has fewer, or a ring has lost what the next token sees of it.
        """
        end = 0 if self.prefix is None else self.prefix.length
        if not 0 <= fork <= end:
            raise CwmTraceError(f"a branch forks at token {fork} of a prefix of {end}")
        for layer in self.prefix.layers if self.prefix is not None else ():
            seen = max(0, fork - (layer.window or 0) + 1)
            if self.prefix is not None and layer.ring and self.prefix.written - layer.capacity > seen:
                raise CwmTraceError(
                    f"the window of a fork at token {fork} is gone: cache the prefix with rings=False"
                )
        self.forks[row], self.lengths[row] = fork, 0

    def keep(self, rows: Sequence[int]) -> None:
        """Keep only these rows, in this order."""
        index = torch.tensor(rows, dtype=torch.long, device=self.device)  # or no rows would be floats
        for layer in self.layers:
            layer.place(layer.kv[index])
        self.forks = [self.forks[row] for row in rows]
        self.lengths = [self.lengths[row] for row in rows]
        self._rows = self._rows[: len(rows)]

    def positions(self, count: int) -> Tensor:
        """Return where the next `count` tokens of each row are in its text, `(rows, count)` on the host."""
        starts = [fork + length for fork, length in zip(self.forks, self.lengths, strict=True)]
        return torch.tensor(starts)[:, None] + torch.arange(count)

    def begin(self, count: int) -> None:
        """Make room for `count` tokens per row and plan how they attend."""
        end = max(self.lengths) + count
        for layer in self.layers:
            if layer.capacity < end:
                layer.grow(max(end, 2 * layer.capacity), max(self.lengths))
        forks = torch.tensor(self.forks)[:, None]  # (R, 1)
        positions = self.positions(count)  # (R, count)
        slots = positions - forks
        self._slots = slots.to(self.device)
        store = torch.arange(self.batch).repeat_interleave(count)
        hi = (slots + 1).flatten()
        self._plans = {}
        for index, layer in enumerate(self.layers):
            if layer.window in self._plans:
                continue
            first = torch.zeros_like(positions)
            if layer.window is not None:
                first = (positions - layer.window + 1).clamp(min=0)
            own = plan_intervals(store, (first - forks).clamp(min=0).flatten(), hi, layer.capacity)
            schedule = None
            if self.prefix is not None:
                ends = forks.expand(-1, count)
                starts = torch.minimum(first, ends)
                capacity = self.prefix.layers[index].capacity
                shared = plan_intervals(torch.zeros_like(store), starts.flatten(), ends.flatten(), capacity)
                schedule = Schedule((shared, own))
            self._plans[layer.window] = own, schedule

    def attend(self, index: int, q: Tensor, kv: Tensor, scale: float) -> Tensor:
        """Append what layer `index` computed for the tokens of `begin`, and attend; as `KVCache.attend`."""
        layer = self.layers[index]
        own, schedule = self._plans[layer.window]
        layer.kv[self._rows, :, :, self._slots] = kv  # (R, count, 2, K, D)
        if schedule is None or self.prefix is None:
            return attend(q, layer.keys, layer.values, own, scale, need_lse=False)[0]
        before = self.prefix.layers[index]
        stores = Stores(before.keys, before.values), Stores(layer.keys, layer.values)
        return attend_segments(q, stores, schedule, scale)[0]

    def advance(self, count: int) -> None:
        """Count the tokens that all layers have appended to every row."""
        self.lengths = [length + count for length in self.lengths]

    def rollback(self, counts: int | Sequence[int]) -> None:
        """Take back the last tokens of each row, so many of all or of each: rejected drafts, and padding.

        Raises:
            CwmTraceError: A row has fewer.
        """
        each = [counts] * self.batch if isinstance(counts, int) else counts
        for length, count in zip(self.lengths, each, strict=True):
            if not 0 <= count <= length:
                raise CwmTraceError(f"cannot take back {count} of {length} tokens: ask for as many at most")
        self.lengths = [length - count for length, count in zip(self.lengths, each, strict=True)]
