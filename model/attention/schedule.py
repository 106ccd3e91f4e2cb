"""What a step attends, segment by segment, and the CUDA kernels' work for it, made and copied once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.attention.work import WHOLE_TILES, Segment, TileShape, Work, plan_work

if TYPE_CHECKING:
    from cwm_trace.model.attention.plan import Plan


class Stores(NamedTuple):
    """Keys and values of a segment; key n of text t is in slot n mod capacity of a store.

    That is store t; with `pages` it is store `pages[t, n // capacity]`, and the stores are pages.
    """

    keys: Tensor  # (stores, capacity, kv_heads, head_dim)
    values: Tensor
    pages: Tensor | None = None  # int32 (texts, pages per text)

    def gather(self) -> Stores:
        """Copy the pages of each text side by side, if there are pages."""
        if self.pages is None:
            return self
        keys, values = (x[self.pages.long()].flatten(1, 2) for x in (self.keys, self.values))
        return Stores(keys, values)


class Schedule:
    """The segments of a step: one plan, or those of a shared prefix and of private suffixes.

    Args:
        plans: Of each segment, for the same tokens.
        pages: Slots of a page in each segment whose stores are paged; 0 for the others.
        tiles: Kernel of each segment; the fitting ones if left out.
        split: Most keys of a work item; as many as keep the GPU busy if left out.

    Raises:
        CwmTraceError: A page does not hold whole tiles of keys.
    """

    def __init__(
        self,
        plans: Sequence[Plan],
        pages: Sequence[int] = (),
        tiles: Sequence[TileShape] | None = None,
        split: int | None = None,
    ) -> None:
        self.plans = tuple(plans)
        self.page_slots = tuple(pages) or (0,) * len(self.plans)
        self._tiles, self._split = tiles, split
        self._work: dict[tuple[torch.device, int, int], tuple[Work, Tensor]] = {}
        for slots in self.page_slots:
            if slots % WHOLE_TILES:
                raise CwmTraceError(f"a page of {slots} slots is no multiple of {WHOLE_TILES}")

    def work(self, device: torch.device, blocks: int, heads: int, kv_heads: int) -> tuple[Work, Tensor]:
        """Return the work items for so many heads, and their copy on a device that `blocks` keep busy."""
        key = device, heads, kv_heads
        if key not in self._work:
            segments = [
                Segment(plan.store.numpy(), plan.lo.numpy(), plan.hi.numpy(), page or plan.capacity, page > 0)
                for plan, page in zip(self.plans, self.page_slots, strict=True)
            ]
            work = plan_work(segments, heads // kv_heads, kv_heads, blocks, self._tiles, self._split)
            self._work[key] = work, torch.from_numpy(work.buffer).to(device)
        return self._work[key]
