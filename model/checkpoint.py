"""A checkpoint folder, checked by its configuration and its files' headers, without reading a weight."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cwm_trace.errors import CwmTraceError
from cwm_trace.model.json_files import read_json
from cwm_trace.model.safetensors_files import check_shapes, read_headers
from cwm_trace.model.shape import SLIDING, read_shape, take_as


def check_checkpoint(folder: Path, as_type: str | None = None) -> dict[str, Any]:
    """Check the configuration and that every weight it asks for is there.

    Args:
        folder: The checkpoint.
        as_type: "cwm" for a folder whose `config.json` says something else.

    Returns:
        The configuration, of the type that was asked for.

    Raises:
        CwmTraceError: The folder is no CWM checkpoint, or a file is missing, damaged or at odds with others.
    """
    if not folder.is_dir():
        raise CwmTraceError(f"{folder} is not a folder: name the folder of a checkpoint")
    path = folder / "config.json"
    config = take_as(read_json(path), str(path), as_type)
    shape = read_shape(config, str(path))
    if SLIDING in shape.layer_types and config.get("sliding_window", shape.sliding_window) is None:
        raise CwmTraceError(f"{path} has window layers and no sliding_window: name the tokens they see")
    tensors = read_headers(folder)
    if not config.get("quantization_config"):  # a quantiser stores other tensors
        check_shapes(folder, shape.tensor_shapes(), tensors)
    return config
