"""The kernels compiled by g++ and run by `simt/simt.cpp`, which says what it checks."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch

from cwm_trace.model.attention.cubins import SOURCES

SIMT = Path(__file__).parent / "simt"
BUILD = Path(__file__).parents[3] / "build" / "attention"
FLAGS = ("-std=c++17", "-fPIC", "-Wno-unknown-pragmas", "-DCWM_SIMT", f"-I{SIMT}")


def why_not() -> str | None:
    """Return what the simulator lacks on this machine."""
    if platform.machine() != "x86_64":
        return f"the simulator switches fibers in x86-64 assembly, this is {platform.machine()}"
    return None if shutil.which("g++") else "g++ is not installed (Debian: apt-get install g++)"


def _compile(source: Path, *flags: str, optimise: str = "-O2") -> Path:
    """Compile to an object file, named after all that goes into it; whoever comes first builds it for all."""
    texts = [
        path.read_bytes()
        for folder in (SIMT, *(Path(flag[2:]) for flag in flags if flag.startswith("-I")))
        for path in sorted(folder.iterdir())
        if path.is_file()
    ]
    command = ["g++", optimise, *FLAGS, *flags]
    key = hashlib.sha256(b"\0".join([" ".join(command).encode(), *texts])).hexdigest()[:16]
    return _build(BUILD / f"{source.stem}-{key}.o", [*command, "-c", str(source)])


def _build(path: Path, command: list[str]) -> Path:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent)
        os.close(handle)
        try:
            subprocess.run([*command, "-o", temporary], check=True, capture_output=True, text=True)
            os.replace(temporary, path)
        except subprocess.CalledProcessError as error:
            os.unlink(temporary)
            raise AssertionError(error.stderr) from error
    return path


@cache
def build(
    head_dim: int, dtype: torch.dtype, sources: Path = SOURCES, optimise: str = "-O2", folder: Path = BUILD
) -> Any:
    """Compile one variant of the kernels and load it."""
    variant = (f"-I{sources}", f"-DCWM_HEAD_DIM={head_dim}", f"-DCWM_FP16={int(dtype == torch.float16)}")
    objects = [
        _compile(SIMT / "simt.cpp", optimise="-O3"),
        _compile(SIMT / "kernels.cpp", *variant, optimise=optimise),
    ]
    key = hashlib.sha256(" ".join(map(str, objects)).encode()).hexdigest()[:16]
    path = _build(folder / f"simt-{key}.so", ["g++", "-shared", *map(str, objects)])
    library = ctypes.CDLL(str(path))
    library.simt_buffer.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_bool]
    library.simt_launch.argtypes = [ctypes.c_char_p, *[ctypes.c_int] * 4, ctypes.c_void_p]
    return library


@dataclass
class Statistics:
    """What was counted since `begin`."""

    mma: int
    ldmatrix: int
    bank_conflicts: int
    shared_phases: int
    copied_bytes: int
    blocks: int
    barriers: int
    switches: int


class Simulator:
    """An engine for `FakeDriver`: runs kernels in an order drawn from `seed`."""

    def __init__(self, seed: int = 1, sources: Path = SOURCES, optimise: str = "-O2") -> None:
        self.seed, self.sources, self.optimise = seed, sources, optimise
        self._library: Any = None

    def load(self, head_dim: int, dtype: torch.dtype) -> None:
        self._library = build(head_dim, dtype, self.sources, self.optimise)

    def begin(self, buffers: list[tuple[int, int, str, bool]]) -> None:
        """Forget everything and know these buffers: address, bytes, name, whether kernels write it."""
        self._library.simt_begin(self.seed)
        for address, size, name, output in buffers:
            self._library.simt_buffer(address, size, name.encode(), output)

    def launch(self, kernel: str, grid: tuple[int, int], threads: int, shared: int, argument: int) -> None:
        self._library.simt_launch(kernel.encode(), *grid, threads, shared, argument)

    def errors(self) -> list[str]:
        text = ctypes.create_string_buffer(1 << 15)
        self._library.simt_errors(text, len(text))
        return text.value.decode().splitlines()

    def statistics(self) -> Statistics:
        numbers = (ctypes.c_longlong * 8)()
        self._library.simt_statistics(numbers)
        return Statistics(*numbers)
