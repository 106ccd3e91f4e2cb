"""`torch.compile(fullgraph=True)` and `torch.export`: every attention, padding, caches, gradients.

Tracing is what may fail, so most tests run the graph as it was traced; the slow ones go through Inductor.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import StaticCache

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.modeling import CwmConfig
from tests.model.pairs import distance, pair, small_config, tokens

CLOSE = 1e-5
ATTENTIONS = [pytest.param("sdpa", marks=pytest.mark.ci), "interval"]


@pytest.fixture(autouse=True)
def _forget_graphs() -> None:
    torch.compiler.reset()


def compiled(model: Any, backend: str = "eager") -> Any:
    return torch.compile(model, fullgraph=True, backend=backend)


def two_layers() -> CwmConfig:
    """One of each kind: tracing takes long."""
    return small_config(num_hidden_layers=2, layer_types=["full_attention", "sliding_attention"])


def padding(side: str) -> Tensor:
    mask = torch.ones(2, 20, dtype=torch.int64)
    mask[1, slice(None, 7) if side == "left" else slice(-7, None)] = 0
    return mask


@pytest.mark.parametrize("attention", [pytest.param("eager", marks=pytest.mark.ci), *ATTENTIONS])
def test_one_graph_with_and_without_padding(attention: str) -> None:
    ours, oracle = pair(two_layers(), attention=attention)
    ids, run = tokens(2, 20), compiled(ours)
    with torch.no_grad():
        assert distance(run(ids, use_cache=False).logits, oracle(ids).logits) <= CLOSE
        for side in ("left", "right"):
            mask = padding(side)
            got, want = (model(ids, attention_mask=mask, use_cache=False).logits for model in (run, oracle))
            assert distance(got[mask.bool()], want[mask.bool()]) <= CLOSE


@pytest.mark.ci
@pytest.mark.parametrize("attention", ["sdpa", "interval"])
def test_packed_documents_in_one_graph(attention: str) -> None:
    ours, oracle = pair(two_layers(), attention=attention)
    ids = tokens(1, 20)
    positions = torch.tensor([[*range(8), *range(5), *range(7)]])
    with torch.no_grad():
        got, want = (
            model(ids, position_ids=positions, use_cache=False).logits for model in (compiled(ours), oracle)
        )
    assert distance(got, want) <= CLOSE


@pytest.mark.ci
@pytest.mark.parametrize("attention", ["sdpa", "interval"])
def test_a_static_cache_in_one_graph(attention: str) -> None:
    ours, oracle = pair(two_layers(), attention=attention)
    ids, run = tokens(2, 12), compiled(ours)
    cache = StaticCache(config=ours.config, max_cache_len=16)
    with torch.no_grad():
        parts = [run(ids[:, a:b], past_key_values=cache).logits for a, b in ((0, 10), (10, 11), (11, 12))]
        assert distance(torch.cat(parts, 1), oracle(ids).logits) <= CLOSE


def test_masks_made_outside_of_the_graph() -> None:
    """As `generate` does with a static cache: it makes the masks, and compiles the forward pass only."""
    ours, oracle = pair(two_layers(), attention="interval")
    ids, run = tokens(2, 10), compiled(ours)
    cache = StaticCache(config=ours.config, max_cache_len=16)
    with torch.no_grad():
        inputs = ours.prepare_inputs_for_generation(
            ids,
            past_key_values=cache,
            attention_mask=torch.ones_like(ids),
            use_cache=True,
            is_first_iteration=True,
        )
        assert isinstance(inputs["attention_mask"], dict)
        assert distance(run(**inputs).logits, oracle(ids).logits) <= CLOSE


@pytest.mark.ci
@pytest.mark.parametrize("attention", ["sdpa", "interval"])
def test_gradients_of_one_graph(attention: str) -> None:
    ours, oracle = pair(two_layers(), attention=attention)
    ids = tokens(2, 20)
    compiled(ours.train(), "aot_eager")(ids, labels=ids, use_cache=False).loss.backward()
    oracle.train()(ids, labels=ids).loss.backward()
    for (name, got), want in zip(ours.named_parameters(), oracle.parameters(), strict=True):
        assert distance(got.grad, want.grad) <= 1e-4, name


def test_holes_in_the_padding_are_refused_in_one_sentence() -> None:
    ours, _ = pair(two_layers(), attention="interval")
    holes = torch.ones(1, 12, dtype=torch.int64)
    holes[0, 4:6] = 0
    with pytest.raises(CwmTraceError, match="has holes: compile it with sdpa") as caught, torch.no_grad():
        compiled(ours)(tokens(1, 12), attention_mask=holes, use_cache=False)
    assert "\n" not in str(caught.value)


@pytest.mark.ci
def test_outputs_are_captured_in_a_graph() -> None:
    ours, oracle = pair(two_layers(), attention="interval")
    ids = tokens(2, 12)
    with torch.no_grad():
        ours(ids, output_hidden_states=True)  # puts transformers' hooks in place, which a graph cannot
        got, want = (
            model(ids, output_hidden_states=True, use_cache=False).hidden_states
            for model in (compiled(ours), oracle)
        )
    assert [distance(a, b) <= CLOSE for a, b in zip(got, want, strict=True)] == [True] * 3


@pytest.mark.parametrize(
    ("attention", "strict"),
    [
        ("interval", False),
        *(
            pytest.param(name, strict, marks=pytest.mark.ci)
            for name, strict in (("sdpa", False), ("sdpa", True))
        ),
        pytest.param("interval", True, marks=pytest.mark.ci),
    ],
)
def test_an_exported_program_takes_other_lengths(attention: str, strict: bool) -> None:
    ours, oracle = pair(two_layers(), attention=attention)
    shapes = {"input_ids": {1: torch.export.Dim("tokens", min=2, max=64)}, "use_cache": None}
    program = torch.export.export(
        ours, (), {"input_ids": tokens(2, 12), "use_cache": False}, dynamic_shapes=shapes, strict=strict
    )
    with torch.no_grad():
        for length in (12, 31):
            ids = tokens(2, length, seed=length)
            got = program.module()(input_ids=ids, use_cache=False).logits
            assert distance(got, oracle(ids).logits) <= CLOSE


@pytest.mark.slow
@pytest.mark.parametrize("attention", ["sdpa", "interval"])
def test_inductor(attention: str) -> None:
    ours, oracle = pair(two_layers(), attention=attention)
    ids = tokens(2, 20)
    with torch.no_grad():
        got = compiled(ours, "inductor")(ids, use_cache=False).logits
    assert distance(got, oracle(ids).logits) <= CLOSE
