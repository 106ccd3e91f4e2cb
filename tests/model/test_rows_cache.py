"""Rows of different lengths, with and without a common beginning, against a cache of its own for each."""

from __future__ import annotations

import random

import pytest
import torch
from torch import Tensor

from cwm_trace.model.cache import KVCache
from cwm_trace.model.decoder import Decoder
from tests.model.pairs import distance, pair, small_config

CLOSE = 1e-10
MERGED = 1e-6
"""With a prefix: the log-sum-exp that merges both parts is float32."""


def decoder(window: int) -> Decoder:
    model, _ = pair(small_config(sliding_window=window))
    return Decoder(model.double())


def states(decoder: Decoder, text: list[int]) -> Tensor:
    """States of a whole text, `(tokens, width)`."""
    return decoder.states(torch.tensor([text]), decoder.cache(rings=False))[0]


class Rows:
    """Rows under test, each beside its text."""

    def __init__(self, decoder: Decoder, count: int, text: list[int], seed: int) -> None:
        self._decoder, self._text = decoder, text
        self._random = random.Random(seed)
        self.prefix: KVCache | None = None
        if text:
            self.prefix = decoder.cache(rings=False)
            decoder.states(torch.tensor([text]), self.prefix)
        self.cache = decoder.rows(count, self.prefix)
        self.texts: list[list[int]] = [[] for _ in range(count)]
        for row in range(count):
            self.restart(row)

    def restart(self, row: int) -> None:
        fork = self._random.randint(0, len(self._text))
        self.cache.restart(row, fork)
        self.texts[row] = self._text[:fork]

    def keep(self, rows: list[int]) -> None:
        self.cache.keep(rows)
        self.texts = [self.texts[row] for row in rows]

    def step(self, most: int, least: int = 1) -> None:
        """Feed every row as many tokens, and let a number of its own count."""
        fed = self._random.randint(least, most)
        ids = [[self._random.randrange(99) for _ in range(fed)] for _ in self.texts]
        found = self._decoder.states(torch.tensor(ids), self.cache)
        for row, text in enumerate(self.texts):
            want = states(self._decoder, text + ids[row])[len(text) :]
            assert distance(found[row], want) <= (CLOSE if self.prefix is None else MERGED)
        counts = [self._random.randint(0, fed) for _ in self.texts]
        self.cache.rollback([fed - count for count in counts])
        for row, count in enumerate(counts):
            self.texts[row] += ids[row][:count]
        assert self.cache.length == max(map(len, self.texts))


@pytest.mark.parametrize("window", [1, 3, 64])
@pytest.mark.parametrize("length", [0, 1, 40])
def test_rows_are_as_if_each_had_a_cache_of_its_own(window: int, length: int) -> None:
    text = [(7 * at) % 99 for at in range(length)]
    rows = Rows(decoder(window), 4, text, seed=window + length)
    for _ in range(3):
        rows.step(9)
    rows.restart(2)
    rows.step(1)
    rows.keep([3, 0, 2])
    for _ in range(3):
        rows.step(9)
    rows.restart(0)
    rows.keep([1, 0])
    rows.step(20)
    rows.step(1)


def test_rows_grow() -> None:
    rows = Rows(decoder(16), 2, [5, 6, 7], seed=0)
    for _ in range(3):
        rows.step(200, least=180)
    assert max(layer.capacity for layer in rows.cache.layers) > 256


def test_the_prefix_stays_as_it_is() -> None:
    rows = Rows(decoder(4), 3, list(range(30)), seed=1)
    assert rows.prefix is not None
    before = [layer.kv.clone() for layer in rows.prefix.layers]
    for _ in range(4):
        rows.step(7)
    assert rows.prefix.length == 30
    assert all(torch.equal(a, b.kv) for a, b in zip(before, rows.prefix.layers, strict=True))


def test_the_first_tokens_of_all_rows_may_count_for_none() -> None:
    lanes = decoder(4)
    cache = lanes.rows(2)
    first = lanes.states(torch.tensor([[1, 2], [3, 4]]), cache)
    cache.rollback(2)
    assert torch.equal(lanes.states(torch.tensor([[1, 2], [3, 4]]), cache), first)
