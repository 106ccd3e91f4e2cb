"""What reaches the loss: labels, labels shifted already, another index to ignore, counts."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.model.pairs import pair, small_config, tokens


def losses(**options: Any) -> list[float]:
    ids = tokens(2, 20)
    with torch.no_grad():
        return [float(model(ids, **options).loss) for model in pair(small_config())]


def test_shifted_labels_are_taken_as_they_are() -> None:
    ids = tokens(2, 20)
    shifted = torch.randint(3, 99, (2, 20), generator=torch.Generator().manual_seed(5))
    got, want = losses(labels=ids, shift_labels=shifted)
    assert got == pytest.approx(want, abs=1e-5)
    assert abs(got - losses(labels=ids)[0]) > 0.01


def test_another_index_can_be_ignored() -> None:
    labels = tokens(2, 20)
    labels[:, :9] = 7
    got, want = losses(labels=labels, ignore_index=7)
    assert got == pytest.approx(want, abs=1e-5)
    assert abs(got - losses(labels=labels)[0]) > 0.01


def test_counts_divide_the_sum() -> None:
    got, want = losses(labels=tokens(2, 20), num_items_in_batch=torch.tensor(19))
    assert got == pytest.approx(want, abs=1e-5)


@pytest.mark.parametrize(
    "keep", [3, torch.tensor([0, 5]), torch.tensor([[0, 5], [1, 2]])], ids=["n", "1-d", "2-d"]
)
def test_logits_are_computed_where_they_are_kept(keep: Any) -> None:
    ours, oracle = pair(small_config())
    with torch.no_grad():
        got, want = (model(tokens(2, 20), logits_to_keep=keep).logits for model in (ours, oracle))
    assert torch.allclose(got, want, atol=1e-5)


def test_logits_are_kept_where_a_mask_says() -> None:
    ours, oracle = pair(small_config())
    keep = tokens(2, 20) % 3 == 0
    with torch.no_grad():
        got, want = (model(tokens(2, 20), logits_to_keep=keep).logits for model in (ours, oracle))
    assert got.shape == want.shape
    assert torch.allclose(got, want, atol=1e-5)
