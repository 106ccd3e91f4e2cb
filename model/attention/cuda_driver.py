"""The CUDA driver through ctypes: load a cubin, find a kernel, launch it."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_char_p, c_int, c_uint, c_void_p
from typing import Any

from cwm_trace.errors import CwmTraceError

PROTOTYPES: dict[str, list[Any]] = {
    "cuModuleLoadData": [POINTER(c_void_p), c_char_p],
    "cuModuleGetFunction": [POINTER(c_void_p), c_void_p, c_char_p],
    "cuLaunchKernel": [c_void_p, *[c_uint] * 7, c_void_p, POINTER(c_void_p), POINTER(c_void_p)],
    "cuGetErrorString": [c_int, POINTER(c_char_p)],
}
"""Arguments of the functions that are called; all return a code, 0 for success."""


class Driver:
    """The driver's library, with the types of its functions set.

    Args:
        library: `libcuda`, or what stands in for it.
    """

    def __init__(self, library: Any) -> None:
        self._functions: dict[str, Any] = {}
        for name, types in PROTOTYPES.items():
            function = getattr(library, name)
            function.argtypes, function.restype = types, c_int
            self._functions[name] = function

    def load(self, cubin: bytes) -> c_void_p:
        """Load a module into the current context."""
        module = c_void_p()
        self._call("cuModuleLoadData", ctypes.byref(module), cubin)
        return module

    def find(self, module: c_void_p, kernel: str) -> c_void_p:
        """Find a kernel by name."""
        function = c_void_p()
        self._call("cuModuleGetFunction", ctypes.byref(function), module, kernel.encode())
        return function

    def launch(
        self,
        function: c_void_p,
        grid: tuple[int, int],
        threads: int,
        shared_bytes: int,
        stream: int,
        argument: ctypes.Structure,
    ) -> None:
        """Launch a kernel that takes one structure.

        Raises:
            CwmTraceError: The driver refuses; or an earlier kernel has failed.
        """
        pointers = (c_void_p * 1)(ctypes.addressof(argument))
        size = (*grid, 1, threads, 1, 1)
        self._call("cuLaunchKernel", function, *size, shared_bytes, stream or None, pointers, None)

    def _call(self, name: str, *arguments: Any) -> None:
        code = self._functions[name](*arguments)
        if code:
            text = c_char_p()
            self._functions["cuGetErrorString"](code, ctypes.byref(text))
            said = (text.value or b"unknown error").decode()
            raise CwmTraceError(f"the CUDA driver's {name} failed with code {code}: {said}")


def find_driver() -> Driver:
    """Load the driver.

    Raises:
        CwmTraceError: There is none.
    """
    try:
        return Driver(ctypes.CDLL("libcuda.so.1"))
    except OSError as error:
        raise CwmTraceError(f"the CUDA driver cannot be loaded: {error}") from error
