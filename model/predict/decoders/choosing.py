"""Which decoder runs a checkpoint, decided by what the checkpoint is and what was asked for.

Never by what happens to be imported or installed: a number must not change because another package came.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from cwm_trace.errors import CwmTraceError
from cwm_trace.extras import require
from cwm_trace.model.checkpoint import check_checkpoint
from cwm_trace.model.decoding_config import DecodingConfig, read_config
from cwm_trace.model.predict.decoders.trace_decoder import TraceDecoder
from cwm_trace.model.shape import read_shape

NUMPY_BELOW = 50_000_000
"""Parameters from which on PyTorch decodes, unless NumPy is asked for."""


def load_decoder(folder: Path, engine: str = "", dtype: str = "", as_type: str | None = None) -> TraceDecoder:
    """Load a checkpoint folder onto the CPU.

    Args:
        folder: of the checkpoint.
        engine: `torch` or `numpy`; empty: NumPy for a plain model below 50 M parameters in float32.
        dtype: of the weights, such as `bfloat16`; empty: with NumPy float32, else that of the files.
        as_type: `cwm` for a folder whose `config.json` says something else.

    Raises:
        CwmTraceError: it is no CWM checkpoint, the engine cannot decode it, or torch is not installed.
    """
    values = check_checkpoint(folder, as_type)
    config = read_config(values, str(folder / "config.json"))
    why_not = _why_not_numpy(config, dtype)
    if engine == "numpy" and why_not:
        raise CwmTraceError(f"NumPy decodes plain models in float32, and {why_not}: take the engine torch")
    size = count_parameters(values, folder)
    if engine == "numpy" or (not engine and not why_not and size < NUMPY_BELOW):
        from cwm_trace.model.predict.decoders.numpy import NumpyDecoder

        assert config is not None
        return NumpyDecoder.load(folder, config)
    _require_torch(folder, engine, why_not, size)
    from cwm_trace.model.decoder import Decoder
    from cwm_trace.model.loading import load_weights
    from cwm_trace.model.predict.decoders.torch import TorchDecoder

    return TorchDecoder(Decoder(load_weights(folder, dtype=dtype or "auto", as_type=as_type)))


def count_parameters(config: dict[str, Any], folder: Path) -> int:
    """Parameters of the model that a configuration describes; tied ones count once."""
    shape = read_shape(config, str(folder / "config.json"))
    return sum(map(math.prod, shape.tensor_shapes().values()))


def _why_not_numpy(config: DecodingConfig | None, dtype: str) -> str:
    """What keeps NumPy from decoding a model; nothing: it can."""
    if config is None:
        return "this one is quantised or has positions that transformers scales"
    if dtype not in ("", "auto", "float32"):
        return f"dtype {dtype} was asked for"
    return ""


def _require_torch(folder: Path, engine: str, why_not: str, size: int) -> None:
    if engine == "torch":
        why = "the engine torch"
    elif why_not:
        why = f"decoding {folder} ({why_not})"
    else:
        why = f"a model of {size / 1e6:,.0f} M parameters"
    require("model", why, "torch")
