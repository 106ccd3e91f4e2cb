"""Runs on packed sequences: the same rows, the same losses after a kill, clear words where it cannot be."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("pyarrow")

from cwm_trace.datasets.builder import build_dataset
from cwm_trace.datasets.dataset_recipe import make_recipe as make_dataset_recipe
from cwm_trace.datasets.packed import PackedDataset, PackedLoader
from cwm_trace.datasets.packing import pack_dataset
from cwm_trace.datasets.tokenizing import TokenField
from cwm_trace.errors import CwmTraceError
from cwm_trace.model.tokenizer import TOKENIZER_FOLDER, build_tokenizer, load_tokenizer, save_tokenizer
from cwm_trace.model.tokens import read_tokens
from cwm_trace.model.training.document_rows import Batch
from cwm_trace.model.training.loop import train
from cwm_trace.model.training.recipe import Recipe
from tests.model.training.runs import log_of, tiny_recipe

LENGTH = 512


@pytest.fixture(scope="module")
def packed(words: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packed")
    table = {"sources": [{"family": "composition", "count": 30, "split": "train"}], "parquet": False}
    build_dataset(make_dataset_recipe(table), folder / "data")
    pack_dataset(folder / "data", folder / "packed", read_tokens(words), length=LENGTH)
    save_tokenizer(load_tokenizer(words.parent), folder / "packed" / TOKENIZER_FOLDER)
    return folder / "packed"


def recipe_of(packed: Path, steps: int = 9, **changes: Any) -> Recipe:
    """Two phases whose batches differ in their rows, over more than an epoch."""
    phases = [
        {"steps": 4, "rate": [0.01, 0.01], "length": LENGTH, "rows": 3},
        {"steps": steps - 4, "rate": [0.01, 0.01], "length": LENGTH, "rows": 4},
    ]
    return tiny_recipe(**{"data": {"packed": str(packed)}, "phases": phases, **changes})


def test_rows_are_the_sequences(packed: Path) -> None:
    dataset = PackedDataset(packed)
    batch = Batch.of(PackedLoader(dataset, seed=3).batch(len(dataset), LENGTH))
    rows = {tuple(row.tolist()): number for number, row in enumerate(batch.ids)}
    assert len(rows) == len(dataset), "every sequence comes in an epoch"
    for sequence in dataset:
        row = rows[tuple(sequence["input_ids"].tolist())]
        assert (batch.fields[row].numpy() == sequence["fields"]).all()
        assert (batch.positions[row].numpy() == sequence["positions"]).all()
        steps = batch.positions[row].diff()
        assert (steps[batch.positions[row, 1:] != 0] == 1).all()
        learnt = (batch.fields[row] != TokenField.GIVEN) & (batch.fields[row] != TokenField.PADDING)
        assert (learnt.numpy() == sequence["loss_mask"]).all()
    assert batch.tokens == dataset.info.tokens


class _KillError(Exception):
    pass


def test_a_killed_run_goes_on_bit_by_bit(packed: Path, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    recipe = recipe_of(packed)
    assert sum(phase.steps * phase.rows for phase in recipe.phases) > len(PackedDataset(packed))
    assert train(recipe, tmp_path / "whole", workers=0).finished
    for kill in (2, 5, 8):

        def die(line: Any, kill: int = kill) -> None:
            if line["step"] == kill:
                raise _KillError

        with pytest.raises(_KillError):
            train(recipe, tmp_path / "killed", workers=0, report=die)
    train(recipe, tmp_path / "killed", workers=0)
    log = log_of(tmp_path / "whole")
    assert log_of(tmp_path / "killed") == log
    losses = [line["loss"] for line in log if "loss" in line]
    assert losses[-1] < losses[0] - 1
    vocabulary = load_tokenizer(tmp_path / "whole" / "model").get_vocab()
    assert vocabulary == load_tokenizer(packed / TOKENIZER_FOLDER).get_vocab()


def test_what_does_not_fit_is_one_sentence(packed: Path, tmp_path: Path) -> None:
    def refuse(recipe: Recipe, sentence: str, **options: Any) -> None:
        with pytest.raises(CwmTraceError, match=sentence) as caught:
            train(recipe, tmp_path / "run", workers=0, **options)
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "run").exists(), "the right recipe may have this folder"

    refuse(recipe_of(tmp_path / "nothing"), "nothing holds no packed sequences")
    short = [{"steps": 1, "rate": [0, 0], "length": 256}]
    refuse(recipe_of(packed, phases=short), "phase 1 has rows of 256 tokens and the sequences in .* have 512")
    shutil.copytree(packed, tmp_path / "copy")
    copy = recipe_of(tmp_path / "copy")
    info = json.loads((packed / "info.json").read_text())

    other = build_tokenizer(["def f(): pass"], 300)
    save_tokenizer(other, tmp_path / "other")
    refuse(copy, "was packed with another tokenizer than .*other's", start_from=tmp_path / "other")
    (tmp_path / "copy" / "info.json").write_text(json.dumps({**info, "profile": "kth"}))
    refuse(copy, "was packed in the profile kth")
    shutil.copy(packed / "info.json", tmp_path / "copy")
    save_tokenizer(other, tmp_path / "copy" / TOKENIZER_FOLDER)
    refuse(copy, "is not the tokenizer that .*copy was packed with")
    shutil.rmtree(tmp_path / "copy" / TOKENIZER_FOLDER)
    refuse(copy, "copy keeps no tokenizer .* pack again with --tokenizer FOLDER")
