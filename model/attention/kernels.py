"""The CUDA kernels of a device: built on first use, found again by every layer, or the reason why not.

Whatever is missing (NVRTC, the driver, a GPU that is new enough, a shape the kernels take) is logged once, as
one line with the reason; attention then runs by PyTorch's operations.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from ctypes import Structure, c_void_p
from typing import Any

import torch
from torch import Tensor

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.attention.cubins import DTYPES, HEAD_DIMS, build_cubin, log
from cwm_trace.model.attention.cuda_driver import Driver, find_driver
from cwm_trace.model.attention.work import MOST_HEADS, THREADS

_OLDEST = 80
"""Compute capability of the first GPUs with bf16 tensor cores and cp.async: Ampere."""


class Kernels:
    """The kernels of one device.

    Args:
        device: Where tensors are.
        driver: That launches.
        capability: Of the GPU, as 80 or 120.
        multiprocessors: Of the GPU.
        stream: Returns the stream to launch on.
    """

    def __init__(
        self,
        device: torch.device,
        driver: Driver,
        capability: int,
        multiprocessors: int,
        stream: Callable[[], int],
    ) -> None:
        self.device = device
        self.capability = capability
        self.blocks = 2 * multiprocessors
        """Blocks that keep the GPU busy: two fit a multiprocessor."""
        self._driver = driver
        self._stream = stream
        self._functions: dict[tuple[int, torch.dtype], dict[str, c_void_p] | None] = {}

    def takes(self, q: Tensor, keys: Tensor) -> bool:
        """Say whether there are kernels for these tensors; build them if so."""
        kind = q.shape[2], q.dtype
        if kind not in self._functions:
            self._functions[kind] = self._build(*kind)
        if self._functions[kind] is None:
            return False
        if q.shape[1] // keys.shape[2] > MOST_HEADS:
            refuse(self.device, f"{q.shape[1]} query heads on {keys.shape[2]} key heads")
            return False
        return True

    def _build(self, head_dim: int, dtype: torch.dtype) -> dict[str, c_void_p] | None:
        if head_dim not in HEAD_DIMS or dtype not in DTYPES:
            name = str(dtype).removeprefix("torch.")
            refuse(
                self.device, f"head_dim {head_dim} in {name}: they take 32, 64, 128 in bfloat16 or float16"
            )
            return None
        try:
            with self.current():
                module = self._driver.load(build_cubin(head_dim, dtype, self.capability))
                names = ("attend_128", "attend_64", "attend_16", "combine_parts")
                return {name: self._driver.find(module, name) for name in names}
        except CwmTraceError as error:
            refuse(self.device, str(error))
            return None

    def current(self) -> contextlib.AbstractContextManager[Any]:
        """Make the device the current one."""
        return torch.cuda.device(self.device) if self.device.type == "cuda" else contextlib.nullcontext()

    def watch(self, reads: dict[str, Tensor | None], writes: dict[str, Tensor]) -> None:
        """Take note of what the next launches read and write: emulators in tests check every access."""

    def launch(
        self,
        kernel: str,
        head_dim: int,
        dtype: torch.dtype,
        grid: tuple[int, int],
        shared_bytes: int,
        argument: Structure,
    ) -> None:
        """Launch a kernel of one variant on the current stream; `takes` must have said yes."""
        functions = self._functions[head_dim, dtype]
        assert functions is not None
        self._driver.launch(functions[kernel], grid, THREADS, shared_bytes, self._stream(), argument)


_kernels: dict[torch.device, Kernels | None] = {torch.device("cpu"): None}
"""Of each device that was asked for; tests put an emulated GPU in the place of the CPU."""
_refused: set[tuple[torch.device, str]] = set()


def refuse(device: torch.device, reason: str) -> None:
    """Log, once for each reason, that PyTorch's operations take over."""
    if (device, reason) not in _refused:
        _refused.add((device, reason))
        log.warning("no CUDA attention kernels on %s, PyTorch's operations instead: %s", device, reason)


def find_kernels(q: Tensor, *stores: Tensor) -> Kernels | None:
    """Return the kernels for these tensors; None if they are on a CPU, cannot run, or gradients are wanted.

    Args:
        q: `(tokens, heads, head_dim)`.
        stores: Keys, then values and whatever else: `(stores, capacity, kv_heads, head_dim)`.
    """
    device = q.device
    if device not in _kernels:
        _kernels[device] = _open(device)
    kernels = _kernels[device]
    if kernels is None or not q.numel():
        return None
    if torch.is_grad_enabled() and (q.requires_grad or any(store.requires_grad for store in stores)):
        return None  # they have no backward pass
    return kernels if kernels.takes(q, stores[0]) else None


def _open(device: torch.device) -> Kernels | None:
    if device.type != "cuda":
        return None
    try:
        if torch.version.hip:
            raise CwmTraceError("this is a ROCm build of torch")
        about = torch.cuda.get_device_properties(device)
        capability = 10 * about.major + about.minor
        if capability < _OLDEST:
            raise CwmTraceError(f"sm_{capability} is older than sm_{_OLDEST}")
        stream = lambda: torch.cuda.current_stream(device).cuda_stream  # noqa: E731
        return Kernels(device, find_driver(), capability, about.multi_processor_count, stream)
    except CwmTraceError as error:
        refuse(device, str(error))
        return None
