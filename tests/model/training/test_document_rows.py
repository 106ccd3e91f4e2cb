"""Rows hold whole documents, the model keeps them apart, and streams do not depend on who makes them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cwm_trace.datasets.tokenizing import TokenField
from cwm_trace.model.modeling import CwmForCausalLM
from cwm_trace.model.training.document_rows import Batch, Packer, waiting_documents
from cwm_trace.model.training.loss import field_weights, weighted_loss
from cwm_trace.model.training.recipe import Loss
from cwm_trace.model.training.stream import Mix, Stream
from tests.model.training.runs import tiny_recipe

PAD = 399
SHORT = Mix({"composition": 1.0}, 2, "train")


@pytest.fixture
def batch(words: Path) -> Batch:
    return Batch.of(Packer(Stream(SHORT, words, workers=0), PAD).batch(3, 1700))


def test_rows_hold_documents_from_their_begin(batch: Batch, words: Path) -> None:
    chunks = zip(range(3), Stream(SHORT, words, workers=0), strict=False)
    made = {document.ids for _, chunk in chunks for document in chunk}
    rows = zip(batch.ids.tolist(), batch.positions.tolist(), batch.fields.tolist(), strict=True)
    found = 0
    for ids, positions, fields in rows:
        starts = [place for place, position in enumerate(positions) if position == 0]
        for start, stop in zip(starts, [*starts[1:], len(ids)], strict=True):
            assert positions[start:stop] == list(range(stop - start))
            if fields[start] == TokenField.PADDING:
                assert set(ids[start:stop]) == {PAD}
            else:
                found += tuple(ids[start:stop]) in made
    assert found >= 6
    assert batch.tokens == int((batch.ids != PAD).sum())


@pytest.mark.parametrize("attention", ["sdpa", "interval", "eager"])
def test_documents_do_not_see_each_other(batch: Batch, attention: str) -> None:
    torch.manual_seed(0)
    model = CwmForCausalLM(tiny_recipe().model.config(vocab_size=400, pad_token_id=PAD))
    model.set_attn_implementation(attention)
    model.eval()  # type: ignore[no-untyped-call]
    with torch.no_grad():
        packed = model(batch.ids[:1], position_ids=batch.positions[:1], use_cache=False).logits[0]
        starts = [place for place, position in enumerate(batch.positions[0].tolist()) if position == 0]
        assert len(starts) >= 2
        for start, stop in zip(starts, [*starts[1:], batch.ids.shape[1]], strict=True):
            alone = model(batch.ids[:1, start:stop], use_cache=False).logits[0]
            assert float((packed[start:stop] - alone).abs().max()) < 1e-4
    with torch.no_grad():
        whole = model(batch.ids[:1], use_cache=False).logits[0]
    assert float((packed[starts[1] :] - whole[starts[1] :]).abs().max()) > 1e-2, "nothing to keep apart"


def test_only_predicted_tokens_count(batch: Batch) -> None:
    weights = field_weights(Loss(changed=2.0, source=0.0))
    logits = torch.randn(*batch.ids.shape, 400, generator=torch.Generator().manual_seed(0))
    logits.requires_grad_()
    loss, _ = weighted_loss(logits, batch, weights)
    (gradient,) = torch.autograd.grad(loss, logits)
    touched = gradient.abs().sum(-1)[:, :-1] > 0
    marks = batch.fields[:, 1:]
    counted = (marks != TokenField.GIVEN) & (marks != TokenField.PADDING) & (marks != TokenField.SOURCE)
    assert torch.equal(touched, counted)
    nats = torch.nn.functional.cross_entropy(
        logits[:, :-1].flatten(0, 1), batch.ids[:, 1:].flatten(), reduction="none"
    )
    weight = counted.flatten() * (1.0 + (marks == TokenField.CHANGED).flatten())
    assert loss.item() == pytest.approx(((nats * weight).sum() / weight.sum()).item(), rel=1e-5)


def test_a_packer_goes_on_where_another_stopped(words: Path) -> None:
    packer = Packer(Stream(SHORT, words, workers=0), PAD)
    for _ in range(3):
        packer.batch(2, 512)
    state = packer.state()
    want = [packer.batch(2, 700) for _ in range(3)]
    stream = Stream(SHORT, words, chunk=state["chunk"], workers=0)
    again = Packer(stream, PAD, waiting_documents(state))
    for one in want:
        other = again.batch(2, 700)
        assert all((one[name] == other[name]).all() for name in one)


def test_workers_change_nothing(words: Path) -> None:
    alone, helped = Stream(SHORT, words, workers=0), Stream(SHORT, words, workers=1)
    try:
        for _, one, other in zip(range(4), alone, helped, strict=False):
            assert one == other
    finally:
        helped.close()


def test_splits_share_no_program(words: Path) -> None:
    train = {SHORT.item(number).source for number in range(200)}
    dev = {Mix(SHORT.weights, 3, "dev").item(number).source for number in range(200)}
    assert not train & dev
