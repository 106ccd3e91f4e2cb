"""Documents packed into one row stay apart under flash attention, whose part a recording stub plays."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
import transformers.modeling_flash_attention_utils as flash
from torch import Tensor

from tests.model.pairs import distance, pair, small_config, tokens

LENGTHS = [7, 1, 11, 5]
CLOSE = 1e-5


class FlashStub:
    """Attends as flash attention does, by documents where it is told of them, and notes its calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, list[int], int]] = []

    def plain(
        self, q: Tensor, k: Tensor, v: Tensor, window_size: tuple[int, int] = (-1, -1), **_: Any
    ) -> Tensor:
        """`(batch, tokens, heads, head_dim)`: every row is one text."""
        self.calls.append(("plain", [], window_size[0]))
        return torch.stack([self._attend(*rows, window_size[0]) for rows in zip(q, k, v, strict=True)])

    def varlen(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        cu_seqlens_q: Tensor,
        window_size: tuple[int, int] = (-1, -1),
        **_: Any,
    ) -> Tensor:
        """`(tokens, heads, head_dim)`: documents that end where `cu_seqlens_q` says."""
        bounds = cu_seqlens_q.tolist()
        self.calls.append(("varlen", bounds, window_size[0]))
        parts = [slice(a, b) for a, b in pairwise(bounds)]
        return torch.cat([self._attend(q[part], k[part], v[part], window_size[0]) for part in parts])

    @staticmethod
    def _attend(q: Tensor, k: Tensor, v: Tensor, window: int) -> Tensor:
        places = torch.arange(len(q))
        seen = places[:, None] >= places
        if window >= 0:
            seen &= places[:, None] - places <= window
        group = q.shape[1] // k.shape[1]
        k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
        scores = torch.einsum("thd,shd->hts", q, k) * q.shape[-1] ** -0.5
        weights = scores.masked_fill(~seen, -torch.inf).softmax(-1)
        return torch.einsum("hts,shd->thd", weights, v)


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> FlashStub:
    """Takes the place of the package flash_attn in transformers."""
    stub = FlashStub()

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("no padding, no paged cache here")

    functions = (stub.plain, stub.varlen, refuse, refuse, refuse)
    process: Callable[..., dict[str, Any]] = flash._process_flash_attention_kwargs
    supported = defaultdict(bool, window_size=True)

    def arguments(*args: Any, **kwargs: Any) -> dict[str, Any]:
        return process(*args, **kwargs, supports_mapping=supported)

    monkeypatch.setattr(flash, "lazy_import_flash_attention", lambda *_: (functions, (arguments, refuse)))
    return stub


def test_packed_documents_stay_apart_under_flash_attention(stub: FlashStub) -> None:
    ours, oracle = pair(small_config())
    ids = tokens(1, sum(LENGTHS))
    positions = torch.cat([torch.arange(n) for n in LENGTHS])[None]
    with torch.no_grad():
        alone = torch.cat([ours(part, use_cache=False).logits for part in torch.split(ids, LENGTHS, 1)], 1)
        found = []
        for model in (ours, oracle):
            model.config._attn_implementation = "flash_attention_2"
            stub.calls.clear()
            assert distance(model(ids, position_ids=positions, use_cache=False).logits, alone) <= CLOSE
            found.append([*stub.calls])
    ends = [0, 7, 8, 19, 24]
    assert found[0] == found[1]
    assert found[0] == [("varlen", ends, window) for window in (-1, 5, 5, -1)]


def test_a_single_document_is_not_taken_for_packed_ones(stub: FlashStub) -> None:
    ours, oracle = pair(small_config())
    ids = tokens(2, 20)
    with torch.no_grad():
        want = ours(ids, use_cache=False).logits
        for model in (ours, oracle):
            model.config._attn_implementation = "flash_attention_2"
            stub.calls.clear()
            assert distance(model(ids, use_cache=False).logits, want) <= CLOSE
            assert [call[0] for call in stub.calls] == ["plain"] * 4


def test_documents_may_be_named_by_their_ends(stub: FlashStub) -> None:
    """A collator that knows the documents passes `cu_seq_lens_q` and the rest; several rows' worth in one."""
    ours, oracle = pair(small_config())
    ids = tokens(1, sum(LENGTHS))
    ends = torch.tensor([0, *torch.tensor(LENGTHS).cumsum(0).tolist()], dtype=torch.int32)
    named = {"cu_seq_lens_q": ends, "cu_seq_lens_k": ends, "max_length_q": 11, "max_length_k": 11}
    positions = torch.cat([torch.arange(n) for n in LENGTHS])[None]
    with torch.no_grad():
        for model in (ours, oracle):
            model.config._attn_implementation = "flash_attention_2"
        got, want = (
            model(ids, position_ids=positions, use_cache=False, **named).logits for model in (ours, oracle)
        )
    assert distance(got, want) <= CLOSE
    assert {call[0] for call in stub.calls} == {"varlen"}
