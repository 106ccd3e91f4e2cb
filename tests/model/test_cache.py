"""Rings, growth, drafts and rollback, sizes: every step of the decode loop against the eager model."""

from __future__ import annotations

import pytest
import torch

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.attention import count_traffic
from cwm_trace.model.cache import KVCache
from cwm_trace.model.decoder import Decoder
from cwm_trace.model.decoding import decode_one_token, prefill, score
from cwm_trace.model.modeling import CwmConfig
from cwm_trace.model.rows_cache import RowsCache
from tests.model.pairs import distance, pair, small_config, tokens

CLOSE = 2e-5


@pytest.mark.parametrize("window", [1, 3, 64, 65])
def test_ring_wraps_over_five_windows(window: int) -> None:
    model, _ = pair(small_config(sliding_window=window, num_hidden_layers=2, layer_types=None))
    decoder = Decoder(model)
    length = max(20, 5 * window)
    ids = tokens(1, length)
    with torch.no_grad():
        want = model(ids, use_cache=False).logits[0]
    cache = decoder.cache(1)
    got = [prefill(decoder, ids[:, :2], cache)]
    got += [decode_one_token(decoder, ids[:, t], cache) for t in range(2, length)]
    assert distance(torch.cat(got), want[1:]) <= CLOSE
    assert cache.layers[1].capacity == window  # and has not grown


@pytest.mark.parametrize("window", [3, 64, 65])
@pytest.mark.parametrize("chunk", [1, 2, 7, 64, 200])
def test_prefill_in_chunks_of_any_length(window: int, chunk: int) -> None:
    model, _ = pair(small_config(sliding_window=window))
    decoder = Decoder(model)
    ids = tokens(2, 200)
    with torch.no_grad():
        want = model(ids, use_cache=False).logits
    cache = decoder.cache(2)
    assert distance(prefill(decoder, ids, cache, chunk=chunk), want[:, -1]) <= CLOSE
    assert (
        distance(
            decode_one_token(decoder, ids[:, 0], cache), model(torch.cat((ids, ids[:, :1]), 1)).logits[:, -1]
        )
        <= CLOSE
    )


@pytest.mark.parametrize("window", [3, 64, 65])
def test_drafts_and_rollback_at_every_turn_of_the_ring(window: int) -> None:
    model, _ = pair(small_config(sliding_window=window))
    decoder = Decoder(model)
    drafts, length = 4, 5 * window + 10
    ids = tokens(1, length)
    with torch.no_grad():
        want = model(ids, use_cache=False).logits
    cache = decoder.cache(1, drafts=drafts)
    generator = torch.Generator().manual_seed(0)
    at = 0
    while at + drafts <= length:
        right = int(
            torch.randint(0, drafts + 1, (), generator=generator)
        )  # tokens of the draft that are accepted
        draft = ids[:, at : at + drafts].clone()
        draft[:, right:] = 3 + (draft[:, right:] + 1) % 90
        got = score(decoder, draft, cache)
        if right:
            assert distance(got[:, :right], want[:, at : at + right]) <= CLOSE
        cache.rollback(drafts - right)
        at += right
        assert cache.length == at
        if right == 0:
            assert distance(decode_one_token(decoder, ids[:, at], cache), want[:, at]) <= CLOSE
            at += 1
    assert all(layer.capacity == window + drafts - 1 for layer in cache.layers if layer.ring)


def test_rollback_of_more_than_the_ring_keeps_is_one_sentence() -> None:
    model, _ = pair(small_config(sliding_window=4))
    decoder = Decoder(model)
    cache = decoder.cache(1, drafts=2)
    prefill(decoder, tokens(1, 20), cache)
    cache.rollback(1)  # two slots to spare hold one rejected token and the next
    with pytest.raises(CwmTraceError, match=r"cannot take back 3 tokens: .* make it with drafts=4"):
        cache.rollback(3)
    with pytest.raises(CwmTraceError, match="cannot take back 21 of 19 tokens"):
        cache.rollback(21)
    whole = decoder.cache(1, rings=False)
    prefill(decoder, tokens(1, 20), whole)
    whole.rollback(20)
    assert whole.length == 0


