"""Safetensors files: headers read without loading a weight (or torch), shards written a tensor at a time.

Eight bytes of length, a JSON header, the tensors: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cwm_trace.errors import CwmTraceError
from cwm_trace.files import open_whole
from cwm_trace.model.json_files import read_json

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
_PICKLES = {"pytorch_model.bin": "is a pickle", "pytorch_model.bin.index.json": "names pickles"}
_ITEM_BYTES = {
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 8),
    **dict.fromkeys(("F32", "I32", "U32"), 4),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 2),
    **dict.fromkeys(("F8_E4M3", "F8_E5M2", "F8_E8M0", "I8", "U8", "BOOL"), 1),
}
"""Bytes of one number of each dtype, by the name that safetensors gives it."""


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """Where a tensor lies: its file, dtype, shape, and its bytes from `start` to `end` in the file."""

    path: Path
    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int

    @property
    def numel(self) -> int:
        """How many numbers the tensor has."""
        return math.prod(self.shape)

    def read(self) -> bytearray:
        """Read the bytes of this one tensor."""
        data = bytearray(self.end - self.start)
        with self.path.open("rb") as file:
            file.seek(self.start)
            if file.readinto(data) != len(data):
                raise CwmTraceError(f"{self.path} became shorter while it was read")
        return data


def read_header(path: Path) -> dict[str, StoredTensor]:
    """Read where the tensors of one file lie and check that all of them are there.

    Raises:
        CwmTraceError: The file is missing, not safetensors, or shorter or longer than its header says.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            raw = file.read(length) if 8 + length <= size else b""
    except OSError as error:
        raise CwmTraceError(f"cannot read {path}: {error.strerror}") from error
    try:
        header = json.loads(raw)
        header.pop("__metadata__", None)
        tensors = {name: _stored(path, entry, 8 + length) for name, entry in header.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CwmTraceError(f"{path} is not a safetensors file, or was cut short: copy it again") from error
    end = max((tensor.end for tensor in tensors.values()), default=8 + length)
    if end != size:
        raise CwmTraceError(f"{path} has {size} bytes where its header promises {end}: copy it again")
    return tensors


def read_headers(folder: Path) -> dict[str, StoredTensor]:
    """Read where every tensor of a checkpoint lies, in one file or in the shards of an index.

    Raises:
        CwmTraceError: There are no weights, a shard is missing, or the index and a shard disagree.
    """
    if not (folder / INDEX).exists():
        if not (folder / SINGLE).exists():
            for name, what in _PICKLES.items():
                if (folder / name).exists():
                    raise CwmTraceError(f"{name} {what}: {_conversion(folder)}")
            raise CwmTraceError(f"there is neither {SINGLE} nor {INDEX} in {folder}")
        return read_header(folder / SINGLE)
    weight_map = read_json(folder / INDEX).get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(name, str) for name in weight_map.values()):
        raise CwmTraceError(f"{folder / INDEX} has no weight_map of tensors to files")
    files = sorted(set(weight_map.values()))
    missing = [name for name in files if not (folder / name).exists()]
    if missing:
        raise CwmTraceError(
            f"{missing[0]} is missing from {folder} ({len(missing)} of {len(files)} shards are)"
        )
    tensors: dict[str, StoredTensor] = {}
    for name in files:
        tensors |= read_header(folder / name)
    misplaced = [
        name for name, file in weight_map.items() if name not in tensors or tensors[name].path.name != file
    ]
    if misplaced:
        raise CwmTraceError(
            f"the index of {folder} says that {misplaced[0]} is in {weight_map[misplaced[0]]}; it is not"
        )
    return tensors


def check_shapes(
    folder: Path, expected: Mapping[str, tuple[int, ...]], tensors: Mapping[str, StoredTensor]
) -> None:
    """Check that a checkpoint holds the tensors that its configuration asks for.

    Raises:
        CwmTraceError: One is missing, or has another shape.
    """
    for name, size in expected.items():
        if name not in tensors:
            raise CwmTraceError(f"the weights in {folder} have no {name}, which config.json asks for")
        if tensors[name].shape != size:
            raise CwmTraceError(
                f"{name} in {folder} has the shape {list(tensors[name].shape)}; "
                f"config.json asks for {list(size)}"
            )


def write_shard(
    path: Path,
    tensors: Sequence[tuple[str, str, tuple[int, ...]]],
    produce: Callable[[str], bytes | bytearray | memoryview],
) -> None:
    """Write one safetensors file, asking for the bytes of one tensor after the other.

    Args:
        path: The file.
        tensors: Name, dtype and shape of each tensor, in order.
        produce: Gives the bytes of a tensor by its name.
    """
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    start = 0
    for name, dtype, shape in tensors:
        end = start + math.prod(shape) * _ITEM_BYTES[dtype]
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
        start = end
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)
    with open_whole(path) as file:
        file.write(len(encoded).to_bytes(8, "little") + encoded)
        for name, _, _ in tensors:
            file.write(produce(name))


def _conversion(folder: Path) -> str:
    """Say how to turn a folder of pickles into safetensors."""
    source, target = (repr(str(path)) for path in (folder, folder.with_name(folder.name + "-safetensors")))
    copy = f"CwmForCausalLM.from_pretrained({source}, dtype='auto').save_pretrained({target})"
    program = f"from transformers import CwmForCausalLM; {copy}"
    return f'convert it by python -c "{program}" and copy the files of the tokenizer'


def _stored(path: Path, entry: Mapping[str, Any], base: int) -> StoredTensor:
    start, end = entry["data_offsets"]
    tensor = StoredTensor(path, entry["dtype"], tuple(entry["shape"]), base + start, base + end)
    item = _ITEM_BYTES.get(tensor.dtype)
    if not 0 <= start <= end or (item is not None and tensor.numel * item != end - start):
        raise ValueError(f"{tensor} does not have the bytes of its shape")
    return tensor
