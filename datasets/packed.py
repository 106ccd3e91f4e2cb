"""Reads packed sequences: by number, memory-mapped, in an order that can be taken up again exactly."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cwm_trace.datasets.filling import Arrays
from cwm_trace.datasets.packing import PackedInfo
from cwm_trace.datasets.tokenizing import TokenField
from cwm_trace.errors import CwmTraceError
from cwm_trace.files import read_objects
from cwm_trace.versions import PACKED_VERSION, check_version


@dataclass(frozen=True, slots=True)
class Place:
    """What a token of a packed sequence is.

    Args:
        id: of the item; empty in the padding.
        program: hash of its source.
        document: its number in the folder; -1 in the padding.
        frame: index of the frame among those that the wire shows; -1 in the program.
        field: what it is part of.
    """

    id: str
    program: str
    document: int
    frame: int
    field: TokenField


class PackedDataset(Sequence[Arrays]):
    """Packed sequences by number; a map-style dataset for PyTorch's `DataLoader`.

    Each is a dictionary of arrays of shape `(length,)`:

    - `input_ids` (int64): the tokens;
    - `loss_mask` (bool): whether this token is to be predicted from those before it in its document, which
      is so for all that is neither given nor padding;
    - `documents` (int32): number of the document in the folder; -1 in the padding;
    - `positions` (int32): from 0 in every document, and in the padding: what a model takes as `position_ids`;
    - `fields` (uint8): a `TokenField`;
    - `frames` (int32): index of the frame; -1 in the program and the padding.

    Args:
        folder: that `pack_dataset` made.

    Raises:
        CwmTraceError: it is none.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        try:
            about = json.loads((self.folder / "info.json").read_bytes())
            check_version(self.folder, about.get("version", 1), PACKED_VERSION)
            self.info = PackedInfo(**{"version": 1, **about})
        except (OSError, ValueError, TypeError) as error:
            raise CwmTraceError(
                f"{folder} holds no packed sequences: name a folder that `dataset pack` made"
            ) from error
        if self.info.version < PACKED_VERSION:  # a dataset can be packed anew: there is no migration
            raise CwmTraceError(f"{folder} was packed by an older cwm-trace: pack again")
        self._columns: list[Arrays] = []
        self._ends: list[int] = []
        self._documents: list[dict[str, Any]] | None = None
        self._open()

    def __len__(self) -> int:
        return self.info.sequences

    def __getitem__(self, index: Any) -> Any:
        """Sequence `index`; of a slice a list of them."""
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        number = int(index)
        number += len(self) if number < 0 else 0
        if not 0 <= number < len(self):
            raise IndexError(f"there are {len(self)} sequences")
        part = bisect_right(self._ends, number)
        row = number - (self._ends[part - 1] if part else 0)
        columns = {name: values[row] for name, values in self._columns[part].items()}
        kinds = {"input_ids": np.int64, "loss_mask": bool}
        return {name: values.astype(kinds.get(name, values.dtype)) for name, values in columns.items()}

    def locate(self, sequence: int, position: int) -> Place:
        """What the token at a position of a sequence is."""
        arrays = self[sequence]
        number = int(arrays["documents"][position])
        field = TokenField(int(arrays["fields"][position]))
        if number < 0:
            return Place("", "", -1, -1, field)
        if self._documents is None:
            self._documents = list(read_objects(self.folder / "documents.jsonl"))
        document = self._documents[number]
        return Place(document["id"], document["program"], number, int(arrays["frames"][position]), field)

    def __getstate__(self) -> dict[str, Any]:
        """For the workers of a `DataLoader`, which map the files themselves."""
        return {"folder": self.folder}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["folder"])  # type: ignore[misc]  # as new

    def _open(self) -> None:
        try:
            import pyarrow as pa
        except ImportError:
            raise CwmTraceError(
                "packed sequences need the pyarrow package: pip install 'cwm-trace[data]'"
            ) from None
        for name in self.info.files:
            try:
                reader = pa.ipc.open_file(pa.memory_map(str(self.folder / name)))
                batches = [reader.get_batch(number) for number in range(reader.num_record_batches)]
            except (OSError, pa.ArrowInvalid) as error:
                raise CwmTraceError(f"cannot read {self.folder / name}: {error}") from error
            self._columns += [
                {
                    column: batch.column(column)
                    .flatten()
                    .to_numpy(zero_copy_only=True)
                    .reshape(-1, self.info.length)
                    for column in batch.schema.names
                }
                for batch in batches
            ]
        self._ends = list(accumulate(len(columns["input_ids"]) for columns in self._columns))


