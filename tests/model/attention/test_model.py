"""A whole model through the kernels: prefill, ring decode, drafts and branches, against eager."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from cwm_trace.model.attention.implementation import NAME
from cwm_trace.model.decoder import Decoder
from cwm_trace.model.decoding import decode_one_token, prefill, score
from tests.model.attention.emulator import Emulator
from tests.model.attention.fake_driver import EmulatedKernels, Engine, installed
from tests.model.attention.requirements import needs_nvrtc, needs_simulator
from tests.model.attention.simulator import Simulator
from tests.model.pairs import pair, small_config, tokens

CLOSE = 0.06
"""Of logits of size 2 or so, in bf16: eight bits of each number, in every layer."""
ENGINES = [
    pytest.param(Simulator, marks=needs_simulator, id="simulator"),
    pytest.param(lambda: Emulator(90), marks=needs_nvrtc, id="emulator"),
]


def models() -> tuple[Any, Any]:
    """Return the model in bf16, and eager on the same weights in float32."""
    config = small_config(hidden_size=96, head_dim=32, sliding_window=6, num_attention_heads=12)
    ours, oracle = pair(config)
    ours.to(torch.bfloat16)
    oracle.load_state_dict({name: x.float() for name, x in ours.state_dict().items()})
    return ours, oracle


def distance(got: Tensor, want: Tensor) -> float:
    return float((got.float() - want).abs().max() / want.abs().max())


@pytest.mark.parametrize("engine", ENGINES)
@torch.inference_mode()
def test_decoder_through_the_kernels(engine: Any) -> None:
    model, oracle = models()
    ids = tokens(2, 24)
    want = oracle(ids).logits
    decoder = Decoder(model)
    emulated = EmulatedKernels(engine())
    with installed(emulated):
        cache = decoder.cache(2, drafts=3)
        got = [prefill(decoder, ids[:, :17], cache, chunk=9)]  # the ring goes around
        got += [decode_one_token(decoder, ids[:, t], cache) for t in range(17, 20)]
        assert distance(torch.stack(got, 1), want[:, 16:20]) <= CLOSE
        assert distance(score(decoder, ids[:, 20:23], cache), want[:, 20:23]) <= CLOSE
        cache.rollback(2)
        assert distance(decode_one_token(decoder, ids[:, 21], cache), want[:, 21]) <= CLOSE
    assert emulated.errors == []
    assert emulated.steps == 4 * 7  # layers, and calls of the decoder


@pytest.mark.parametrize("engine", ENGINES)
@torch.inference_mode()
def test_branches_through_the_kernels(engine: Any) -> None:
    model, oracle = models()
    ids, suffixes, forks = tokens(1, 20), tokens(4, 5, seed=2), [20, 3, 20, 11]
    decoder = Decoder(model)
    emulated = EmulatedKernels(engine())
    with installed(emulated):
        prefix = decoder.cache(1, rings=False)
        prefill(decoder, ids, prefix)
        cache = decoder.rows(4, prefix, forks)
        got = [score(decoder, suffixes[:, :3], cache)]
        got += [decode_one_token(decoder, suffixes[:, t], cache)[:, None] for t in (3, 4)]
    for row, fork in enumerate(forks):
        text = torch.cat((ids[:, :fork], suffixes[row : row + 1]), 1)
        assert distance(torch.cat(got, 1)[row], oracle(text).logits[0, -5:]) <= CLOSE
    assert emulated.errors == []
    assert emulated.steps == 4 * 4
    assert "combine_parts" in {name for name, _, _ in emulated.fake.launches}


@pytest.mark.parametrize("engine", ENGINES[:1])
@torch.inference_mode()
def test_transformers_model_through_the_kernels(engine: Any) -> None:
    model, oracle = models()
    model.set_attn_implementation(NAME)
    ids = tokens(2, 30)
    mask = torch.ones_like(ids)
    mask[1, :7] = 0
    emulated = EmulatedKernels(engine())
    with installed(emulated):
        got = model(ids, attention_mask=mask).logits
    want = oracle(ids, attention_mask=mask).logits
    assert distance(got[mask.bool()], want[mask.bool()]) <= CLOSE
    assert emulated.errors == []
    assert emulated.steps == 4


def test_engines_are_what_the_driver_asks_for() -> None:
    engines: list[Engine] = [Simulator(), Emulator(90)]
    assert all(callable(engine.launch) for engine in engines)
