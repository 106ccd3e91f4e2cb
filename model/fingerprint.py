"""What tells two models apart: a digest of their files, or of their weights in memory.

Reading a checkpoint of 60 GB to know its name would take minutes, so of each large file blocks at fixed
places are read, with its size: another training step changes nearly every weight.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

WHOLE = 1 << 23
"""Bytes of a file up to which all of it is read."""
BLOCKS, BLOCK = 64, 1 << 14
"""Blocks of a larger file, and bytes of each."""
SUFFIXES = (".json", ".safetensors", ".bin", ".model", ".jinja")


def fingerprint_folder(folder: str | Path) -> str:
    """Sixteen hex digits for what a checkpoint folder holds, wherever it lies."""
    digest = hashlib.sha256()
    for path in sorted(Path(folder).iterdir()):
        if path.suffix in SUFFIXES and path.is_file():
            digest.update(f"{path.name} {path.stat().st_size}\n".encode())
            _add_file(digest, path)
    return digest.hexdigest()[:16]


def fingerprint_model(model: Any) -> str:
    """Sixteen hex digits for the weights of a model in memory: a part of every tensor.

    Args:
        model: has `state_dict`, or tensors as attributes.
    """
    import torch

    digest = hashlib.sha256()
    tensors = model.state_dict() if hasattr(model, "state_dict") else _tensors(vars(model))
    for name, tensor in sorted(tensors.items()):
        if isinstance(tensor, torch.Tensor):
            digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
            part = tensor.detach().flatten()[:: max(1, tensor.numel() // 1024)][:1024]
            digest.update(part.to("cpu", torch.float64).numpy().tobytes())
    return digest.hexdigest()[:16]


def _tensors(attributes: dict[str, Any], prefix: str = "") -> dict[str, torch.Tensor]:
    """Tensors among attributes, and among those of the objects in lists."""
    import torch

    found: dict[str, torch.Tensor] = {}
    for name, value in attributes.items():
        if isinstance(value, torch.Tensor):
            if not value.is_complex():  # a table of rotations, which grows with the texts
                found[prefix + name] = value
        elif isinstance(value, list):
            for index, item in enumerate(value):
                fields = item._asdict() if hasattr(item, "_asdict") else getattr(item, "__dict__", {})
                found |= _tensors(dict(fields), f"{prefix}{name}.{index}.")
    return found


def _add_file(digest: Any, path: Path) -> None:
    size = path.stat().st_size
    with open(path, "rb") as file:
        if size <= WHOLE:
            digest.update(file.read())
            return
        for number in range(BLOCKS):
            file.seek((size - BLOCK) * number // (BLOCKS - 1))
            digest.update(file.read(BLOCK))