@pytest.mark.parametrize(("window", "drafts"), [(1, 1), (4, 1), (4, 2), (5, 4)])
def test_the_last_token_that_can_be_taken_back(window: int, drafts: int) -> None:
    """One more, and what the token before it saw is overwritten: an answer then would be a wrong one."""
    model, _ = pair(small_config(sliding_window=window))
    decoder = Decoder(model)
    ids = tokens(1, 20)
    with torch.no_grad():
        want = model(ids, use_cache=False).logits
    for count in range(drafts + 3):
        cache = decoder.cache(1, drafts=drafts)
        prefill(decoder, ids, cache)
        if count > drafts:
            with pytest.raises(CwmTraceError, match=f"cannot take back {count} tokens"):
                cache.rollback(count)
            continue
        cache.rollback(count)
        if count:
            again = score(decoder, ids[:, 20 - count :], cache)
            assert distance(again, want[:, 20 - count :]) <= CLOSE


@pytest.mark.parametrize("drafts", [1, 3])
def test_the_first_token_at_which_a_ring_can_fork(drafts: int) -> None:
    config = small_config(sliding_window=4)
    model, _ = pair(config)
    decoder = Decoder(model)
    ids = tokens(1, 20)
    with torch.no_grad():
        want = model(ids, use_cache=False).logits
    prefix = decoder.cache(1, drafts=drafts)
    prefill(decoder, ids, prefix)
    for fork in range(20 - drafts, 20):
        got = decode_one_token(decoder, ids[:, fork], decoder.rows(1, prefix, [fork]))
        assert distance(got, want[:, fork]) <= CLOSE
    with pytest.raises(CwmTraceError, match="the window of a fork at token"):
        decoder.rows(1, prefix, [19 - drafts])


def test_global_layers_grow_and_keep_what_they_hold() -> None:
    config = small_config()
    cache = KVCache(config, tokens=4)
    assert cache.layers[0].capacity == 4
    cache.layers[0].kv.fill_(1.0)
    cache.advance(4)
    cache.begin(1)
    assert cache.layers[0].capacity >= 5
    assert (cache.layers[0].kv[:, :, :, :4] == 1).all()
    assert (cache.layers[0].kv[:, :, :, 4:] == 0).all()  # finite: kernels may read what is not used yet


def test_bytes_of_the_32b_model_at_its_longest_context() -> None:
    config = CwmConfig()
    rings = KVCache(config, tokens=131_072, dtype=torch.bfloat16, device="meta")
    full = KVCache(config, tokens=131_072, dtype=torch.bfloat16, device="meta", rings=False)
    assert rings.nbytes == (16 * 131_072 + 48 * 8_192) * 2 * 8 * 128 * 2
    assert round(rings.nbytes / 1e9, 1) == 10.2
    assert round(full.nbytes / 1e9, 1) == 34.4
    drafts = KVCache(config, tokens=131_072, drafts=16, dtype=torch.bfloat16, device="meta")
    assert drafts.nbytes - rings.nbytes == 48 * 15 * 2 * 8 * 128 * 2


def test_bytes_are_those_of_the_tensors() -> None:
    cache = KVCache(small_config(), batch=3, tokens=10)
    assert cache.nbytes == 3 * (2 * 10 + 2 * 6) * 2 * 2 * 8 * 4


def test_rows_can_be_chosen_and_repeated() -> None:
    model, _ = pair(small_config())
    decoder = Decoder(model)
    ids = tokens(3, 15)
    cache = decoder.cache(3, starts=[0, 4, 2])
    prefill(decoder, ids, cache)
    cache.keep([2, 0, 2])
    got = decode_one_token(decoder, torch.tensor([5, 6, 5]), cache)
    for row, (text, start, token) in enumerate([(2, 2, 5), (0, 0, 6), (2, 2, 5)]):
        alone = torch.cat((ids[text : text + 1, start:], torch.tensor([[token]])), 1)
        with torch.no_grad():
            assert distance(got[row], model(alone).logits[0, -1]) <= CLOSE


# Branches


def branch_prefix(model: object, length: int, rings: bool = False) -> tuple[Decoder, KVCache, torch.Tensor]:
    decoder = Decoder(model)
    prefix = decoder.cache(1, rings=rings)
    ids = tokens(1, length)
    prefill(decoder, ids, prefix)
    return decoder, prefix, ids


