"""Caches of keys and values: rings for window layers, growing ones for global layers.

A window layer needs its last W keys only. Its ring has W + c - 1 slots, so that c draft tokens can be
appended and any number of them taken back: what the token before them saw is still there. At 131,072 tokens
CWM-32B's cache is 10.2 GB instead of 34.4 GB that way (`KVCache(..., device="meta").nbytes` computes it).

All rows of a batch advance together; a shorter text is padded on the left, and `starts` says where it begins.
Rows that advance by themselves, and branches over one prefix, are in `rows_cache.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.attention.interval import attend
from cwm_trace.model.attention.schedule import Plan, StepPlan, plan_intervals

if TYPE_CHECKING:
    from cwm_trace.model.decoding_config import DecodingConfig
    from cwm_trace.model.modeling import CwmConfig

FIRST_SLOTS = 256
"""Slots a growing cache begins with; it doubles from there."""


class LayerCache:
    """Keys and values of one layer, `(batch, 2, kv_heads, capacity, head_dim)`; key n in slot n mod capacity.

    The slots of a head lie side by side, as attention reads them: SDPA is up to 1.8 times as fast that way.

    Args:
        shape: Of the tensor above.
        window: Tokens the layer sees, the query included; None if it sees all.
        ring: Keep only what the window needs.
        dtype: Of keys and values.
        device: Where they are.
    """

    def __init__(
        self, shape: tuple[int, ...], window: int | None, ring: bool, dtype: torch.dtype, device: torch.device
    ) -> None:
        self.window = window
        self.ring = ring
        self.place(torch.zeros(shape, dtype=dtype, device=device))  # kernels may read unused slots: finite

    def place(self, kv: Tensor) -> None:
        """Take `kv` as the tensor of this cache."""
        self.kv = kv
        self.capacity = kv.shape[3]
        self.keys, self.values = kv.transpose(2, 3).unbind(1)  # views, (B, capacity, K, D)

    def grow(self, capacity: int, used: int) -> None:
        """Move the first `used` slots to a tensor of `capacity` slots."""
        kv = self.kv.new_zeros((*self.kv.shape[:3], capacity, self.kv.shape[4]))
        kv[:, :, :, :used] = self.kv[:, :, :, :used]
        self.place(kv)

    def write(self, kv: Tensor, position: int) -> None:
        """Store `(batch, tokens, 2, kv_heads, head_dim)` as the keys numbered from `position`."""
        count = kv.shape[1]
        if count == 1:  # most of decoding
            self.kv.select(3, position % self.capacity).copy_(kv.select(1, 0))  # (B, 2, K, D)
            return
        if count > self.capacity:  # only the last keys survive
            kv, position, count = kv[:, -self.capacity :], position + count - self.capacity, self.capacity
        slot = position % self.capacity
        first = min(count, self.capacity - slot)
        kv = kv.permute(0, 2, 3, 1, 4)  # (B, 2, K, T, D)
        if first == count:
            self.kv[:, :, :, slot : slot + count] = kv
        else:
            self.kv[:, :, :, slot:] = kv[:, :, :, :first]
            self.kv[:, :, :, : count - first] = kv[:, :, :, first:]

    def latest(self, count: int, position: int) -> Tensor:
        """Copy the `count` keys and values before `position`, in their order."""
        slots = torch.arange(position - count, position, device=self.kv.device) % self.capacity
        return self.kv[:, :, :, slots].permute(0, 3, 1, 2, 4)  # (B, count, 2, K, D)


@dataclass(slots=True)
class Step:
    """How layers of one window attend the tokens about to be appended.

    `carried` is None if they are written first and attended in the cache; else so many earlier keys and the
    new ones are laid side by side, since a ring cannot hold all that a long chunk sees.
    """

    plan: Plan
    carried: int | None = None


class KVCache:
    """Keys and values of a batch of texts, for every layer of a model.

    Args:
        config: Of the model.
        batch: Texts.
        tokens: Make room for so many per text; more room is made when needed.
        drafts: Tokens that can be appended and taken back in a window layer.
        rings: Let window layers forget what no query can see; branches that fork in the middle need all.
        starts: Padding tokens before each text, `(batch,)`; none if left out.
        dtype: Of keys and values.
        device: Where they are; "meta" to compute sizes only.
    """

    def __init__(
        self,
        config: CwmConfig | DecodingConfig,
        batch: int = 1,
        *,
        tokens: int = 0,
        drafts: int = 1,
        rings: bool = True,
        starts: Sequence[int] | None = None,
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
    ) -> None:
        self.batch = batch
        self.drafts = drafts
        self.device = torch.device(device)
        self.length = 0
        """Tokens per row so far, padding included: the number of the next key."""
        self.written = 0
        """Highest length so far; what was taken back has overwritten the oldest slots of the rings."""
        self.starts = torch.tensor(starts) if starts is not None and any(starts) else None
        """Where each text begins; on the host, like all that plans are made of."""
        self.last_start = max(starts) if starts is not None else 0
        self.layers: list[LayerCache] = []
        self.steps: dict[int | None, Step] = {}
        for kind in (config.layer_types or [])[: config.num_hidden_layers]:
            window = config.sliding_window if kind == "sliding_attention" else None
            ring = rings and window is not None
            slots = (window or 0) + drafts - 1 if ring else max(tokens, 1)
            shape = (batch, 2, config.num_key_value_heads, slots, config.head_dim)
            self.layers.append(LayerCache(shape, window, ring, dtype, self.device))

    @property
    def nbytes(self) -> int:
        """Bytes that keys and values take up, used or not."""
        return sum(layer.kv.nbytes for layer in self.layers)

    def positions(self, count: int) -> Tensor:
        """Return where the next `count` tokens are, `(batch or 1, count)` on the host; padding is at 0."""
        positions = torch.arange(self.length, self.length + count)[None]
        return positions if self.starts is None else (positions - self.starts[:, None]).clamp(min=0)

    def begin(self, count: int) -> None:
        """Make room for `count` tokens per row and plan how each kind of layer attends them."""
        end = self.length + count
        for layer in self.layers:
            if not layer.ring and layer.capacity < end:
                layer.grow(max(end, min(2 * layer.capacity, end + 4096), FIRST_SLOTS), self.length)
        self.steps = {}
        for layer in self.layers:
            if layer.window not in self.steps:
                self.steps[layer.window] = self._plan(layer, count)

    def _plan(self, layer: LayerCache, count: int) -> Step:
        end, window = self.length + count, layer.window
        fits = not layer.ring or end <= layer.capacity or count <= self.drafts
        if count == 1 and fits:
            first = max(0, end - window) if window is not None else 0
            starts = self.starts if first < self.last_start else None
            return Step(StepPlan(self.batch, first, end, layer.capacity, starts))
        carried = None
        if not fits and window is not None:
            carried = min(self.length, window - 1)
        first = self.length - carried if carried is not None else 0  # number of the first key at hand
        capacity = layer.capacity if carried is None else carried + count
        hi = torch.arange(self.length + 1, end + 1).repeat(self.batch)  # (B * count)
        lo = torch.zeros_like(hi) if window is None else (hi - window).clamp(min=0)
        if self.starts is not None:
            lo = torch.maximum(lo, self.starts.repeat_interleave(count))
        store = torch.arange(self.batch).repeat_interleave(count)
        return Step(plan_intervals(store, lo - first, hi - first, capacity), carried)

    def attend(self, index: int, q: Tensor, kv: Tensor, scale: float) -> Tensor:
        """Append what layer `index` computed for the tokens of `begin`, and attend.

        Args:
            index: Of the layer.
            q: `(batch * count, heads, head_dim)`, rotated.
            kv: `(batch, count, 2, kv_heads, head_dim)`, keys rotated.
            scale: Factor on the scores.

        Returns:
            `(batch * count, heads, head_dim)`.
        """
        layer = self.layers[index]
        step = self.steps[layer.window]
        if step.carried is None:
            layer.write(kv, self.length)
            return attend(q, layer.keys, layer.values, step.plan, scale, need_lse=False)[0]
        side_by_side = torch.cat((layer.latest(step.carried, self.length), kv), dim=1)
        layer.write(kv, self.length)
        keys, values = side_by_side.unbind(2)  # (B, carried + count, K, D)
        return attend(q, keys, values, step.plan, scale, need_lse=False)[0]

    def advance(self, count: int) -> None:
        """Count the tokens that all layers have appended."""
        self.length += count
        self.written = max(self.written, self.length)

    def rollback(self, count: int) -> None:
        """Take back the last `count` tokens of every row: rejected drafts.

        Raises:
            CwmTraceError: A ring no longer holds what the token before them saw.
        """
        length = self.length - count
        if not 0 <= count <= self.length:
            raise CwmTraceError(f"cannot take back {count} of {self.length} tokens: ask for as many at most")
        for layer in self.layers:
            oldest = self.written - layer.capacity if layer.ring else 0
            if oldest > max(0, length - (layer.window or 0) + 1):
                raise CwmTraceError(
                    f"cannot take back {count} tokens: the cache was made for drafts of {self.drafts}; "
                    f"make it with drafts={self.written - length}"
                )
        self.length = length

    def keep(self, rows: Sequence[int]) -> None:
        """Keep only these rows of the batch, in this order; a row may come twice."""
        index = torch.tensor(rows)
        for layer in self.layers:
            layer.place(layer.kv[index.to(self.device)])
        if self.starts is not None:
            self.starts = self.starts[index]
        self.batch = len(rows)
