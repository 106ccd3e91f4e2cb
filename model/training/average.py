"""The mean of the weights over the last stretch of a run (Izmailov et al. 2018, arXiv:1803.05407).

With a decay it becomes an exponential moving average: the weights of long ago are forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from cwm_trace.model.training.recipe import Average
from cwm_trace.model.training.state import set_trained_weights, trained_weights

_M = TypeVar("_M", bound=nn.Module)


class Averager:
    """Takes the mean of trained weights while a run goes on.

    Args:
        plan: over which part of the run, and whether it forgets.
        state: of an earlier one, to go on from.
    """

    def __init__(self, plan: Average, state: Mapping[str, Any] | None = None) -> None:
        self._plan = plan
        self.count: int = state["count"] if state else 0
        """Weights that are in the mean."""
        self._mean: dict[str, Tensor] = dict(state["mean"]) if state else {}

    @torch.no_grad()
    def add(self, model: nn.Module, share: float) -> None:
        """Take the weights after a step into the mean.

        Args:
            model: that is trained.
            share: of the run that is done, from 0 to 1.
        """
        if share <= 1 - self._plan.last:
            self.count, self._mean = 0, {}  # the run has been made longer: what was late is early now
            return
        self.count += 1
        part = max(1 / self.count, 1 - self._plan.decay)
        for name, weight in trained_weights(model).items():
            if self.count == 1 or not weight.is_floating_point():
                self._mean[name] = weight.detach().clone()
            else:
                self._mean[name].lerp_(weight.detach().to(self._mean[name].device), part)

    def apply(self, model: _M) -> _M:
        """Give a model the mean, and the model back; without a mean it keeps its weights."""
        if self.count:
            set_trained_weights(model, self._mean)
        return model

    def state(self) -> dict[str, Any]:
        """What another one needs to go on: tensors and plain data."""
        return {"count": self.count, "mean": self._mean}
