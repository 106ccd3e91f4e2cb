"""Products with a fixed matrix, laid out for what a CPU does best with one token and with several.

With a single token only reading the matrix counts, and `F.linear` reads it at a fraction of the speed of
memory. PyTorch's sum of weighted rows (`embedding_bag`) streams it, if a row is short enough for the
registers, so the columns are stored in blocks, one after the other. With several tokens the products that
oneDNN makes of a packed matrix are the fastest PyTorch has; they are reached as torch.compile reaches them.
"""

from __future__ import annotations

import platform
from typing import Any

import torch
from torch import Tensor

_WIDEST, _NARROWEST = 512, 128
"""Columns of a block: what the registers of AVX-512 hold, and what is worth a block."""
_TILE = 16
"""Rows that a packed matrix is prepared for; it serves any number."""


def _can_pack(weight: Tensor) -> bool:
    """Say whether oneDNN can pack this matrix here."""
    on_x86 = platform.machine() in ("x86_64", "AMD64") and weight.device.type == "cpu"
    has_operator = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    has_operator = has_operator and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    return on_x86 and has_operator and weight.dtype == torch.float32


class Product:
    """`x @ weight.T` for the `(out, in)` weight of a linear layer.

    Args:
        weight: In float32 on a CPU two rearranged copies of it are kept; otherwise itself.
    """

    def __init__(self, weight: Tensor) -> None:
        self.out, width = weight.shape
        self.columns: Tensor | None = None
        self.packed: Any = None
        if weight.dtype == torch.float32 and weight.device.type == "cpu":
            counts = range(-(-self.out // _WIDEST), self.out // _NARROWEST + 1)
            count = next((n for n in counts if self.out % n == 0), 1)
            blocks = weight.view(count, -1, width).transpose(1, 2)  # (blocks, in, columns)
            self.columns = blocks.contiguous().view(count * width, -1)
            self.every_row = torch.arange(count * width)
            self.bags = torch.arange(0, count * width, width)
        if _can_pack(weight):
            self.packed = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), _TILE)
        else:
            self.weight = weight

    def __call__(self, x: Tensor) -> Tensor:
        """Multiply `(rows, in)`; returns `(rows, out)`."""
        if x.shape[0] == 1 and self.columns is not None:
            count = self.bags.shape[0]
            weights = x[0] if count == 1 else x.expand(count, -1).reshape(-1)  # (blocks * in)
            sums = torch.embedding_bag(self.columns, self.every_row, self.bags, False, 0, False, weights)
            return sums[0].view(1, -1)  # from (blocks, columns)
        if self.packed is None:
            return x @ self.weight.t()
        result: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.packed, None, "none", [], "")
        return result

    def add(self, x: Tensor, total: Tensor) -> Tensor:
        """Multiply and add `total` `(rows, out)`, which may be overwritten."""
        if x.shape[0] == 1 and self.columns is not None:
            return total.add_(self(x))
        if self.packed is None:
            return torch.addmm(total, x, self.weight.t())
        result: Tensor = torch.ops.mkldnn._linear_pointwise.binary(x, total, self.packed, None, "add")
        return result
