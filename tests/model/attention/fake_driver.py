"""A GPU made of a CPU: CPU tensors for device memory, and a driver that hands launches to an engine.

`Driver` calls it through C function pointers, as it calls the real one, so that arguments take the same way.
The engines are the simulator and the emulator.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import CFUNCTYPE, POINTER, c_char_p, c_int, c_void_p
from types import SimpleNamespace
from typing import Any, Protocol

import torch
from torch import Tensor

from cwm_trace.model.attention import kernels as kernels_module
from cwm_trace.model.attention.cuda_driver import PROTOTYPES, Driver
from cwm_trace.model.attention.kernels import Kernels

STREAM = 77
"""Handle of the stream that everything should be launched on."""
CUDA_ELF = 190
"""e_machine of a cubin."""
INVALID_VALUE, INVALID_IMAGE, NOT_FOUND = 1, 200, 500
NAMES = ("attend_128", "attend_64", "attend_16", "combine_parts")


class Engine(Protocol):
    """What runs kernels."""

    def load(self, head_dim: int, dtype: torch.dtype) -> None:
        """Make this variant of the kernels the current one."""

    def begin(self, buffers: list[tuple[int, int, str, bool]]) -> None:
        """Forget everything and know these buffers: address, bytes, name, whether kernels write it."""

    def launch(self, kernel: str, grid: tuple[int, int], threads: int, shared: int, argument: int) -> None:
        """Run a kernel to its end; `argument` is the address of its structure."""

    def errors(self) -> list[str]:
        """Return what was wrong since `begin`."""


class FakeDriver:
    """The functions of libcuda that are called, with the limits of a real GPU."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.images: list[dict[str, bytes]] = []
        self.launches: list[tuple[str, tuple[int, int], int]] = []
        functions = {
            "cuModuleLoadData": self._load,
            "cuModuleGetFunction": self._find,
            "cuLaunchKernel": self._launch,
            "cuGetErrorString": self._explain,
        }
        self.library = SimpleNamespace()
        for name, function in functions.items():
            # bytes stay pointers on this side: a cubin is no text that ends at a zero
            types = [c_void_p if kind is c_char_p else kind for kind in PROTOTYPES[name]]
            prototype: Any = CFUNCTYPE(c_int, *types)
            setattr(self.library, name, prototype(function))

    def _load(self, module: Any, image: int) -> int:
        code = read_code(image)
        expected: bytes = getattr(self.engine, "cubin", b"")
        if code is None or code != read_code(ctypes.cast(c_char_p(expected), c_void_p).value or 0):
            return INVALID_IMAGE  # not what the same sources give when they are compiled once more
        self.images.append(code)
        module[0] = len(self.images)
        return 0

    def _find(self, function: Any, module: int, name: int) -> int:
        text = ctypes.string_at(name).decode()
        if text not in NAMES or not 0 < module <= len(self.images):
            return NOT_FOUND
        function[0] = 1 + NAMES.index(text)
        return 0

    def _launch(self, function: int, *rest: Any) -> int:
        *size, shared, stream, arguments, extra = rest
        x, y, z, *threads = size
        legal = 0 < x < 2**31 and 0 < y < 2**16 and z == 1 and threads == [128, 1, 1] and shared <= 48 << 10
        if not (legal and stream == STREAM and not extra and 0 < function <= len(NAMES)):
            return INVALID_VALUE
        name = NAMES[function - 1]
        self.launches.append((name, (x, y), shared))
        self.engine.launch(name, (x, y), threads[0], shared, arguments[0])
        return 0

    def _explain(self, code: int, text: Any) -> int:
        message = {INVALID_VALUE: b"invalid argument", INVALID_IMAGE: b"device kernel image is invalid"}
        self._kept = ctypes.create_string_buffer(message.get(code, b"named symbol not found"))
        ctypes.cast(text, POINTER(c_void_p))[0] = ctypes.addressof(self._kept)
        return 0


