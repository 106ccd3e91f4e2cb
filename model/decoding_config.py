"""What decoding reads of a `config.json`, without torch or transformers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.frequencies import OWN_KINDS
from cwm_trace.model.shape import CwmShape, read_shape

_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 1_000_000.0,
    "factor": 16.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
_EOS = [128_001, 128_008, 128_009]


class DecodingConfig(CwmShape):
    """What decoding reads of a `config.json`, named as there and with the defaults of `CwmConfig`."""

    rms_norm_eps: float = 1e-5
    rope_parameters: dict[str, Any]
    eos_token_id: int | list[int]


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
