"""Documents side by side in rows of one length: which go together, and how a row looks.

Datasets that are packed and training that makes its programs on the way both fill their rows here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Sized
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from cwm_trace.datasets.tokenizing import TokenField, TokenizedTrace

Arrays = dict[str, npt.NDArray[Any]]
Document = TypeVar("Document", bound=Sized)

READY = 96
"""Documents among which the one that fits best is looked for."""


class Filler(Generic[Document]):
    """Fills rows: first the document that waits longest, then always the longest that fits.

    A document that is longer than a row has one of its own, and is cut.

    Args:
        more: gives the next documents for rows of a length; none when there are no more.
        waiting: documents to begin with.
    """

    def __init__(self, more: Callable[[int], Sequence[Document]], waiting: Iterable[Document] = ()) -> None:
        self._more = more
        self.waiting = list(waiting)
        """Documents that have no row yet."""

    def row(self, length: int, *, alone: bool = False) -> list[Document]:
        """The documents of the next row, one if they are to be `alone`; none when there are no more."""
        row: list[Document] = []
        room = length
        while (document := self._take(room, length)) is not None:
            row.append(document)
            room -= len(document)
            if alone:
                break
        return row

    def _take(self, room: int, length: int) -> Document | None:
        while len(self.waiting) < READY and (made := self._more(length)):
            self.waiting += made
        if room == length:
            return self.waiting.pop(0) if self.waiting else None
        best, best_size = -1, 0
        for place, document in enumerate(self.waiting):
            if best_size < len(document) <= room:
                best, best_size = place, len(document)
        return self.waiting.pop(best) if best_size else None


def lay_out(documents: Sequence[TokenizedTrace], length: int, pad: int) -> Arrays:
    """A row of documents, and padding behind them.

    Args:
        documents: what stands in it; the last one is cut if it has to be.
        length: tokens of the row, `length` below.
        pad: id of the padding.

    Returns:
        `input_ids` (int64), `positions` (int32; from 0 in every document, and in the padding) and `fields`
        (uint8, a `TokenField` each), all `(length,)`.
    """
    sizes = [len(document) for document in documents]
    positions = [*map(range, sizes), range(max(length - sum(sizes), 0))]
    fields = [np.frombuffer(document.fields, np.uint8) for document in documents]
    return {
        "input_ids": side_by_side([document.ids for document in documents], length, pad, np.int64),
        "positions": side_by_side(positions, length, 0, np.int32),
        "fields": side_by_side(fields, length, TokenField.PADDING, np.uint8),
    }


def side_by_side(parts: Iterable[Any], length: int, fill: int, kind: Any) -> npt.NDArray[Any]:
    """What each document of a row has for each of its tokens, cut at the end of the row, `(length,)`."""
    row = np.full(length, fill, kind)
    at = 0
    for part in parts:
        row[at : at + len(part)] = part[: length - at]
        at += len(part)
    return row