class EmulatedKernels(Kernels):
    """Kernels that an engine runs.

    Args:
        engine: Simulator or emulator.
        capability: Of the GPU that is emulated.
        nvrtc: Build, cache and load the cubin as on a real one; the simulator needs none of it.
        multiprocessors: Of the GPU.
    """

    def __init__(
        self, engine: Engine, capability: int = 90, nvrtc: bool = False, multiprocessors: int = 4
    ) -> None:
        self.fake = FakeDriver(engine)
        self.engine = engine
        self.nvrtc = nvrtc
        self.errors: list[str] = []
        self.steps = 0
        """How often attention came here."""
        driver = Driver(self.fake.library)
        super().__init__(torch.device("cpu"), driver, capability, multiprocessors, lambda: STREAM)

    def _build(self, head_dim: int, dtype: torch.dtype) -> dict[str, c_void_p] | None:
        if self.nvrtc:
            self.engine.load(head_dim, dtype)
            return super()._build(head_dim, dtype)
        if head_dim not in (32, 64, 128) or dtype not in (torch.bfloat16, torch.float16):
            return super()._build(head_dim, dtype)
        return {name: c_void_p(1 + index) for index, name in enumerate(NAMES)}

    def watch(self, reads: dict[str, Tensor | None], writes: dict[str, Tensor]) -> None:
        q = reads["q"]
        assert q is not None
        self.engine.load(q.shape[2], q.dtype)
        self.steps += 1
        for name, x in writes.items():
            if name.startswith("part"):
                x.fill_(torch.nan)  # whatever is left over from earlier
        spans = [span(name, x, False) for name, x in reads.items() if x is not None and x.numel()]
        spans += [span(name, x, True) for name, x in writes.items() if x.numel()]
        self.engine.begin(joined(spans))

    def launch(self, *arguments: Any, **options: Any) -> None:
        super().launch(*arguments, **options)
        self.errors += self.engine.errors()


def read_code(image: int) -> dict[str, bytes] | None:
    """Return the machine code of each kernel in the cubin at an address; None if there is no cubin.

    A cubin is an ELF file; its other sections tell when and how it was made, and may differ.
    """
    header = ctypes.string_at(image, 64)
    if header[:4] != b"\x7fELF" or struct.unpack_from("<H", header, 18)[0] != CUDA_ELF:
        return None
    (table,) = struct.unpack_from("<Q", header, 40)
    size, count, names_at = struct.unpack_from("<HHH", header, 58)
    sections = [
        struct.unpack_from("<IIQQQQ", ctypes.string_at(image + table + i * size, size)) for i in range(count)
    ]
    names = sections[names_at][4]
    found = {ctypes.string_at(image + names + name).decode(): (at, n) for name, _, _, _, at, n in sections}
    return {
        name.removeprefix(".text."): ctypes.string_at(image + at, n)
        for name, (at, n) in found.items()
        if name.startswith(".text.")
    }


Span = tuple[int, int, str, bool]


def span(name: str, x: Tensor, output: bool) -> Span:
    """Return the bytes from a tensor's first element to its last."""
    last = sum((size - 1) * stride for size, stride in zip(x.shape, x.stride(), strict=True))
    return x.data_ptr(), (last + 1) * x.element_size(), name, output


def joined(spans: list[Span]) -> list[Span]:
    """Join what overlaps, as keys and values in one tensor do."""
    result: list[Span] = []
    for address, size, name, output in sorted(spans):
        if result and address < result[-1][0] + result[-1][1]:
            begin, length, names, other = result.pop()
            assert not output, f"{names} and {name} overlap"
            assert not other, f"{names} and {name} overlap"
            end = max(begin + length, address + size)
            result.append((begin, end - begin, f"{names} and {name}", False))
        else:
            result.append((address, size, name, output))
    return result


@contextmanager
def installed(kernels: Kernels) -> Iterator[None]:
    """Let attention on CPU tensors go through these kernels."""
    cpu = torch.device("cpu")
    before = kernels_module._kernels[cpu]
    kernels_module._kernels[cpu] = kernels
    try:
        yield
    finally:
        kernels_module._kernels[cpu] = before
