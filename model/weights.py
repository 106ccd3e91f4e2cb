"""A checkpoint's weights as plain tensors: all that decoding needs, read without transformers.

transformers takes seconds to import, and its classes are needed only where they are asked for: in
`load_model`, in training, for rotary embeddings scaled in ways of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.safetensors_files import StoredTensor

_FLOATS = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


@dataclass(frozen=True, slots=True)
class Weights:
    """A model without its modules.

    Args:
        config: A `CwmConfig`, or what decoding reads of one.
        tensors: Every weight by the name that it has in a checkpoint; all of one dtype, on one device.
    """

    config: Any
    tensors: Mapping[str, Tensor]


def find_dtype(
    dtype: torch.dtype | str, config: Mapping[str, Any], stored: Mapping[str, StoredTensor]
) -> torch.dtype:
    """Say which dtype the weights are to have; `auto` is what the configuration says, or else the files.

    Raises:
        CwmTraceError: There is no such dtype of floating point numbers.
    """
    if dtype == "auto":
        named = config.get("dtype") or config.get("torch_dtype")
        kinds = (_FLOATS[tensor.dtype] for tensor in stored.values() if tensor.dtype in _FLOATS)
        dtype = named or next(kinds, torch.float32)
    found = dtype if isinstance(dtype, torch.dtype) else getattr(torch, str(dtype), None)
    if not isinstance(found, torch.dtype) or not found.is_floating_point:
        known = ", ".join(str(each).removeprefix("torch.") for each in _FLOATS.values())
        raise CwmTraceError(f"there is no dtype {str(dtype)!r} for weights: take one of {known}, or auto")
    return found


def read_tensors(
    stored: Mapping[str, StoredTensor], names: list[str], dtype: torch.dtype
) -> dict[str, Tensor]:
    """Read tensors of a checkpoint, whose headers have been checked, into memory.

    Raises:
        CwmTraceError: A file cannot be read.
    """
    tensors: dict[str, Tensor] = {}
    path = None
    try:
        for path in sorted({stored[name].path for name in names}):
            with safe_open(path, framework="pt") as file:
                here = [name for name in names if stored[name].path == path]
                tensors |= {name: file.get_tensor(name).to(dtype) for name in here}
    except (OSError, SafetensorError) as error:
        raise CwmTraceError(f"cannot read {path}: {error}") from error
    return tensors


def weights_of(model: Any) -> Weights:
    """Take the weights of a `CwmForCausalLM`, ours or transformers' own.

    Raises:
        CwmTraceError: A layer is quantised, or the model is spread over devices.
    """
    linear = [module for module in model.modules() if "Linear" in type(module).__name__]
    plain = (Tensor, nn.Parameter)  # torchao keeps the module and changes the type of its weight
    if any(type(module) is not nn.Linear or type(module.weight) not in plain for module in linear):
        raise CwmTraceError(
            "the decode loop takes plain linear layers, this model is quantised: use model.generate"
        )
    if len({parameter.device for parameter in model.parameters()}) > 1:
        raise CwmTraceError("the model is spread over several devices: use model.generate")
    return Weights(model.config, model.state_dict())
