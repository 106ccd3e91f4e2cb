"""The processes that train together: this one alone, or as many as `torchrun` began.

Each holds the whole model and takes its own rows of every batch; gradients, sums and the wish to stop are
shared (data-parallel training, through `accelerate`). Models that do not fit one device are not covered.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor

from cwm_trace.errors import CwmTraceError


class Processes:
    """One process, which is all there is.

    Args:
        device: where the model is.
    """

    rank = 0
    """Number of this process."""
    count = 1
    """Processes in all."""

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes files."""
        return self.rank == 0

    def wrap(self, model: Any) -> Any:
        """The model whose gradients are the mean of those of all processes; weights are the first one's."""
        return model

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over all processes."""
        return tensor

    def gather(self, thing: Any) -> list[Any]:
        """What each process has, in order."""
        return [thing]

    def one_first(self) -> AbstractContextManager[None]:
        """The first process does what is inside before the others do."""
        return nullcontext()

    def total(self, number: int) -> int:
        """The sum of a number over all processes."""
        return int(self.sum(torch.tensor(number, device=self.device)))

    def any(self, flag: bool) -> bool:
        """Whether it is true in any process."""
        return self.total(flag) > 0

    def share(self, rows: int) -> int:
        """Rows of a batch that each process takes.

        Raises:
            CwmTraceError: they cannot be shared evenly.
        """
        if rows % self.count:
            raise CwmTraceError(
                f"{rows} rows cannot be shared evenly by {self.count} processes: change the rows of the phase"
                " or the number of processes"
            )
        return rows // self.count

    def autocast(self, precision: str) -> AbstractContextManager[Any]:
        """The context that a forward pass runs in."""
        return torch.autocast(self.device.type, torch.bfloat16) if precision == "bf16" else nullcontext()

    def random_state(self) -> Tensor:
        """Of the generator that dropout draws from."""
        if self.device.type == "cuda":
            return torch.cuda.get_rng_state(self.device)
        return torch.get_rng_state()

    def set_random_state(self, state: Tensor) -> None:
        """Set it; the state of another kind of device is left out."""
        if state.shape != self.random_state().shape:
            return
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(state, self.device)
        else:
            torch.set_rng_state(state)


ALONE = Processes()
"""This process, on the CPU."""


class _Together(Processes):
    """One of several.

    Args:
        accelerator: an `accelerate.Accelerator`.
    """

    def __init__(self, accelerator: Any) -> None:
        super().__init__(accelerator.device)
        self._accelerator = accelerator
        self.rank, self.count = accelerator.process_index, accelerator.num_processes

    def wrap(self, model: Any) -> Any:
        return self._accelerator.prepare_model(model)

    def sum(self, tensor: Tensor) -> Tensor:
        total: Tensor = self._accelerator.reduce(tensor, "sum")
        return total

    def gather(self, thing: Any) -> list[Any]:
        from accelerate.utils import gather_object

        return list(gather_object([thing]))

    def one_first(self) -> AbstractContextManager[None]:
        first: AbstractContextManager[None] = self._accelerator.main_process_first()
        return first


@contextmanager
def join_processes() -> Iterator[Processes]:
    """Find the processes that `torchrun` began, as its variables say; without it this one is alone.

    Raises:
        CwmTraceError: there are several and no `accelerate`, or it is set up to split the model.
    """
    on_gpu = torch.cuda.is_available()
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Processes("cuda" if on_gpu else "cpu")
        return
    try:
        from accelerate import Accelerator
    except ModuleNotFoundError as error:
        raise CwmTraceError(
            f"training in several processes needs {error.name}, which is not installed:"
            " pip install 'cwm-trace[finetune]'"
        ) from error
    accelerator = Accelerator(cpu=not on_gpu, mixed_precision="no")  # `autocast` is entered by the loop
    kind = accelerator.distributed_type.value
    if kind not in ("MULTI_GPU", "MULTI_CPU"):
        raise CwmTraceError(
            f"accelerate is set up for {kind}, and training here is data-parallel only: use torchrun"
        )
    try:
        yield _Together(accelerator)
    finally:
        accelerator.end_training()


@contextmanager
def stop_signals() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM instead of dying of them; a second one is as usual."""
    caught: list[int] = []

    def note(number: int, _: object) -> None:
        caught.append(number)
        signal.signal(number, before[signal.Signals(number)])

    try:
        before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not the main thread: whoever is, decides
        yield caught
        return
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def set_threads(count: int | None) -> None:
    """Threads of the arithmetic; None: one for each core, shared by the processes that `torchrun` began."""
    beside = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    torch.set_num_threads(count or max(1, (os.cpu_count() or 1) // beside))
