"""NVRTC, the compiler of CUDA C++ that a CUDA build of torch brings, through ctypes."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from cwm_trace.errors import CwmTraceError


@dataclass(frozen=True, slots=True)
class Program:
    """What came out of a compilation."""

    cubin: bytes
    ptx: str
    log: str


class Nvrtc:
    """The library, loaded.

    Args:
        library: From `ctypes.CDLL`.
    """

    def __init__(self, library: Any) -> None:
        self._library = library
        major, minor = ctypes.c_int(), ctypes.c_int()
        self._check("nvrtcVersion", ctypes.byref(major), ctypes.byref(minor))
        self.version = f"{major.value}.{minor.value}"

    def architectures(self) -> list[int]:
        """Return what it can compile for, as 80 or 120."""
        count = ctypes.c_int()
        self._check("nvrtcGetNumSupportedArchs", ctypes.byref(count))
        archs = (ctypes.c_int * count.value)()
        self._check("nvrtcGetSupportedArchs", archs)
        return sorted(archs)

    def compile(self, name: str, sources: Mapping[str, str], options: Sequence[str]) -> Program:
        """Compile one of several sources; the others are what it includes.

        Args:
            name: Of the one to compile.
            sources: Texts by file name.
            options: As for nvcc.

        Raises:
            CwmTraceError: It does not compile; with the first line of the compiler's log that says why.
        """
        headers = {key: text for key, text in sources.items() if key != name}
        program = ctypes.c_void_p()
        self._check(
            "nvrtcCreateProgram",
            ctypes.byref(program),
            sources[name].encode(),
            name.encode(),
            ctypes.c_int(len(headers)),
            _strings(headers.values()),
            _strings(headers),
        )
        try:
            code = self._library.nvrtcCompileProgram(program, ctypes.c_int(len(options)), _strings(options))
            log = self._fetch(program, "ProgramLog").decode(errors="replace")
            if code:
                said = next((line for line in log.splitlines() if "error" in line), f"code {code}")
                raise CwmTraceError(f"NVRTC {self.version} cannot compile {name}: {said}")
            return Program(self._fetch(program, "CUBIN"), self._fetch(program, "PTX").decode(), log)
        finally:
            self._library.nvrtcDestroyProgram(ctypes.byref(program))

    def _fetch(self, program: ctypes.c_void_p, what: str) -> bytes:
        size = ctypes.c_size_t()
        self._check(f"nvrtcGet{what}Size", program, ctypes.byref(size))
        buffer = ctypes.create_string_buffer(max(1, size.value))
        self._check(f"nvrtcGet{what}", program, buffer)
        return buffer.raw if what == "CUBIN" else buffer.value

    def _check(self, function: str, *arguments: Any) -> None:
        code = getattr(self._library, function)(*arguments)
        if code:
            raise CwmTraceError(f"{function} failed with code {code}")


def _strings(texts: Any) -> Any:
    encoded = [text.encode() for text in texts]
    return (ctypes.c_char_p * len(encoded))(*encoded)


def _places() -> Iterator[str]:
    """Where it may be: in wheels (nvidia/cu13/lib, of CUDA 12 nvidia/cuda_nvrtc/lib), then in the system."""
    for folder in ("cu*", "cuda_nvrtc"):
        for entry in sys.path:
            found = Path(entry).glob(f"nvidia/{folder}/lib/libnvrtc.so.*")
            yield from sorted((str(path) for path in found), reverse=True)
    yield from ("libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so")


def _open(place: str) -> Nvrtc | None:
    try:
        for builtins in Path(place).parent.glob("libnvrtc-builtins.so.*"):  # NVRTC opens it by its bare name
            ctypes.CDLL(str(builtins), mode=ctypes.RTLD_GLOBAL)
        return Nvrtc(ctypes.CDLL(place))
    except OSError:
        return None


@cache
def find_nvrtc() -> Nvrtc:
    """Load NVRTC from the wheels on `sys.path`, else from the system.

    Raises:
        CwmTraceError: There is none.
    """
    for place in _places():
        nvrtc = _open(place)
        if nvrtc is not None:
            return nvrtc
    raise CwmTraceError("NVRTC is missing: install a CUDA build of torch, or `pip install nvidia-cuda-nvrtc`")
