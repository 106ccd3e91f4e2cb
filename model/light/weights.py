"""The weights of a checkpoint as NumPy arrays in float32, whatever they are stored in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.safetensors_files import StoredTensor

Array = npt.NDArray[np.float32]

_STORED: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
}


def read_arrays(stored: Mapping[str, StoredTensor], names: Iterable[str]) -> dict[str, Array]:
    """Read tensors of a checkpoint, whose headers have been checked.

    NumPy has no bfloat16, which is the upper half of a float32.

    Raises:
        CwmTraceError: a file cannot be read, or a tensor does not hold floating point numbers.
    """
    return {name: _read(name, stored[name]) for name in names}


def _read(name: str, tensor: StoredTensor) -> Array:
    kind = _STORED.get(tensor.dtype)
    if kind is None:
        raise CwmTraceError(
            f"{tensor.path} holds {name} as {tensor.dtype}: weights are read from {', '.join(_STORED)}"
        )
    try:
        numbers: npt.NDArray[Any] = np.frombuffer(tensor.read(), kind)
    except OSError as error:
        raise CwmTraceError(f"cannot read {tensor.path}: {error.strerror}") from error
    if tensor.dtype == "BF16":
        numbers = (numbers.astype(np.uint32) << 16).view(np.float32)
    return numbers.astype(np.float32, copy=False).reshape(tensor.shape)
