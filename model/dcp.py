"""PyTorch Distributed Checkpoints, one tensor at a time.

`torch.distributed.checkpoint` reads and writes a whole state dict and unpickles whatever the metadata names.
Here a tensor is put together from its chunks when it is asked for, and metadata may only name what it is
made of.

Not covered: items that an extension compressed, and tensors saved quantised.
"""

from __future__ import annotations

import io
import math
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch.distributed.checkpoint.filesystem import _StorageInfo
from torch.distributed.checkpoint.metadata import (
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    StorageMeta,
    TensorProperties,
    TensorStorageMetadata,
)

from cwm_trace.errors import CwmTraceError
from cwm_trace.files import open_whole

_METADATA = ".metadata"
_SECTION = "model."
"""Meta's code saves `{"model": …}` (`cwm/checkpoint/checkpointer.py`); bare names are read as well."""

_KNOWN_CLASSES = {
    "torch.distributed.checkpoint.metadata": {
        "BytesStorageMetadata",
        "ChunkStorageMetadata",
        "Metadata",
        "MetadataIndex",
        "StorageMeta",
        "TensorProperties",
        "TensorStorageMetadata",
        "_MEM_FORMAT_ENCODING",
    },
    "torch.distributed.checkpoint.filesystem": {"_StorageInfo"},
    "torch.serialization": {"_get_layout"},
    "torch": {"Size"},
    "collections": {"OrderedDict"},
}


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a tensor: bytes of a file, and the corner and size of the block they hold."""

    path: Path
    offset: int
    length: int
    corner: tuple[int, ...]
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ChunkedTensor:
    """A tensor of a checkpoint, as its metadata describes it."""

    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]
    chunks: tuple[Chunk, ...]

    def read(self) -> torch.Tensor:
        """Put the tensor together.

        Raises:
            CwmTraceError: A chunk is damaged or not what the metadata says.
        """
        if len(self.chunks) == 1:
            return self._read_chunk(self.chunks[0])
        whole = torch.empty(self.shape, dtype=self.dtype)
        for chunk in self.chunks:
            part = self._read_chunk(chunk)
            whole[tuple(slice(at, at + size) for at, size in zip(chunk.corner, chunk.shape, strict=True))] = (
                part
            )
        return whole

    def _read_chunk(self, chunk: Chunk) -> torch.Tensor:
        try:
            with chunk.path.open("rb") as file:
                file.seek(chunk.offset)
                data = file.read(chunk.length)
            tensor = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        except Exception as error:  # zip, pickle and torch each have their own for damaged bytes
            raise CwmTraceError(
                f"{self.name} in {chunk.path} is damaged ({type(error).__name__}): copy the file again"
            ) from error
        if not isinstance(tensor, torch.Tensor) or (tensor.dtype, tuple(tensor.shape)) != (
            self.dtype,
            chunk.shape,
        ):
            raise CwmTraceError(
                f"{self.name} in {chunk.path} is not the {self.dtype} block of {chunk.shape} "
                "that the metadata names"
            )
        return tensor.contiguous()


def read_metadata(folder: Path) -> dict[str, ChunkedTensor]:
    """Read which tensors a checkpoint holds, named without `model.`, and check that their files are there.

    Raises:
        CwmTraceError: The metadata or a file is missing, damaged or cut short, or chunks leave a gap.
    """
    path = folder / _METADATA
    try:
        with path.open("rb") as file:
            metadata = _MetadataReader(file).load()
        found = {
            name: _describe(folder, name, entry, metadata.storage_data)
            for name, entry in metadata.state_dict_metadata.items()
            if isinstance(entry, TensorStorageMetadata)
        }
    except FileNotFoundError as error:
        raise CwmTraceError(
            f"there is no {_METADATA} in {folder}: name the folder of a PyTorch Distributed Checkpoint"
        ) from error
    except OSError as error:
        raise CwmTraceError(f"cannot read {path}: {error.strerror}") from error
    except CwmTraceError:
        raise
    except Exception as error:  # unpickling damaged bytes can raise anything
        raise CwmTraceError(
            f"{path} is not the metadata of a PyTorch Distributed Checkpoint "
            f"({type(error).__name__}: {error})"
        ) from error
    sections = {
        name.removeprefix(_SECTION): tensor for name, tensor in found.items() if name.startswith(_SECTION)
    }
    tensors = sections or found
    sizes: dict[Path, int] = {}
    for tensor in tensors.values():
        for chunk in tensor.chunks:
            if chunk.path not in sizes:
                if not chunk.path.is_file():
                    raise CwmTraceError(
                        f"{chunk.path.name} is missing from {folder}: {tensor.name} lies in it"
                    )
                sizes[chunk.path] = chunk.path.stat().st_size
            if chunk.offset + chunk.length > sizes[chunk.path]:
                raise CwmTraceError(
                    f"{chunk.path} was cut short: it has {sizes[chunk.path]} bytes and {tensor.name} ends at "
                    f"{chunk.offset + chunk.length}"
                )
    return tensors


def write_tensor(file: BinaryIO, tensor: torch.Tensor) -> tuple[int, int]:
    """Append one item to a `.distcp` file and return its offset and length in bytes."""
    offset = file.tell()
    torch.save(tensor, file)
    return offset, file.tell() - offset


def write_metadata(
    folder: Path,
    tensors: Mapping[str, tuple[torch.dtype, tuple[int, ...]]],
    places: Mapping[str, tuple[str, int, int]],
) -> None:
    """Write the metadata that lets `torch.distributed.checkpoint.load` find tensors saved whole.

    Args:
        folder: The checkpoint.
        tensors: Dtype and shape of each tensor by its name in the model.
        places: File, offset and length of each.
    """
    entries: dict[str, Any] = {}
    storage: dict[MetadataIndex, Any] = {}
    planner: dict[str, Any] = {}
    for name, (dtype, shape) in tensors.items():
        full = _SECTION + name
        origin, size = torch.Size([0] * len(shape)), torch.Size(shape)
        properties = TensorProperties(dtype=dtype)
        entries[full] = TensorStorageMetadata(properties, size, [ChunkStorageMetadata(origin, size)])
        storage[MetadataIndex(full, origin, 0)] = _StorageInfo(*places[name])
        planner[full] = (_SECTION.removesuffix("."), name)
    metadata = Metadata(entries, planner, storage, StorageMeta(), "1.0.0")
    with open_whole(folder / _METADATA) as file:
        pickle.dump(metadata, file)


def _describe(
    folder: Path, name: str, entry: TensorStorageMetadata, storage: Mapping[MetadataIndex, Any]
) -> ChunkedTensor:
    shape = tuple(entry.size)
    chunks = []
    for index, block in enumerate(entry.chunks):
        place = storage[MetadataIndex(name, block.offsets, index)]
        if place.transform_descriptors:
            raise CwmTraceError(
                f"{name} was saved through {place.transform_descriptors}, which is not supported"
            )
        path = folder / place.relative_path
        if not path.resolve().is_relative_to(folder.resolve()):
            raise CwmTraceError(
                f"the metadata of {folder} puts {name} outside the folder, in {place.relative_path}"
            )
        chunks.append(Chunk(path, place.offset, place.length, tuple(block.offsets), tuple(block.sizes)))
    held = sum(math.prod(chunk.shape) for chunk in chunks)
    inside = all(
        at >= 0 and at + size <= whole
        for chunk in chunks
        for at, size, whole in zip(chunk.corner, chunk.shape, shape, strict=True)
    )
    if held != math.prod(shape) or not inside or len({chunk.corner for chunk in chunks}) != len(chunks):
        raise CwmTraceError(f"the chunks of {name} in {folder} do not make up its shape {shape}")
    return ChunkedTensor(name.removeprefix(_SECTION), entry.properties.dtype, shape, tuple(chunks))


class _Ignored:
    """Stands in for every class that metadata names and this module does not need, such as a path's."""

    def __init__(self, *arguments: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


class _MetadataReader(pickle.Unpickler):
    """Unpickles metadata without running code that a checkpoint names."""

    def find_class(self, module: str, name: str) -> Any:
        is_dtype = module == "torch" and isinstance(getattr(torch, name, None), torch.dtype)
        if is_dtype or name in _KNOWN_CLASSES.get(module, ()):
            return super().find_class(module, name)
        return _Ignored
