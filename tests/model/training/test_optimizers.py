"""Our Muon is PyTorch's, in the weights' own dtype."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from cwm_trace.model.modeling import CwmForCausalLM
from cwm_trace.model.training.optimizers import Muon, make_optimizers, orthogonalise
from cwm_trace.model.training.processes import Processes
from cwm_trace.model.training.recipe import Optimizer
from tests.model.training.runs import tiny_recipe


def test_singular_values_come_near_one() -> None:
    torch.manual_seed(0)
    for shape in [(32, 48), (48, 32), (1, 16), (16, 16)]:
        values = torch.linalg.svdvals(orthogonalise(torch.randn(*shape)))
        assert float(values.min()) > 0.3
        assert float(values.max()) < 1.3


def test_steps_equal_pytorchs() -> None:
    torch.manual_seed(0)
    ours, theirs = (nn.Parameter(torch.ones(24, 40)) for _ in range(2))
    mine = Muon([ours], momentum=0.95, weight_decay=0.1)
    mine.param_groups[0]["lr"] = 0.02
    oracle = torch.optim.Muon(
        [theirs], lr=0.02, momentum=0.95, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"
    )
    for _ in range(5):
        gradient = torch.randn(24, 40)
        for parameter, optimizer in ((ours, mine), (theirs, oracle)):
            parameter.grad = gradient.clone()
            optimizer.step()
    moved = float((theirs.detach() - 1).abs().max())
    assert moved > 0.02
    assert float((ours - theirs).detach().abs().max()) < 0.05 * moved  # theirs is bfloat16 inside


class OneOf(Processes):
    """A process whose others have nothing to add, which shows what it gave them."""

    def __init__(self, rank: int, count: int) -> None:
        super().__init__()
        self.rank, self.count = rank, count
        self.given: list[torch.Tensor] = []

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        self.given.append(tensor)
        return tensor


@pytest.mark.parametrize("count", [2, 3])
def test_processes_share_the_updates(count: int) -> None:
    shapes = [(8, 12), (12, 8), (8, 8), (4, 8), (8, 4)]
    generator = torch.Generator().manual_seed(0)
    gradients = [torch.randn(shape, generator=generator) for shape in shapes]

    def moved(processes: Processes) -> list[torch.Tensor]:
        weights = [nn.Parameter(torch.zeros(shape)) for shape in shapes]
        optimizer = Muon(weights, momentum=0.9, weight_decay=0.0, processes=processes)
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient
        optimizer.param_groups[0]["lr"] = 1.0
        optimizer.step()
        return [weight.detach() for weight in weights]

    parts = [OneOf(rank, count) for rank in range(count)]
    every = [moved(part) for part in parts]
    for number, whole in enumerate(moved(Processes())):
        by_rank = [mine[number] for mine in every]
        assert [bool(part.any()) for part in by_rank] == [number % count == rank for rank in range(count)]
        assert torch.equal(torch.stack(by_rank).sum(0), whole)
    assert all(len(part.given) == 1 for part in parts)


def test_every_weight_has_one_optimizer() -> None:
    model = CwmForCausalLM(tiny_recipe().model.config(vocab_size=400, pad_token_id=1))
    for kind in ("adamw", "muon"):
        optimizers = make_optimizers(model, Optimizer.model_validate({"kind": kind}))
        groups = [group for optimizer in optimizers for group in optimizer.param_groups]
        seen = [parameter for group in groups for parameter in group["params"]]
        assert {id(parameter) for parameter in seen} == {id(parameter) for parameter in model.parameters()}
        assert len(seen) == len(set(map(id, seen)))
        decayed = {id(p) for group in groups if group["weight_decay"] for p in group["params"]}
        assert decayed == {id(p) for p in model.parameters() if p.ndim == 2}
