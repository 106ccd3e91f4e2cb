"""Where batches come from: programs that are made on the way, or sequences that were packed before."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from cwm_trace.datasets.packed import PackedDataset, PackedLoader
from cwm_trace.errors import CwmTraceError
from cwm_trace.model.tokenizer import TOKENIZER_FOLDER, load_tokenizer
from cwm_trace.model.training.packing import Batch, Batches, Packer, waiting_documents
from cwm_trace.model.training.recipe import Recipe
from cwm_trace.model.training.stream import Mix, Stream
from cwm_trace.wire.profile import CWM


def open_batches(
    recipe: Recipe,
    words: Path,
    pad: int,
    *,
    alone: bool = False,
    rank: int = 0,
    count: int = 1,
    state: Mapping[str, Any] | None = None,
    workers: int = 1,
) -> Batches:
    """What a recipe trains on.

    Args:
        recipe: of the run.
        words: path of a `tokenizer.json`.
        pad: id of padding.
        alone: one document in a row, for a model that would not keep several apart.
        rank: number of this process.
        count: processes that share the rows of every batch.
        state: of an earlier one, to go on from.
        workers: processes that make documents; 0: none but this one.

    Raises:
        CwmTraceError: packed sequences are missing, have another length than a phase, are not those that the
            state is about, or hold several documents where the model needs them alone.
    """
    if recipe.data.packed is not None:
        if alone:
            raise CwmTraceError(
                "this model does not keep documents in one row apart, and packed sequences hold several: give"
                " a mix"
            )
        return PackedBatches(open_packed(recipe, recipe.data.packed), recipe.seed, state, rank, count)
    mix = Mix(recipe.data.mix, recipe.seed, "train")
    chunk = rank if state is None else state["chunk"]
    stream = Stream(mix, words, chunk=chunk, stride=count, workers=workers)
    return Packer(stream, pad, waiting_documents(state or {"waiting": []}), alone=alone)


class PackedBatches:
    """Packed sequences in an order that is another one in every epoch.

    Args:
        dataset: the sequences.
        seed: of the order.
        state: of an earlier one, to go on from.
        rank: number of this process.
        world: how many processes share the sequences.
    """

    def __init__(
        self,
        dataset: PackedDataset,
        seed: int,
        state: Mapping[str, Any] | None = None,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        # one by one: phases differ in their rows
        self._loader = PackedLoader(dataset, 1, seed=seed, rank=rank, world=world)
        if state is not None:
            self._loader.restore(dict(state))
        self._sequences = iter(self._loader)

    def batch(self, rows: int, length: int) -> Batch:
        """The next `rows` sequences; their length is `length`."""
        taken = [next(self._sequences) for _ in range(rows)]
        ids, starts, fields = (
            np.concatenate([each[name] for each in taken]) for name in ("input_ids", "starts", "fields")
        )
        assert ids.shape == (rows, length), "checked before the run began"
        places = np.arange(length)
        begins = np.maximum.accumulate(np.where(starts, places, 0), axis=1)
        return Batch(torch.from_numpy(ids), torch.from_numpy(places - begins), torch.from_numpy(fields))

    def state(self) -> dict[str, Any]:
        """Where it is."""
        return dict(self._loader.state())

    def close(self) -> None:
        """Nothing works ahead."""


def open_packed(recipe: Recipe, folder: str) -> PackedDataset:
    """The packed sequences in a folder, if a recipe can be trained on them.

    Raises:
        CwmTraceError: there are none, or their length or format is another one.
    """
    dataset = PackedDataset(folder)
    info = dataset.info
    for number, phase in enumerate(recipe.phases, start=1):
        if phase.length != info.length:
            raise CwmTraceError(
                f"phase {number} has rows of {phase.length} tokens and the sequences in {folder} have"
                f" {info.length}: change the phase's length, or pack again with --length {phase.length}"
            )
    if info.profile != CWM.name:
        raise CwmTraceError(
            f"{folder} was packed in the profile {info.profile}, and models are trained on {CWM.name}:"
            " pack again without --profile"
        )
    return dataset


def load_packed_tokenizer(dataset: PackedDataset) -> PreTrainedTokenizerBase:
    """The tokenizer that sequences were packed with.

    Raises:
        CwmTraceError: their folder does not keep it, or has that of other sequences.
    """
    folder, info = dataset.folder, dataset.info
    home = folder / TOKENIZER_FOLDER
    if not home.is_dir():
        raise CwmTraceError(
            f"{folder} keeps no tokenizer (it was packed with {info.tokenizer or 'one without a name'}):"
            " pack again with --tokenizer FOLDER"
        )
    tokenizer = load_tokenizer(home)
    vocabulary = tokenizer.get_vocab()
    if any(vocabulary[name] != number for name, number in info.specials.items()):
        raise CwmTraceError(f"{home} is not the tokenizer that {folder} was packed with: pack again")
    return tokenizer
