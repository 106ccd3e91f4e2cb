"""Which phase and which learning rate a step has: by its number, or by the share of a time budget.

With a budget the numbers of steps in a recipe only say how long its phases are relative to each other. On any
machine the run then goes through all of them, however many steps it can take, and its decay ends in time.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from cwm_trace.model.training.processes import ALONE, Processes
from cwm_trace.model.training.recipe import Phase, Recipe

Clock = Callable[[], float]
"""Seconds since some moment."""


class Schedule:
    """The steps of a run, one after the other.

    Args:
        recipe: its phases.
        minutes: that training may take in all; None: as many steps as the phases have.
        spent: seconds that earlier stretches of this run took.
        expected: seconds that a step took there, see `expected`.
        clock: what time it is.
        processes: that train together; the clock of the first one counts.
    """

    def __init__(
        self,
        recipe: Recipe,
        minutes: float | None = None,
        spent: float = 0.0,
        expected: float = 0.0,
        clock: Clock = time.perf_counter,
        processes: Processes = ALONE,
    ) -> None:
        self._recipe, self._budget, self._processes = (
            recipe,
            None if minutes is None else 60 * minutes,
            processes,
        )
        self._clock, self._began = clock, clock() - spent
        self._step_began = 0.0
        self._took = expected  # seconds of the last step, without what was evaluated and saved after it
        self._expected = 0.0

    @property
    def seconds(self) -> float:
        """How long the run has taken, earlier stretches included."""
        return self._clock() - self._began

    @property
    def expected(self) -> float:
        """Seconds that the next step may take."""
        return max(self._took, 0.9 * self._expected)

    def next(self, step: int) -> tuple[Phase, float, float] | None:
        """The phase and the learning rate of the next step, and the share of the run that is done behind it.

        With a budget a step is begun if it is likely to end in time: if one that takes as long as the longest
        of late would. None: the run is over.

        Args:
            step: steps that were taken.
        """
        recipe = self._recipe
        if self._budget is None:
            if step >= recipe.steps:
                return None
            return *recipe.at(step + 1), (step + 1) / recipe.steps
        self._step_began = self.seconds
        now, self._expected = self._shared(self._step_began, self.expected)
        share = (now + self._expected) / self._budget
        return None if share > 1 else (*recipe.at(share * recipe.steps), share)

    def stepped(self) -> None:
        """A step is over."""
        self._took = self.seconds - self._step_began

    def _shared(self, *seconds: float) -> list[float]:
        """What the first process measured."""
        mine = torch.tensor(seconds, dtype=torch.float64, device=self._processes.device)
        measured: list[float] = self._processes.sum(mine if self._processes.is_first else 0 * mine).tolist()
        return measured
