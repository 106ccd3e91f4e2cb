"""Load a checkpoint folder, and say in one sentence what is wrong with one that cannot be loaded.

transformers raises an error of many lines for a bad configuration, and fills tensors that are missing with
random numbers and a warning. Here the configuration and the headers of the files are checked first, which
reads a few kilobytes. Safetensors has no checksums: numbers that changed on the disk are not noticed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.checkpoint import check_checkpoint
from cwm_trace.model.decoding_config import read_config
from cwm_trace.model.safetensors_files import read_headers
from cwm_trace.model.weights import Weights, find_dtype, read_tensors, weights_of

if TYPE_CHECKING:
    from cwm_trace.model.modeling import CwmForCausalLM


def load_model(
    folder: str | Path,
    *,
    dtype: torch.dtype | str = "auto",
    attn_implementation: str | None = None,
    as_type: str | None = None,
    **options: Any,
) -> CwmForCausalLM:
    """Load a folder with `config.json` and safetensors files, ready to predict.

    Args:
        folder: The checkpoint; no hub ids.
        dtype: Of the weights; "auto" takes that of the files.
        attn_implementation: `sdpa`, `interval`, `eager` or `flex_attention`; transformers' choice if None.
        as_type: "cwm" for a folder whose `config.json` says something else, as Meta's first upload did.
        **options: For `from_pretrained`: `device_map`, `quantization_config`, ...

    Raises:
        CwmTraceError: The folder is no CWM checkpoint, a file is missing, damaged or at odds with the others,
            or an option cannot be met.
    """
    from cwm_trace.model.modeling import CwmConfig, CwmForCausalLM

    folder = Path(folder)
    config = check_checkpoint(folder, as_type)
    if as_type is not None:
        options["config"] = CwmConfig.from_dict(config)
    try:
        model: CwmForCausalLM = CwmForCausalLM.from_pretrained(
            str(folder), dtype=dtype, attn_implementation=attn_implementation, **options
        )
    except CwmTraceError:
        raise
    except Exception as error:  # of transformers, safetensors, a quantiser, ...
        reason = next(iter(str(error).strip().splitlines()), "").rstrip(". ")
        raise CwmTraceError(f"cannot load {folder}: {type(error).__name__}: {reason}") from error
    model.eval()  # type: ignore[no-untyped-call]
    return model


def load_weights(
    folder: str | Path, *, dtype: torch.dtype | str = "auto", as_type: str | None = None
) -> Weights:
    """Load what a `Decoder` needs of a folder with `config.json` and safetensors files, onto the CPU.

    That takes a fraction of a second for a small model, since transformers is left out wherever its classes
    are not needed.

    Args:
        folder: The checkpoint; no hub ids.
        dtype: Of the weights; "auto" takes that of the files.
        as_type: "cwm" for a folder whose `config.json` says something else.

    Raises:
        CwmTraceError: As for `load_model`, or the model is quantised.
    """
    folder = Path(folder)
    values = check_checkpoint(folder, as_type)
    config = read_config(values, str(folder / "config.json"))
    if config is None:
        return weights_of(load_model(folder, dtype=dtype, as_type=as_type))
    stored = read_headers(folder)
    names = list(config.tensor_shapes())
    return Weights(config, read_tensors(stored, names, find_dtype(dtype, values, stored)))
