"""Documents side by side in rows of one length, and what a batch of rows holds.

Positions begin again at 0 with every document; the model takes that as the beginning of a new one and lets
no token see another document. A document that is longer than a row is cut: a later phase has longer rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from cwm_trace.datasets.filling import Arrays, Filler, lay_out
from cwm_trace.datasets.tokenizing import TokenField, TokenizedTrace
from cwm_trace.errors import CwmTraceError
from cwm_trace.model.training.stream import Stream

_MOST_GIVEN = 0.75
"""Share of a row that a prompt may take: beyond it, too little would be left to learn from."""

_MOST_USELESS = 20
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

    @classmethod
    def of(cls, arrays: Arrays) -> Batch:
        """The batch of what `Batches` give."""
        ids, positions, fields = map(
            torch.from_numpy, (arrays["input_ids"], arrays["positions"], arrays["fields"])
        )
        return cls(ids, positions.long(), fields)

    @property
    def tokens(self) -> int:
        """Tokens that are not padding, prompts included."""
        return int((self.fields != TokenField.PADDING).sum())

    def to(self, device: torch.device) -> Batch:
        """The batch on another device."""
        return Batch(self.ids.to(device), self.positions.to(device), self.fields.to(device))


class Batches(Protocol):
    """Where the loop has its batches from."""

    def batch(self, rows: int, length: int) -> Arrays:
        """The next `rows` rows of `length` tokens, with what `lay_out` says of them."""
        ...

    def state(self) -> dict[str, Any]:
        """What another one needs to go on after the batches so far: plain data."""
        ...

    def close(self) -> None:
        """End what works ahead."""
        ...


class Packer:
    """Rows of documents that are made on the way.

    Args:
        stream: where documents come from.
        pad: id of padding.
        waiting: documents that an earlier run took out of the stream and did not use.
        alone: one document in a row, for a model that would not keep several apart.
    """

    def __init__(
        self, stream: Stream, pad: int, waiting: Iterable[TokenizedTrace] = (), *, alone: bool = False
    ) -> None:
        self._stream, self._pad, self._alone = stream, pad, alone
        self._chunks = iter(stream)
        self._filler = Filler(self._useful, waiting)

    def batch(self, rows: int, length: int) -> Arrays:
        """The next `rows` rows of `length` tokens.

        Raises:
            CwmTraceError: hardly a prompt fits a row.
        """
        made = [lay_out(self._filler.row(length, alone=self._alone), length, self._pad) for _ in range(rows)]
        return {name: np.stack([row[name] for row in made]) for name in made[0]}

    def state(self) -> dict[str, Any]:
        """What another packer needs to go on: plain data."""
        waiting = [(list(document.ids), document.fields) for document in self._filler.waiting]
        return {"chunk": self._stream.chunk, "waiting": waiting}

    def close(self) -> None:
        """End the processes of the stream."""
        self._stream.close()

    def _useful(self, length: int) -> list[TokenizedTrace]:
        """The next documents whose prompts leave room for a trace."""
        for _ in range(_MOST_USELESS):
            made = next(self._chunks)
            useful = [document for document in made if document.given < _MOST_GIVEN * length]
            if useful:
                return useful
        raise CwmTraceError(
            f"no prompt of {_MOST_USELESS * len(made)} programs leaves room for a trace in rows of"
            f" {length} tokens: make them longer"
        )


def waiting_documents(state: Mapping[str, Any]) -> list[TokenizedTrace]:
    """The documents in a packer's state."""
    return [TokenizedTrace(tuple(ids), bytes(fields), ()) for ids, fields in state["waiting"]]
