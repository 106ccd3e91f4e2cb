"""Where batches come from: programs that are made on the way, or sequences that were packed before."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from cwm_trace.datasets.packed import PackedDataset, PackedLoader
from cwm_trace.errors import CwmTraceError
from cwm_trace.model.tokenizer import TOKENIZER_FOLDER, load_tokenizer
from cwm_trace.model.training.document_rows import Batches, Packer, waiting_documents
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
        dataset = open_packed(recipe, recipe.data.packed)
        loader = PackedLoader(dataset, seed=recipe.seed, rank=rank, world=count)
        if state is not None:
            loader.restore(state)
        return loader
    mix = Mix(recipe.data.mix, recipe.seed, "train")
    chunk = rank if state is None else state["chunk"]
    stream = Stream(mix, words, chunk=chunk, stride=count, workers=workers)
    return Packer(stream, pad, waiting_documents(state or {"waiting": []}), alone=alone)


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
