"""Fewer layers than were built: early exit, a lowered `num_hidden_layers`, layers cut off."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.model.pairs import distance, pair, small_config, tokens

CLOSE = 1e-5


@pytest.mark.parametrize("attention", ["sdpa", "interval"])
def test_early_exit_drafts_and_changes_no_token(attention: str) -> None:
    ours, oracle = pair(small_config(), attention=attention)
    ids = tokens(1, 12)
    options: dict[str, Any] = {"max_new_tokens": 12, "do_sample": False}
    want = oracle.generate(ids, **options)
    for model in (ours, oracle):
        assert torch.equal(model.generate(ids, assistant_early_exit=2, **options), want)
        assert model.config.num_hidden_layers == 4


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("attention", ["eager", "sdpa", "interval"])
def test_a_lowered_depth_runs_the_first_layers(layers: int, attention: str) -> None:
    ours, oracle = pair(small_config(), attention=attention)
    ids = tokens(2, 20)
    with torch.no_grad():
        deep = ours(ids).logits
        for model in (ours, oracle):
            model.config.num_hidden_layers = layers
        got, want = (model(ids, use_cache=False, output_hidden_states=True) for model in (ours, oracle))
    assert distance(got.logits, want.logits) <= CLOSE
    assert distance(got.logits, deep) > 100 * CLOSE
    assert len(got.hidden_states) == len(want.hidden_states) == layers + 1


def test_layers_cut_off_are_not_missed() -> None:
    ours, oracle = pair(small_config(), attention="sdpa")
    ids = tokens(2, 20)
    for model in (ours, oracle):
        model.model.layers = model.model.layers[:3]
    with torch.no_grad():
        assert distance(ours(ids).logits, oracle(ids).logits) <= CLOSE
    assert torch.equal(
        ours.generate(ids, max_new_tokens=6, do_sample=False),
        oracle.generate(ids, max_new_tokens=6, do_sample=False),
    )


def test_more_layers_than_kinds_is_an_error_and_not_a_shorter_model() -> None:
    ours, oracle = pair(small_config())
    for model in (ours, oracle):
        object.__setattr__(model.config, "layer_types", model.config.layer_types[:3])
        with pytest.raises((IndexError, KeyError)):
            model(tokens(1, 5), use_cache=False)
