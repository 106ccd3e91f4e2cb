"""Documents side by side in rows of one length, and what a batch of rows holds.

Positions begin again at 0 with every document; the model takes that as the beginning of a new one and lets
no token see another document. A document that is longer than a row is cut: a later phase has longer rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from cwm_trace.datasets.tokenizing import TokenField, TokenizedTrace
from cwm_trace.errors import CwmTraceError
from cwm_trace.model.training.stream import Stream

READY = 96
"""Documents among which the one that fits best is looked for."""

MOST_GIVEN = 0.75
"""Share of a row that a prompt may take: beyond it, too little would be left to learn from."""

MOST_USELESS = 20
"""Chunks without a document that fits after which nothing is hoped for."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of documents; B rows of T tokens.

    Args:
        ids: `(B, T)`.
        positions: `(B, T)`, from 0 in every document; padding at the end of a row is one more document.
        fields: `(B, T)` uint8, the `TokenField` of each id.
    """

    ids: Tensor
    positions: Tensor
    fields: Tensor

    @property
    def tokens(self) -> int:
        """Tokens that are not padding, prompts included."""
        return int((self.fields != TokenField.PADDING).sum())

    def to(self, device: torch.device) -> Batch:
        """The batch on another device."""
        return Batch(self.ids.to(device), self.positions.to(device), self.fields.to(device))


class Batches(Protocol):
    """Where the loop has its batches from."""

    def batch(self, rows: int, length: int) -> Batch:
        """The next `rows` rows of `length` tokens."""
        ...

    def state(self) -> dict[str, Any]:
        """What another one needs to go on after the batches so far: plain data."""
        ...

    def close(self) -> None:
        """End what works ahead."""
        ...


class Packer:
    """Fills rows: first the document that waits longest, then always the longest that fits.

    Args:
        stream: where documents come from.
        pad: id of padding.
        waiting: documents that an earlier run took out of the stream and did not use.
        alone: one document in a row, for a model that would not keep several apart.
    """

    def __init__(
        self, stream: Stream, pad: int, waiting: list[TokenizedTrace] | None = None, *, alone: bool = False
    ) -> None:
        self._stream, self._pad, self._alone = stream, pad, alone
        self._chunks: Iterator[list[TokenizedTrace]] = iter(stream)
        self._waiting = list(waiting or ())

    def batch(self, rows: int, length: int) -> Batch:
        """The next `rows` rows of `length` tokens.

        Raises:
            CwmTraceError: hardly a prompt fits a row.
        """
        ids = torch.full((rows, length), self._pad)
        positions = torch.zeros((rows, length), dtype=torch.int64)
        fields = torch.full((rows, length), TokenField.PADDING, dtype=torch.uint8)
        for row in range(rows):
            at = 0
            while (document := self._take(length - at, length)) is not None:
                document = document.cut(length)
                size = len(document.ids)
                ids[row, at : at + size] = torch.tensor(document.ids)
                fields[row, at : at + size] = torch.tensor(list(document.fields), dtype=torch.uint8)
                positions[row, at : at + size] = torch.arange(size)
                at += size
                if self._alone:
                    break
            positions[row, at:] = torch.arange(length - at)
        return Batch(ids, positions, fields)

    def state(self) -> dict[str, Any]:
        """What another packer needs to go on: plain data."""
        return {
            "chunk": self._stream.chunk,
            "waiting": [(list(document.ids), document.fields) for document in self._waiting],
        }

    def close(self) -> None:
        """End the processes of the stream."""
        self._stream.close()

    def _take(self, room: int, length: int) -> TokenizedTrace | None:
        """The document that waits longest for a new row, else the longest that fits; None if none does."""
        useless = 0
        while len(self._waiting) < READY:
            made = next(self._chunks)
            useful = [document for document in made if document.given < MOST_GIVEN * length]
            useless = 0 if useful else useless + 1
            if useless == MOST_USELESS:
                raise CwmTraceError(
                    f"no prompt of {MOST_USELESS * len(made)} programs leaves room for a trace in rows of"
                    f" {length} tokens: make them longer"
                )
            self._waiting += useful
        if room == length:
            return self._waiting.pop(0)
        best, best_size = -1, 0
        for place, document in enumerate(self._waiting):
            if best_size < len(document.ids) <= room:
                best, best_size = place, len(document.ids)
        return self._waiting.pop(best) if best_size else None


def waiting_documents(state: Mapping[str, Any]) -> list[TokenizedTrace]:
    """The documents in a packer's state."""
    return [TokenizedTrace(tuple(ids), bytes(fields), ()) for ids, fields in state["waiting"]]
