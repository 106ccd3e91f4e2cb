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
from cwm_trace.model.rope import OWN_KINDS
from cwm_trace.model.shape import CwmShape, read_shape
from cwm_trace.model.shards import StoredTensor

_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 1_000_000.0,
    "factor": 16.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
_EOS = [128_001, 128_008, 128_009]
_FLOATS = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


class DecodingConfig(CwmShape):
    """What decoding reads of a `config.json`, named as there and with the defaults of `CwmConfig`."""

    rms_norm_eps: float = 1e-5
    rope_parameters: dict[str, Any]
    eos_token_id: int | list[int]


@dataclass(frozen=True, slots=True)
class Weights:
    """A model without its modules.

    Args:
        config: A `CwmConfig`, or what decoding reads of one.
        tensors: Every weight by the name that it has in a checkpoint; all of one dtype, on one device.
    """

    config: Any
    tensors: Mapping[str, Tensor]


def read_config(config: Mapping[str, Any], name: str) -> DecodingConfig | None:
    """Take what decoding needs out of a `config.json`.

    Args:
        config: The file's object.
        name: What to call it in an error.

    Returns:
        None if only transformers can tell the angles of its rotary embedding, or undo its quantisation.

    Raises:
        CwmTraceError: It is no CWM model, or a number makes no sense.
    """
    given = config.get("rope_scaling") or config.get("rope_parameters")
    rope = dict(_ROPE if given is None else given)  # without any, `CwmConfig` ignores a rope_theta beside it
    rope.setdefault("rope_type", rope.get("type", "default"))
    rope.setdefault("rope_theta", config.get("rope_theta") or _ROPE["rope_theta"])
    numbers = OWN_KINDS.get(rope["rope_type"], ("unknown",))
    if config.get("quantization_config") or not all(
        isinstance(rope.get(key), int | float) for key in numbers
    ):
        return None
    eps = config.get("rms_norm_eps", 1e-5)
    if not isinstance(eps, int | float):
        raise CwmTraceError(
            f"{name} is not a CWM configuration: rms_norm_eps should be a number, not {eps!r}"
        )
    return DecodingConfig(
        **read_shape(config, name).model_dump(),
        rms_norm_eps=float(eps),
        rope_parameters=rope,
        eos_token_id=config.get("eos_token_id") or _EOS,
    )


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
