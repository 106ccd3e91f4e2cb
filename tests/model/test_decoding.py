"""Our decode loop against transformers' `generate`, in tokens."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.decoder import Decoder
from cwm_trace.model.decoding import Sampler, generate, generate_branches, prefill
from cwm_trace.model.modeling import CwmConfig
from cwm_trace.model.product import Product
from tests.effort import examples
from tests.model.pairs import configs, distance, pair, small_config, tokens


def theirs(model: Any, prompts: list[list[int]], count: int, **options: Any) -> list[list[int]]:
    """Greedy tokens of transformers' loop, prompts padded on the left."""
    longest = max(map(len, prompts))
    ids = torch.tensor([[0] * (longest - len(prompt)) + prompt for prompt in prompts])
    mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    options = {"eos_token_id": None, **options}
    got = model.generate(ids, attention_mask=mask, max_new_tokens=count, do_sample=False, **options)
    return [row.tolist() for row in got[:, longest:]]


@examples(0.15)
@given(config=configs(), lengths=st.lists(st.integers(1, 40), min_size=1, max_size=4), seed=st.integers(0, 9))
def test_greedy_tokens_equal_transformers(config: CwmConfig, lengths: list[int], seed: int) -> None:
    ours, oracle = pair(config, seed)
    prompts = [tokens(1, length, seed + i)[0].tolist() for i, length in enumerate(lengths)]
    want = theirs(oracle, prompts, 20)
    assert generate(ours, prompts, 20, stop_ids=()) == want
    assert generate(oracle, prompts, 20, stop_ids=()) == want  # transformers' own class in our loop
    assert [generate(ours, [prompt], 20, stop_ids=())[0] for prompt in prompts] == want


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_dtypes(dtype: torch.dtype) -> None:
    ours, _ = pair(small_config())
    ours = ours.to(dtype)
    ids = tokens(2, 20)
    decoder = Decoder(ours)
    with torch.no_grad():
        want = ours(ids).logits[:, -1].double()
    got = prefill(decoder, ids, decoder.cache(2)).double()
    assert distance(got, want) <= (1e-5 if dtype is torch.float64 else 2e-2 * float(want.abs().max()))


def test_stop_ids_end_a_row_and_not_the_others() -> None:
    ours, _ = pair(small_config())
    prompts = [tokens(1, 9, seed)[0].tolist() for seed in range(4)]
    free = generate(ours, prompts, 30, stop_ids=())
    stop = free[0][7]
    want = [row[: row.index(stop) + 1] if stop in row else row for row in free]
    assert generate(ours, prompts, 30, stop_ids=[stop]) == want
    assert len(want[0]) <= 8
    ours.config.eos_token_id = stop
    assert generate(ours, prompts, 30) == want


def test_sampling_follows_seed_temperature_and_top_p() -> None:
    ours, _ = pair(small_config())
    prompt = [tokens(1, 9)[0].tolist()]
    options: dict[str, Any] = {"stop_ids": (), "temperature": 1.0, "top_p": 0.9}
    first, again = (generate(ours, prompt, 40, seed=7, **options) for _ in range(2))
    assert first == again
    assert first != generate(ours, prompt, 40, seed=8, **options)
    greedy = generate(ours, prompt, 40, stop_ids=())
    assert generate(ours, prompt, 40, stop_ids=(), temperature=1e-4, seed=1) == greedy
    assert generate(ours, prompt, 40, stop_ids=(), temperature=1.0, top_p=1e-6, seed=1) == greedy


def test_sampler_draws_the_distribution_it_should() -> None:
    logits = torch.tensor([0.5, 0.25, 0.15, 0.1]).log()
    drawn = Sampler(1.0, 1.0, seed=0)(logits.expand(40_000, -1))
    shares = drawn.bincount(minlength=4) / 40_000
    assert torch.allclose(shares, logits.exp(), atol=0.01)
    kept = Sampler(1.0, 0.7, seed=0)(logits.expand(40_000, -1))  # 0.5 + 0.25 reach 0.7
    assert torch.allclose(kept.bincount(minlength=4) / 40_000, torch.tensor([2 / 3, 1 / 3, 0, 0]), atol=0.01)


def test_n_branches_equal_n_separate_decodes() -> None:
    ours, _ = pair(small_config(sliding_window=5))
    decoder = Decoder(ours)
    text = tokens(1, 60)
    prefix = decoder.cache(1, rings=False)
    prefill(decoder, text, prefix)
    forks = [60, 3, 31, 31, 1, 59]
    prompts = [[4], [5, 6, 7], [8, 9], [10, 9], [11], [12, 13, 14, 15]]
    got = generate_branches(decoder, prefix, forks, prompts, 15, stop_ids=())
    for fork, prompt, row in zip(forks, prompts, got, strict=True):
        assert [row] == generate(decoder, [text[0, :fork].tolist() + prompt], 15, stop_ids=())
    stop = got[2][5]
    want = [row[: row.index(stop) + 1] if stop in row else row for row in got]
    assert generate_branches(decoder, prefix, forks, prompts, 15, stop_ids=[stop]) == want


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda model: generate(model, [], 3), "a prompt is empty"),
        (lambda model: generate(model, [[5], []], 3), "a prompt is empty"),
        (lambda model: generate(model, [[5]], 3, temperature=-1), "temperature is -1"),
        (lambda model: generate(model, [[5]], 3, top_p=0), "top_p is 0"),
    ],
)
def test_bad_arguments_are_one_sentence(call: Any, message: str) -> None:
    ours, _ = pair(small_config())
    with pytest.raises(CwmTraceError, match=message):
        call(ours)


def test_models_it_cannot_decode_are_one_sentence() -> None:
    ours, _ = pair(small_config(rope_parameters={"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}))
    with pytest.raises(CwmTraceError, match="rope_type 'dynamic' depends on the length"):
        Decoder(ours)

    class Linear4bit(nn.Linear): ...

    ours, _ = pair(small_config())
    ours.model.layers[0].mlp.up_proj = Linear4bit(32, 48)
    with pytest.raises(CwmTraceError, match="this model is quantised"):
        Decoder(ours)
    ours, _ = pair(small_config())
    ours.model.layers[1].to("meta")
    with pytest.raises(CwmTraceError, match="spread over several devices"):
        Decoder(ours)


def test_nothing_to_generate() -> None:
    ours, _ = pair(small_config())
    assert generate(ours, [[5], [6]], 0) == [[], []]


@pytest.mark.parametrize(("out", "width"), [(48, 32), (513, 7), (1024, 16), (1031, 3), (1300, 5), (1, 1)])
@pytest.mark.parametrize("rows", [1, 2, 40])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_products_equal_those_of_a_linear_layer(out: int, width: int, rows: int, dtype: torch.dtype) -> None:
    weight, x = torch.randn(out, width, dtype=dtype), torch.randn(rows, width, dtype=dtype)
    product, total = Product(weight), torch.randn(rows, out, dtype=dtype)
    with torch.inference_mode():
        assert torch.allclose(product(x), nn.functional.linear(x, weight), atol=1e-4)
        assert torch.allclose(product.add(x, total.clone()), total + x @ weight.t(), atol=1e-4)
