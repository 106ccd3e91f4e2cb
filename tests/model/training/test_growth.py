"""A grown model computes what it did, and its new blocks learn."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.loading import load_model
from cwm_trace.model.training.growth import deepen
from cwm_trace.model.training.loop import train
from tests.model.pairs import pair, small_config
from tests.model.training.runs import tiny_recipe


@pytest.mark.parametrize("layers", [5, 7, 8, 11])
def test_it_computes_the_same(layers: int) -> None:
    torch.manual_seed(0)
    ours, _ = pair(small_config(num_hidden_layers=4))
    grown = deepen(ours, layers)
    tokens = torch.randint(0, ours.config.vocab_size, (2, 40))
    assert (
        grown.config.num_hidden_layers
        == len(grown.config.layer_types or ())
        == len(grown.model.layers)
        == layers
    )
    assert torch.equal(grown(tokens).logits, ours(tokens).logits)
    places = {weight.data_ptr() for weight in [*grown.parameters(), *ours.parameters()]}
    assert len(places) == len([*grown.parameters(), *ours.parameters()]), "nothing is shared"


def test_copies_are_spread_and_keep_their_types() -> None:
    ours, _ = pair(small_config(num_hidden_layers=6, layer_types=None))
    kinds = ours.config.layer_types
    assert deepen(ours, 9).config.layer_types == [kinds[at] for at in (0, 1, 1, 2, 3, 3, 4, 5, 5)]


def test_a_deeper_recipe_grows_the_model_it_begins_with(tmp_path: Path) -> None:
    recipe = tiny_recipe(2)
    train(recipe, tmp_path / "shallow", workers=0)
    deeper = recipe.model_copy(update={"model": recipe.model.model_copy(update={"layers": 3})})
    train(deeper, tmp_path / "deep", start_from=tmp_path / "shallow" / "model", workers=0)
    blocks = load_model(tmp_path / "deep" / "model").model.layers
    assert len(blocks) == 3
    assert all(block.mlp.down_proj.weight.abs().sum() > 0 for block in blocks)
    with pytest.raises(CwmTraceError, match="has num_hidden_layers 3, and the recipe says 1"):
        train(recipe, tmp_path / "back", start_from=tmp_path / "deep" / "model", workers=0)
