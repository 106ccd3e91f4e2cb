"""A layer takes and returns what transformers' own does, so that code written for that one works."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn
from transformers.models.cwm.modeling_cwm import CwmAttention as TheirAttention
from transformers.models.cwm.modeling_cwm import CwmDecoderLayer as TheirLayer
from transformers.models.cwm.modeling_cwm import CwmForCausalLM as TheirLM
from transformers.models.cwm.modeling_cwm import CwmModel as TheirModel

from cwm_trace.model.modeling import CwmAttention, CwmDecoderLayer, CwmForCausalLM, CwmModel
from tests.model.pairs import distance, pair, small_config, tokens

CLOSE = 1e-5


def names(module: type[nn.Module]) -> list[str]:
    return list(signature(module.forward).parameters)


def test_arguments_have_the_same_names_in_the_same_order() -> None:
    assert names(CwmDecoderLayer) == names(TheirLayer)
    assert names(CwmAttention) == names(TheirAttention)
    assert names(CwmModel) == names(TheirModel)
    assert names(CwmForCausalLM) == names(TheirLM)


def test_a_layer_called_by_hand_returns_the_same_tensor() -> None:
    ours, oracle = pair(small_config())
    x = torch.randn(2, 6, 32)
    positions = torch.arange(6)[None]
    for mine, theirs in zip(ours.model.layers, oracle.model.layers, strict=True):
        results = []
        for model, layer in ((ours, mine), (oracle, theirs)):
            rope = model.model.rotary_emb(x, positions)
            results.append(layer(x, attention_mask=None, position_ids=positions, position_embeddings=rope))
        assert isinstance(results[0], Tensor)
        assert distance(results[0], results[1]) <= CLOSE


def test_rotary_embeddings_of_one_serve_the_other() -> None:
    ours, oracle = pair(small_config())
    x, positions = torch.randn(2, 6, 32), torch.tensor([[0, 1, 2, 0, 1, 7]])
    for a, b in zip(ours.model.rotary_emb(x, positions), oracle.model.rotary_emb(x, positions), strict=True):
        assert distance(a, b) <= CLOSE


def with_hook(model: Any, index: int, hook: Callable[..., Any], run: Callable[[Any], Tensor]) -> Tensor:
    handle = model.model.layers[index].register_forward_hook(hook)
    try:
        with torch.no_grad():
            return run(model)
    finally:
        handle.remove()


def test_steering_hooks_work_on_both() -> None:
    ours, oracle = pair(small_config(), attention="sdpa")
    ids, push = tokens(2, 12), torch.linspace(-1, 1, 32)

    def steer(_: nn.Module, __: Any, output: Tensor) -> Tensor:
        return output + push

    plain = ours(ids).logits
    got, want = (with_hook(model, 1, steer, lambda m: m(ids).logits) for model in (ours, oracle))
    assert distance(got, want) <= CLOSE
    assert distance(got, plain) > 100 * CLOSE


def test_logit_lens_reads_every_layer() -> None:
    ours, oracle = pair(small_config(), attention="sdpa")
    ids = tokens(2, 12)
    for index in range(4):
        seen: list[Tensor] = []

        def lens(_: nn.Module, __: Any, output: Tensor, seen: list[Tensor] = seen) -> None:
            seen.append(output)

        for model in (ours, oracle):
            with_hook(model, index, lens, lambda m: m(ids).logits)
        got, want = (
            model.lm_head(model.model.norm(x)) for model, x in zip((ours, oracle), seen, strict=True)
        )
        assert distance(got, want) <= CLOSE


def test_hooks_before_a_layer_find_positions_and_cache_by_name() -> None:
    ours, oracle = pair(small_config(), attention="sdpa")
    found: list[set[str]] = []

    def note(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        assert len(args) == 1
        found.append({name for name, value in kwargs.items() if value is not None})

    for model in (ours, oracle):
        handle = model.model.layers[1].register_forward_pre_hook(note, with_kwargs=True)
        model(tokens(1, 12), attention_mask=torch.ones(1, 12, dtype=torch.int64))
        handle.remove()
    assert found[0] >= {"position_ids", "past_key_values", "position_embeddings"}
    assert found[0] == found[1]
