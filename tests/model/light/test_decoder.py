"""The NumPy decoder against ours on PyTorch and transformers', on random small models."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.frequencies import pair_frequencies
from cwm_trace.model.light.attention import BLOCK
from cwm_trace.model.light.cache import FIRST_SLOTS
from cwm_trace.model.light.weights import Array
from cwm_trace.model.predict.decoders.numpy import NumpyDecoder
from cwm_trace.model.predict.decoders.torch import TorchDecoder
from tests.effort import examples
from tests.model.light.examples import LLAMA3, VOCABULARY, Trio, configs, make_trio

CLOSE = 5e-5
"""Of the largest logit. Float32 came to 1.1e-5 from float64 in the worst of 150 random models."""


def assert_close(ours: Any, theirs: Any) -> None:
    """Logits are the same up to rounding."""
    np.testing.assert_allclose(ours, theirs, atol=CLOSE * max(1, np.abs(theirs).max(initial=0)), rtol=0)


def draw_text(seed: int, tokens: int) -> list[int]:
    text: list[int] = np.random.default_rng(seed).integers(0, VOCABULARY, tokens).tolist()
    return text


def all_logits(trio: Trio, ids: list[int]) -> Array:
    """Logits after every token, `(tokens, vocabulary)`, in one pass."""
    logits: Array = NumpyDecoder(trio.light).text().feed([ids], [(0, at) for at in range(len(ids))])
    return logits


def wanted(trio: Trio, ids: list[int]) -> Array:
    """The same, by our decoder on PyTorch."""
    every = [(0, at) for at in range(len(ids))]
    logits: Array = TorchDecoder(trio.torch).text().feed([ids], every).numpy()
    return logits


@examples(0.5)
@given(configs(), st.integers(0, 10**6), st.sampled_from([1, 2, 50, BLOCK, BLOCK + 1, FIRST_SLOTS + 90]))
def test_logits_are_those_of_both_others(fields: dict[str, Any], seed: int, tokens: int) -> None:
    trio, ids = make_trio(fields, seed), draw_text(seed, tokens)
    ours = all_logits(trio, ids)
    with torch.no_grad():
        theirs = trio.oracle(torch.tensor([ids])).logits[0].numpy()
    assert ours.shape == (tokens, VOCABULARY)
    assert ours.dtype == np.float32
    assert_close(ours, theirs)
    assert_close(ours, wanted(trio, ids))


@examples(0.5)
@given(
    configs(),
    st.integers(0, 10**6),
    st.lists(st.sampled_from([1, 1, 1, 2, 40, BLOCK + 9]), min_size=2, max_size=6),
    st.data(),
)
def test_in_pieces_and_after_rollbacks_nothing_changes(
    fields: dict[str, Any], seed: int, sizes: list[int], data: st.DataObject
) -> None:
    trio, ids = make_trio(fields, seed), draw_text(seed, sum(sizes))
    whole = all_logits(trio, ids)
    text = NumpyDecoder(trio.light).text()
    begin = 0
    for size in sizes:
        wrong = data.draw(st.integers(0, 20))
        part = ids[begin : begin + size]
        logits = text.feed([part + draw_text(seed + 1, wrong)], [(0, at) for at in range(size)])
        text.accept([size])
        begin += size
        assert text.length == begin
        assert_close(logits, whole[begin - size : begin])


@examples(0.3)
@given(configs(), st.integers(0, 10**6), st.integers(1, 16), st.booleans(), st.data())
def test_rows_are_what_each_is_alone(
    fields: dict[str, Any], seed: int, count: int, shared: bool, data: st.DataObject
) -> None:
    """Each with a text of its own, or with one that goes on from some place of a common text."""
    trio, common = make_trio(fields, seed), draw_text(seed, 60)
    text = NumpyDecoder(trio.light).text()
    text.feed([common], [])
    rows = text.branches(count) if shared else NumpyDecoder(trio.light).rows(count)
    texts, written = [list[int]() for _ in range(count)], [0] * count
    if shared:
        for row in range(count):
            fork = data.draw(st.integers(0, 60), "fork")
            rows.restart(row, fork)
            texts[row], written[row] = common[:fork], fork
    alive = list(range(count))
    for step in range(4):
        sizes = [data.draw(st.sampled_from([0, 1, 1, 1, 7]), "size") for _ in alive]
        sizes[0] = max(sizes[0], 1)
        feeds = [draw_text(seed + 31 * step + row, size) for row, size in zip(alive, sizes, strict=True)]
        spots = [(lane, at) for lane, size in enumerate(sizes) for at in range(size)]
        logits = rows.feed(feeds, spots)
        kept = [data.draw(st.integers(0, size), "kept") for size in sizes]
        rows.accept(kept)
        first = 0
        for lane, row in enumerate(alive):
            alone = wanted(trio, texts[row] + feeds[lane])[len(texts[row]) :] if feeds[lane] else logits[:0]
            assert_close(logits[first : first + sizes[lane]], alone)
            first += sizes[lane]
            texts[row] = texts[row] + feeds[lane][: kept[lane]]
        if len(alive) > 1 and data.draw(st.booleans(), "drop one"):
            gone = data.draw(st.integers(0, len(alive) - 1))
            left = [lane for lane in range(len(alive)) if lane != gone]
            rows.keep(left)
            alive = [alive[lane] for lane in left]


def test_a_row_that_restarts_has_forgotten_everything() -> None:
    trio = make_trio(CONFIG, 3)
    common = draw_text(3, 40)
    text = NumpyDecoder(trio.light).text()
    text.feed([common], [])
    rows = text.branches(2)
    for forks in ((40, 7), (0, 40)):
        for row, fork in enumerate(forks):
            rows.restart(row, fork)
        feeds = [draw_text(fork, 9) for fork in forks]
        logits = rows.feed(feeds, [(0, 8), (1, 8)])
        rows.accept([9, 9])
        for row, fork in enumerate(forks):
            alone = wanted(trio, common[:fork] + feeds[row])[-1]
            assert_close(logits[row], alone)


CONFIG: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 24,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "num_key_value_heads": 1,
    "head_dim": 8,
    "sliding_window": 5,
    "layer_types": ["full_attention", "sliding_attention"],
    "max_position_embeddings": 1024,
    "rope_parameters": LLAMA3,
}


def test_a_token_at_a_time_sees_its_window() -> None:
    trio, ids = make_trio(CONFIG, 1), draw_text(1, 12)
    text = NumpyDecoder(trio.light).text()
    one_by_one = [text.feed([[number]], [(0, 0)])[0] for number in ids]
    assert_close(one_by_one, wanted(trio, ids))


def test_no_more_is_taken_back_than_there_is() -> None:
    text = NumpyDecoder(make_trio(CONFIG, 0).light).text()
    text.feed([[1, 2, 3]], [])
    with pytest.raises(CwmTraceError, match="cannot take back 4 of 3 tokens"):
        text.rollback(4)


def test_large_gates_warn_of_nothing(recwarn: pytest.WarningsRecorder) -> None:
    light = make_trio(CONFIG, 0).light
    for layer in light.layers:
        layer.gate_up *= 1000
    assert np.isfinite(NumpyDecoder(light).text().feed([[1, 2, 3]], [(0, 2)])).all()
    assert not recwarn.list


def test_a_fingerprint_changes_with_any_weight() -> None:
    prints = set()
    for name in (None, "qkv", "out", "gate_up", "down"):
        light = make_trio(CONFIG, 0).light
        if name is not None:
            getattr(light.layers[1], name)[0, 0] += 1
        prints.add(NumpyDecoder(light).fingerprint())
    assert len(prints) == 5


@pytest.mark.parametrize("rope", [LLAMA3, {"rope_type": "default", "rope_theta": 1e6}])
def test_angles_of_both_kinds_of_arrays(rope: dict[str, Any]) -> None:
    pairs = np.arange(0, 64, 2, dtype=np.float32)
    ours, theirs = pair_frequencies(rope, pairs, 64), pair_frequencies(rope, torch.from_numpy(pairs), 64)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-6)
    assert all(slow <= fast for fast, slow in pairwise(ours.tolist()))