class PackedLoader:
    """Packed sequences, shuffled anew in every epoch, endless, and resumable to the sequence.

        loader = PackedLoader(dataset, 8, seed=1)
        for batch in loader: …            # a dictionary of arrays of shape (batch, length)
        torch.save(loader.state(), …)     # later: loader.restore(state)

    The order depends on the seed and the epoch alone; each of `world` processes takes every `world`-th
    sequence, as many of an epoch as all can have.

    Args:
        dataset: packed sequences.
        batch_size: sequences of a batch.
        seed: of the order.
        rank: number of this process.
        world: how many processes there are.

    Raises:
        CwmTraceError: there are fewer sequences than one step of all processes takes.
    """

    def __init__(
        self, dataset: PackedDataset, batch_size: int = 1, *, seed: int = 0, rank: int = 0, world: int = 1
    ) -> None:
        self._dataset = dataset
        self._batch_size = batch_size
        self._seed = seed
        self._rank = rank
        self._world = world
        self._epoch = 0
        self._step = 0  # sequences of the epoch that this process has had
        self._ordered, self._numbers = -1, np.empty(0, np.int64)  # an epoch, and its order
        if len(dataset) < batch_size * world:
            raise CwmTraceError(
                f"{len(dataset)} sequences are too few for {world} batches of {batch_size}: take smaller ones"
            )

    def __iter__(self) -> Iterator[Arrays]:
        while True:
            yield self.batch(self._batch_size)

    def batch(self, rows: int, length: int | None = None) -> Arrays:
        """The next `rows` sequences, each array of shape `(rows, length)`.

        Args:
            rows: how many.
            length: what theirs must be; None: what it is.
        """
        assert length in (None, self._dataset.info.length), "checked before a run began"
        taken = [self._dataset[self._next()] for _ in range(rows)]
        return {name: np.stack([each[name] for each in taken]) for name in taken[0]}

    def state(self) -> dict[str, int]:
        """Where it is: what was taken so far is not taken again after `restore`."""
        return {
            "epoch": self._epoch,
            "step": self._step,
            "seed": self._seed,
            "world": self._world,
            "sequences": len(self._dataset),
        }

    def restore(self, state: Mapping[str, int]) -> None:
        """Go on where a loader with this state was.

        Raises:
            CwmTraceError: it was that of another dataset or another setting, whose order is another.
        """
        for name, value in self.state().items():
            if name not in ("epoch", "step") and state.get(name) != value:
                raise CwmTraceError(f"the state has {name} {state.get(name)!r} and this loader {value!r}")
        self._epoch, self._step = state["epoch"], state["step"]

    def close(self) -> None:
        """Nothing works ahead."""

    def _next(self) -> int:
        if self._step == len(self._dataset) // self._world:
            self._epoch, self._step = self._epoch + 1, 0
        self._step += 1
        return int(self._order(self._epoch)[(self._step - 1) * self._world + self._rank])

    def _order(self, epoch: int) -> npt.NDArray[np.int64]:
        if self._ordered != epoch:
            generator = np.random.Generator(np.random.PCG64([self._seed, epoch]))
            self._ordered, self._numbers = epoch, generator.permutation(len(self._dataset))
        return self._numbers