@pytest.mark.parametrize("window", [3, 64, 65])
def test_64_branches_equal_eager(window: int) -> None:
    model, _ = pair(small_config(sliding_window=window, layer_types=None))
    decoder, prefix, ids = branch_prefix(model, 150)
    forks = torch.randint(1, 151, (64,), generator=torch.Generator().manual_seed(1)).tolist()
    suffixes = tokens(64, 6, seed=2)
    cache = decoder.rows(64, prefix, forks)
    got = score(decoder, suffixes[:, :3], cache)
    got = torch.cat(
        (got, *(decode_one_token(decoder, suffixes[:, t], cache)[:, None] for t in range(3, 6))), 1
    )
    for row, fork in enumerate(forks):
        text = torch.cat((ids[:, :fork], suffixes[row : row + 1]), 1)
        with torch.no_grad():
            assert distance(got[row], model(text, use_cache=False).logits[0, -6:]) <= CLOSE


@pytest.mark.parametrize("window", [3, 65])
def test_branches_at_the_end_of_a_ring(window: int) -> None:
    model, _ = pair(small_config(sliding_window=window))
    decoder, prefix, ids = branch_prefix(model, 200, rings=True)
    suffixes = tokens(5, 2 * window, seed=2)
    cache = decoder.rows(5, prefix, [200] * 5)
    got = score(decoder, suffixes, cache)
    with torch.no_grad():
        want = model(torch.cat((ids.expand(5, -1), suffixes), 1), use_cache=False).logits[:, 200:]
    assert distance(got, want) <= CLOSE
    with pytest.raises(CwmTraceError, match="the window of a fork at token 150 is gone"):
        decoder.rows(2, prefix, [200, 150])


def test_branches_of_unequal_length_and_rollback() -> None:
    model, _ = pair(small_config())
    decoder, prefix, ids = branch_prefix(model, 40)
    cache = decoder.rows(2, prefix, [40, 7])
    score(decoder, torch.tensor([[5, 6, 7], [8, 0, 0]]), cache)
    cache.rollback([0, 2])
    score(decoder, torch.tensor([[9, 9], [9, 9]]), cache)
    cache.rollback(2)
    got = decode_one_token(decoder, torch.tensor([10, 11]), cache)
    texts = [[*ids[0].tolist(), 5, 6, 7, 10], [*ids[0, :7].tolist(), 8, 11]]
    for row, text in enumerate(texts):
        with torch.no_grad():
            assert distance(got[row], model(torch.tensor([text])).logits[0, -1]) <= CLOSE
    with pytest.raises(CwmTraceError, match="cannot take back 3 of 2 tokens"):
        cache.rollback([0, 3])


def test_prefix_is_not_changed_by_its_branches() -> None:
    model, _ = pair(small_config())
    decoder, prefix, _ = branch_prefix(model, 40)
    before = [layer.kv.clone() for layer in prefix.layers]
    cache = decoder.rows(2, prefix, [40, 20])
    score(decoder, tokens(2, 5), cache)
    assert prefix.length == 40
    assert all(torch.equal(a, layer.kv) for a, layer in zip(before, prefix.layers, strict=True))


def test_bytes_moved_grow_with_prefix_plus_suffixes_not_their_product() -> None:
    model, _ = pair(small_config(layer_types=["full_attention"] * 4))
    per_key = 4 * 2 * 2 * 8 * 4  # layers, K and V, kv_heads, head_dim, bytes

    def moved(prefix_length: int, branches: int, suffix: int) -> int:
        decoder, prefix, _ = branch_prefix(model, prefix_length)
        cache = decoder.rows(branches, prefix, [prefix_length] * branches)
        score(decoder, tokens(branches, suffix), cache)
        with count_traffic() as traffic:
            decode_one_token(decoder, tokens(branches, 1)[:, 0], cache)
        return traffic.bytes

    for prefix_length, branches, suffix in ((50, 1, 3), (50, 64, 3), (200, 64, 3), (200, 64, 9)):
        assert moved(prefix_length, branches, suffix) == (prefix_length + branches * (suffix + 1)) * per_key


@pytest.mark.parametrize(
    ("forks", "message"),
    [([41], "a branch forks at token 41 of a prefix of 40"), ([-1], "a branch forks at token -1")],
)
def test_forks_outside_the_prefix_are_one_sentence(forks: list[int], message: str) -> None:
    model, _ = pair(small_config())
    decoder, prefix, _ = branch_prefix(model, 40)
    with pytest.raises(CwmTraceError, match=message):
        decoder.rows(1, prefix, forks)


def test_a_batch_cannot_be_a_prefix() -> None:
    with pytest.raises(CwmTraceError, match="give one text without padding"):
        RowsCache(small_config(), 1, KVCache(small_config(), batch=2))
