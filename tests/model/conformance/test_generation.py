"""`generate` and its kin: static caches, continuous batching, checkpoints of gradients while it generates."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import ContinuousBatchingConfig, GenerationConfig

from tests.model.pairs import distance, pair, small_config, tokens

GREEDY: dict[str, Any] = {"max_new_tokens": 8, "do_sample": False}


@pytest.mark.parametrize("attention", ["sdpa", "interval"])
@pytest.mark.parametrize("cache", ["static", "offloaded", "dynamic"])
def test_every_cache_by_name(cache: str, attention: str) -> None:
    if cache == "offloaded" and not torch.cuda.is_available():
        pytest.skip("offloading needs an accelerator")
    ours, oracle = pair(small_config(), attention=attention)
    ids = tokens(2, 10)
    got, want = (model.generate(ids, cache_implementation=cache, **GREEDY) for model in (ours, oracle))
    assert torch.equal(got, want)


@pytest.mark.ci
def test_continuous_batching_writes_what_generate_writes() -> None:
    prompts = [[5, 6, 7], [8, 9, 10, 11, 12], [*range(20, 50)]]
    make: Any = GenerationConfig
    config = make(max_new_tokens=6, do_sample=False, eos_token_id=2, pad_token_id=0)
    # by itself it takes what memory is free, and reads a batch of that size
    small = ContinuousBatchingConfig(num_blocks=16, page_size=8, max_batch_tokens=64)
    written = []
    for model in pair(small_config(), attention="sdpa"):
        model.set_attn_implementation("sdpa")
        outputs = model.generate_batch(
            inputs=prompts, generation_config=config, continuous_batching_config=small
        )
        written.append([outputs[key].generated_tokens for key in sorted(outputs)])
        alone = [
            model.generate(torch.tensor([p]), generation_config=config)[0, len(p) :].tolist() for p in prompts
        ]
        assert written[-1] == alone
    assert written[0] == written[1]


@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("attention", ["sdpa", "interval"])
def test_checkpointing_gradients_changes_none(attention: str, reentrant: bool) -> None:
    ours, oracle = pair(small_config(), attention=attention)
    ids = tokens(2, 16)
    for model in (ours, oracle):
        model.train().gradient_checkpointing_enable({"use_reentrant": reentrant})
        model.enable_input_require_grads()
        output = model(ids, labels=ids)
        assert output.past_key_values is None
        output.loss.backward()
    for (name, got), want in zip(ours.named_parameters(), oracle.parameters(), strict=True):
        assert distance(got.grad, want.grad) <= 1e-4, name
