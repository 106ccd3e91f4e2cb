"""The mean of the weights of the last stretch is what its definition says, also over a kill."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from cwm_trace.model.loading import load_model
from cwm_trace.model.training.average import Averager
from cwm_trace.model.training.loop import train
from cwm_trace.model.training.recipe import Average
from tests.model.training.runs import log_of, tiny_recipe


def weights_of(values: list[float], plan: Average, *, split: int = 0) -> float:
    """The mean of a model's only weight, which has one value after the other; `split`: go on from a state."""
    model = nn.Linear(1, 1, bias=False)
    averager = Averager(plan)
    for place, value in enumerate(values, 1):
        model.weight.data.fill_(value)
        averager.add(model, place / len(values))
        if place == split:
            averager = Averager(plan, averager.state())
    return float(averager.apply(model).weight.detach())


def test_the_mean_is_of_the_last_stretch() -> None:
    values = [float(place * place) for place in range(10)]
    assert weights_of(values, Average(last=0.3)) == pytest.approx((49 + 64 + 81) / 3)
    assert weights_of(values, Average(last=1.0)) == pytest.approx(sum(values) / 10)
    assert weights_of(values, Average(last=0.01)) == 81


def test_a_decay_forgets() -> None:
    values = [5.0, 1.0, 2.0, 4.0]
    mean = (5 + 1) / 2  # two count the same: 1 / 2 is no less than 1 - 0.5
    for value in values[2:]:
        mean += 0.5 * (value - mean)
    assert weights_of(values, Average(last=1.0, decay=0.5)) == pytest.approx(mean)


def test_its_state_goes_on() -> None:
    values = [1.0, 2.0, 4.0, 8.0]
    assert weights_of(values, Average(last=0.75), split=3) == pytest.approx(
        weights_of(values, Average(last=0.75))
    )


def test_a_run_that_is_made_longer_begins_its_mean_again() -> None:
    model = nn.Linear(1, 1, bias=False)
    averager = Averager(Average(last=0.5))
    for value, share in ((1.0, 0.9), (2.0, 0.4), (3.0, 0.6), (5.0, 0.8)):
        model.weight.data.fill_(value)
        averager.add(model, share)
    assert float(averager.apply(model).weight) == 4.0


def test_a_run_leaves_the_mean_and_goes_on_from_its_last_weights(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    kept: list[dict[str, Any]] = []
    plain, folder = tmp_path / "plain", tmp_path / "average"
    recipe = tiny_recipe(6, save_every=1)

    def keep(line: Any) -> None:
        if "loss" in line and line["step"] > 1:  # the state is that after the step before
            kept.append(torch.load(plain / "state.pt", weights_only=True)["model"])

    train(recipe, plain, workers=0, report=keep)
    kept.append(torch.load(plain / "state.pt", weights_only=True)["model"])
    folder.mkdir()
    (folder / "tokenizer").symlink_to(plain / "tokenizer")
    train(tiny_recipe(6, save_every=1, average={"last": 0.5}), folder, workers=0)
    losses = [[line.get("loss") for line in log_of(place)] for place in (plain, folder)]
    assert losses[0] == losses[1][:-1], "averaging changed the training"
    state = torch.load(folder / "state.pt", weights_only=True)
    mean = load_model(folder / "model").state_dict()
    for name, weight in mean.items():
        assert torch.equal(state["model"][name], kept[-1][name])
        expected = torch.stack([weights[name] for weights in kept[-3:]]).mean(0)
        assert torch.allclose(weight.float(), expected, atol=0.01)
        if weight.dim() > 1:
            assert not torch.allclose(weight.float(), kept[-1][name], atol=1e-4)
