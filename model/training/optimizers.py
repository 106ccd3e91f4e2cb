"""AdamW, or Muon for the matrices inside the layers and AdamW for the rest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from cwm_trace.model.training.processes import ALONE, Processes
from cwm_trace.model.training.recipe import Optimizer

_QUINTIC = (3.4445, -4.7750, 2.0315)
"""Coefficients that bring singular values near 1 in few steps (Jordan, kellerjordan.github.io/posts/muon)."""


def make_optimizers(
    model: nn.Module, settings: Optimizer, processes: Processes = ALONE
) -> list[torch.optim.Optimizer]:
    """Optimisers of all weights that are trained; their learning rate is set before every step."""
    inner, matrices, vectors = [], [], []
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        if parameter.ndim < 2:
            vectors.append(parameter)
        elif settings.kind == "muon" and ".layers." in name:
            inner.append(parameter)
        else:
            matrices.append(parameter)
    groups = [
        {"params": matrices, "weight_decay": settings.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    optimizers: list[torch.optim.Optimizer] = [torch.optim.AdamW(groups, betas=settings.betas, fused=True)]
    if inner:
        optimizers.append(Muon(inner, settings.momentum, settings.weight_decay, processes))
    return optimizers


class Muon(torch.optim.Optimizer):
    """Momentum whose update of a matrix is made orthogonal, and scaled so that AdamW's learning rates fit.

    As `torch.optim.Muon` with `adjust_lr_fn="match_rms_adamw"` (Liu et al. 2025, arXiv:2502.16982), but in
    the weights' own dtype: that one's bfloat16 takes longer than the gradient on CPUs that do not have it.

    Args:
        matrices: the weights.
        momentum: share of the old direction that is kept.
        weight_decay: of the weights, times the learning rate.
        processes: that train together; each makes its share of the updates.
    """

    def __init__(
        self, matrices: Iterable[Tensor], momentum: float, weight_decay: float, processes: Processes = ALONE
    ) -> None:
        super().__init__(matrices, {"lr": 0.0, "momentum": momentum, "weight_decay": weight_decay})
        self._processes = processes

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Take a step along the gradients."""
        assert closure is None, "gradients are taken once"
        for group in self.param_groups:
            matrices = [matrix for matrix in group["params"] if matrix.grad is not None]
            for matrix, update in zip(matrices, self._updates(matrices, group["momentum"]), strict=True):
                matrix.mul_(1 - group["lr"] * group["weight_decay"])
                matrix.add_(update, alpha=-0.2 * group["lr"] * max(matrix.shape) ** 0.5)

    def _updates(self, matrices: list[Tensor], momentum: float) -> list[Tensor]:
        """The update of each matrix, before it is scaled."""
        count, rank = self._processes.count, self._processes.rank
        updates = []
        for number, matrix in enumerate(matrices):
            assert matrix.grad is not None
            direction = self.state[matrix].setdefault("momentum_buffer", torch.zeros_like(matrix))
            direction.lerp_(matrix.grad, 1 - momentum)
            if number % count == rank:
                updates.append(orthogonalise(matrix.grad.lerp(direction, momentum)))  # Nesterov's
            else:
                updates.append(torch.zeros_like(matrix))
        if count == 1 or not updates:
            return updates
        every = self._processes.sum(torch.cat([update.flatten() for update in updates]))
        sizes = [matrix.numel() for matrix in matrices]
        return [
            part.view_as(matrix) for part, matrix in zip(torch.split(every, sizes), matrices, strict=True)
        ]


def orthogonalise(matrix: Tensor, steps: int = 5) -> Tensor:
    """Bring the singular values of `matrix` near 1 by Newton-Schulz steps, keeping its singular vectors."""
    a, b, c = _QUINTIC
    is_tall = matrix.shape[0] > matrix.shape[1]
    x: Tensor = matrix.T if is_tall else matrix
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if is_tall else x
