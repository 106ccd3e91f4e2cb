"""`attn_implementation="interval"`, in our model and in transformers' own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from transformers import CwmForCausalLM as Oracle
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.masking_utils import find_packed_sequence_indices

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.attention import count_traffic
from cwm_trace.model.attention.implementation import IntervalMask, interval_mask, packed_intervals
from cwm_trace.model.modeling import CwmConfig
from tests.model.pairs import VOCABULARY, distance, pair, small_config, tokens

CLOSE = 1e-5


def padded(batch: int, length: int, pads: list[int], side: str) -> Tensor:
    mask = torch.ones(batch, length, dtype=torch.int64)
    for row, count in enumerate(pads):
        mask[row, slice(None, count) if side == "left" else slice(length - count, None)] = 0
    return mask


@pytest.mark.parametrize("side", ["left", "right"])
def test_transformers_own_class_with_intervals_and_padding(side: str) -> None:
    ours, oracle = pair(small_config())
    ids, mask = tokens(3, 30), padded(3, 30, [0, 4, 17], side)
    want = oracle(ids, attention_mask=mask).logits[mask.bool()]
    oracle.set_attn_implementation("interval")
    assert distance(oracle(ids, attention_mask=mask).logits[mask.bool()], want) <= CLOSE
    if side == "left":  # nobody continues padding
        greedy: dict[str, Any] = {"max_new_tokens": 12, "do_sample": False, "attention_mask": mask}
        assert torch.equal(oracle.generate(ids, **greedy), ours.generate(ids, **greedy))


def test_another_model_of_transformers() -> None:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        pad_token_id=0,
    )
    model: Any = LlamaForCausalLM(config)
    model.eval()
    ids, mask = tokens(2, 20), padded(2, 20, [0, 8], "left")
    want = model(ids, attention_mask=mask).logits[mask.bool()]
    model.set_attn_implementation("interval")
    assert distance(model(ids, attention_mask=mask).logits[mask.bool()], want) <= CLOSE


def test_loads_with_the_implementation_by_name(tmp_path: Any) -> None:
    ours, _ = pair(small_config())
    ours.save_pretrained(tmp_path)
    loaded: Any = Oracle.from_pretrained(tmp_path, attn_implementation="interval")
    ids = tokens(1, 20)
    assert distance(loaded(ids).logits, ours(ids).logits) <= CLOSE


@pytest.mark.parametrize("static", [False, True])
def test_caches_of_transformers(static: bool) -> None:
    ours, oracle = pair(small_config(), attention="interval")
    ids, mask = tokens(2, 9), padded(2, 9, [0, 5], "left")
    greedy: dict[str, Any] = {"max_new_tokens": 12, "do_sample": False, "attention_mask": mask}
    want = oracle.generate(ids, **greedy)
    assert torch.equal(ours.generate(ids, **greedy, cache_implementation="static" if static else None), want)


def test_holes_in_the_padding_and_ready_masks_go_to_sdpa() -> None:
    ours, oracle = pair(small_config(), attention="interval")
    ids = tokens(2, 12)
    holes = torch.ones_like(ids)
    holes[0, 4:6] = 0
    assert (
        distance(
            ours(ids, attention_mask=holes).logits[holes.bool()],
            oracle(ids, attention_mask=holes).logits[holes.bool()],
        )
        <= CLOSE
    )
    ready = torch.zeros(2, 1, 12, 12).masked_fill(torch.ones(12, 12, dtype=torch.bool).triu(1), -torch.inf)
    masks = {"full_attention": ready, "sliding_attention": ready}
    assert distance(ours(ids, attention_mask=masks).logits, oracle(ids, attention_mask=masks).logits) <= CLOSE


def test_mask_is_an_interval_per_token() -> None:
    mask = interval_mask(
        2, 4, 4, attention_mask=torch.tensor([[0, 1, 1, 1], [1, 1, 1, 0]]).bool(), local_size=2
    )
    assert isinstance(mask, IntervalMask)
    assert mask.lo.tolist() == [1, 1, 1, 2, 0, 0, 1, 2]
    assert mask.hi.tolist() == [1, 2, 3, 4, 1, 2, 3, 3]
    documents = torch.tensor([0, 0, 1, 1, 1])
    packed = interval_mask(
        1,
        5,
        5,
        mask_function=lambda b, h, q, k: (documents[q] == documents[k]) & (k <= q),
        allow_is_causal_skip=False,
    )
    assert isinstance(packed, IntervalMask)
    assert packed.lo.tolist() == [0, 0, 2, 2, 2]
    assert packed.hi.tolist() == [1, 2, 3, 4, 5]


@given(
    st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=4), min_size=1, max_size=3),
    st.sampled_from([None, 1, 3, 100]),
    st.integers(0, 5),
)
def test_intervals_of_packed_rows_are_those_of_transformers_mask(
    sizes: list[list[int]], window: int | None, first: int
) -> None:
    length = max(map(sum, sizes))
    rows = [
        [first, *[p for size in row for p in range(size)], *range(length)][1 : length + 1] for row in sizes
    ]
    positions = torch.tensor(rows)
    documents = find_packed_sequence_indices(positions)
    if documents is None:
        documents = torch.zeros_like(positions)
    want = interval_mask(
        len(rows),
        length,
        length,
        mask_function=lambda b, h, q, k: (
            (documents[b, q] == documents[b, k]) & (k <= q) & (k > q - (window or length))
        ),
        allow_is_causal_skip=False,
    )
    got = packed_intervals(positions, window)
    assert isinstance(want, IntervalMask)
    assert (got.lo.tolist(), got.hi.tolist()) == (want.lo.tolist(), want.hi.tolist())


def test_window_layers_read_their_band_only() -> None:
    def read(kinds: list[str]) -> int:
        config = small_config(num_hidden_layers=1, layer_types=kinds, sliding_window=16)
        ours, _ = pair(config, attention="interval")
        with count_traffic() as traffic, torch.no_grad():
            ours(tokens(1, 512), use_cache=False)
        return traffic.bytes

    per_key = 2 * 2 * 8 * 4  # K and V, kv_heads, head_dim, bytes
    assert read(["full_attention"]) == 512 * per_key
    assert read(["sliding_attention"]) == (512 + 3 * 15) * per_key  # four tiles of 128


def test_dropout_is_one_sentence() -> None:
    config: CwmConfig = small_config(attention_dropout=0.1)
    ours, _ = pair(config, attention="interval")
    ours(tokens(1, 5))
    with pytest.raises(CwmTraceError, match="interval attention has no dropout"):
        ours.train()(tokens(1, 5))


def test_a_text_of_padding_only_is_an_empty_interval() -> None:
    mask = interval_mask(2, 3, 3, attention_mask=torch.tensor([[0, 0, 0], [1, 1, 1]]).bool())
    assert isinstance(mask, IntervalMask)
    assert mask.plan.empty is not None
    assert mask.plan.empty.tolist() == [True, True, True, False, False, False]
