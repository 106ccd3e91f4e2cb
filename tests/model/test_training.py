"""Gradients, losses and checkpointing against transformers' own class."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from cwm_trace.model.modeling import CwmConfig
from tests.model.pairs import distance, pair, small_config, tokens

CONFIGS: dict[str, dict[str, Any]] = {
    "mixed": {},
    "tied, one key head, longer than the window": {
        "tie_word_embeddings": True,
        "num_key_value_heads": 1,
        "sliding_window": 3,
    },
    "windows only, biased MLP": {"layer_types": ["sliding_attention"] * 4, "mlp_bias": True},
}


@pytest.fixture(params=list(CONFIGS.values()), ids=list(CONFIGS))
def config(request: pytest.FixtureRequest) -> CwmConfig:
    return small_config(**request.param)


def gradients(model: Any) -> dict[str, torch.Tensor]:
    return {name: parameter.grad for name, parameter in model.named_parameters()}


@pytest.mark.parametrize("attention", ["eager", "sdpa", "interval"])
def test_gradients_equal_transformers(config: CwmConfig, attention: str) -> None:
    ours, oracle = pair(config, attention=attention)
    ids = tokens(2, 30)
    labels = ids.clone()
    labels[0, :9] = -100
    losses = [model.train()(ids, labels=labels).loss for model in (ours, oracle)]
    assert float(losses[0].detach()) == pytest.approx(float(losses[1].detach()), abs=1e-5)
    for loss in losses:
        loss.backward()
    got, want = gradients(ours), gradients(oracle)
    assert got.keys() == want.keys()
    for name in want:
        assert float(want[name].abs().max()) > 1e-3, f"{name}: nothing to compare"
        assert distance(got[name], want[name]) <= 1e-4, name


@pytest.mark.parametrize("attention", ["sdpa", "interval"])
def test_gradients_of_a_padded_batch_equal_transformers(attention: str) -> None:
    ours, oracle = pair(small_config(), attention=attention)
    ids, mask = tokens(2, 30), torch.ones(2, 30, dtype=torch.int64)
    mask[1, :17] = 0
    labels = ids.clone()
    labels[1, :18] = -100  # padding, and the first token, which only padding could predict
    for model in (ours, oracle):
        model.train()(ids, attention_mask=mask, labels=labels).loss.backward()
    got, want = gradients(ours), gradients(oracle)
    for name in want:
        assert distance(got[name], want[name]) <= 1e-4, name


def test_losses_of_twenty_steps_equal_transformers() -> None:
    ours, oracle = pair(small_config(), attention="sdpa")
    losses: list[list[float]] = []
    for model in (ours, oracle):
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
        losses.append([])
        for step in range(20):
            ids = tokens(4, 24, seed=step % 4)
            loss = model.train()(ids, labels=ids).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses[-1].append(float(loss.detach()))
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)
    assert losses[0][-1] < losses[0][0] - 0.5  # it learned something


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointing_changes_memory_not_gradients(reentrant: bool) -> None:
    ours, _ = pair(small_config(), attention="sdpa")
    ids = tokens(2, 20)
    ours.train()(ids, labels=ids).loss.backward()
    want = {name: grad.clone() for name, grad in gradients(ours).items()}
    ours.zero_grad()
    ours.gradient_checkpointing_enable({"use_reentrant": reentrant})
    ours.enable_input_require_grads()
    recomputed = []
    handle = ours.model.layers[0].self_attn.register_forward_hook(lambda *_: recomputed.append(1))
    output = ours(ids, labels=ids)
    assert output.past_key_values is None
    output.loss.backward()
    handle.remove()
    assert len(recomputed) == 2  # once forward, once again for the backward pass
    for name, grad in gradients(ours).items():
        assert distance(grad, want[name]) <= 1e-6, name


def test_num_items_in_batch_scales_the_loss() -> None:
    ours, oracle = pair(small_config())
    ids = tokens(2, 20)
    count = torch.tensor(19)
    got = ours(ids, labels=ids, num_items_in_batch=count).loss
    want = oracle(ids, labels=ids, num_items_in_batch=count).loss
    assert float(got) == pytest.approx(float(want), abs=1e-5)
    assert float(got) == pytest.approx(2 * float(ours(ids, labels=ids).loss), rel=1e-5)
