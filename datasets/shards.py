"""Shards: rows as compressed JSON Lines, and the same rows as Parquet."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from cwm_trace.datasets.item import SPLITS
from cwm_trace.datasets.rows import Row, arrow_schema
from cwm_trace.errors import CwmTraceError
from cwm_trace.files import make_folder, write_whole

_PARQUET_ROWS = 1000
"""Of one row group, which is what a reader takes into memory."""

UNIT_LEVEL = 1
"""How hard a unit is compressed, which is gone when the dataset is there."""
_SHARD_LEVEL = 6


@dataclass(frozen=True)
class Shard:
    """A shard to be written, whoever does it.

    Args:
        name: of its files, without a suffix.
        folder: of the dataset.
        parts: the files of units that it has rows of, in their order, and which rows of each.
        parquet: write Parquet besides JSON Lines.
    """

    name: str
    folder: Path
    parts: tuple[tuple[Path, npt.NDArray[np.int64]], ...]
    parquet: bool

    @property
    def files(self) -> list[str]:
        """Its files, in the folder."""
        return [f"jsonl/{self.name}.jsonl.zst"] + [f"data/{self.name}.parquet"] * self.parquet


def write_shard(shard: Shard) -> list[dict[str, Any]]:
    """Write a shard; gives what a manifest says of its files.

    Raises:
        CwmTraceError: a file cannot be written, or the package pyarrow is missing.
    """
    compressor = _compressor(_SHARD_LEVEL)
    data: list[bytes] = []
    parquet = _Parquet() if shard.parquet else None
    lines = (line for path, rows in shard.parts for line in _lines(path, rows.tolist()))
    count = 0
    while group := list(islice(lines, _PARQUET_ROWS)):
        count += len(group)
        data += map(compressor.compress, group)
        if parquet is not None:
            parquet.add(group)
    contents = [b"".join([*data, compressor.flush()])]
    if parquet is not None:
        contents.append(parquet.finish())
    written = []
    for name, content in zip(shard.files, contents, strict=True):
        make_folder((shard.folder / name).parent)
        write_whole(shard.folder / name, content)
        written.append({"name": name, "rows": count, "sha256": hashlib.sha256(content).hexdigest()})
    return written


def _lines(path: Path, rows: list[int]) -> list[bytes]:
    lines = decompress(path.read_bytes())
    return [lines[row] for row in rows]


def compress(lines: list[bytes], level: int) -> bytes:
    """Lines as one Zstandard frame, the same bytes for the same lines."""
    compressor = _compressor(level)
    return b"".join([*map(compressor.compress, lines), compressor.flush()])


def _compressor(level: int) -> Any:
    return zstandard().ZstdCompressor(level=level).compressobj()


def decompress(data: bytes) -> list[bytes]:
    """The lines, each with its ending."""
    with zstandard().ZstdDecompressor().stream_reader(data, read_across_frames=True) as stream:
        text: bytes = stream.read()
    return text.splitlines(keepends=True)


class _Parquet:
    """Rows as Parquet, a row group at a time.

    Raises:
        CwmTraceError: the package pyarrow is missing.
    """

    def __init__(self) -> None:
        try:
            import pyarrow.json
            import pyarrow.parquet
        except ImportError:
            raise CwmTraceError("Parquet needs the pyarrow package: pip install 'cwm-trace[data]'") from None
        self._reader = pyarrow.json
        self._schema = arrow_schema()
        self._sink = io.BytesIO()
        self._writer = pyarrow.parquet.ParquetWriter(self._sink, self._schema, compression="zstd")

    def add(self, lines: list[bytes]) -> None:
        """Add a group."""
        data = b"".join(lines)
        table = self._reader.read_json(
            io.BytesIO(data),
            read_options=self._reader.ReadOptions(use_threads=False, block_size=len(data) + 1),
            parse_options=self._reader.ParseOptions(explicit_schema=self._schema),
        )
        self._writer.write_table(table.select(self._schema.names).combine_chunks())

    def finish(self) -> bytes:
        """All of the file."""
        self._writer.close()
        return self._sink.getvalue()


def _shard_paths(folder: Path, split: str) -> list[Path]:
    """The JSON Lines shards of a split, in their order."""
    return sorted((folder / "jsonl").glob(f"{split}-*.jsonl.zst"))


def read_rows(folder: str | Path, split: str | None = None) -> Iterator[tuple[str, Row]]:
    """The rows of a dataset folder, each with its split, in their order.

    Raises:
        CwmTraceError: there are none, or a shard is damaged.
    """
    folder = Path(folder)
    found = [(name, path) for name in SPLITS if split in (None, name) for path in _shard_paths(folder, name)]
    if not found:
        wanted = f"split {split!r} of a dataset" if split else "dataset"
        raise CwmTraceError(f"{folder} holds no {wanted}: name a folder that `dataset build` has finished")
    for name, path in found:
        yield from ((name, row) for row in _read_shard(path))


def _read_shard(path: Path) -> Iterator[Row]:
    try:
        with open(path, "rb") as file, zstandard().ZstdDecompressor().stream_reader(file) as stream:
            yield from map(json.loads, io.BufferedReader(cast(Any, stream)))
    except OSError as error:
        raise CwmTraceError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, zstandard().ZstdError) as error:
        raise CwmTraceError(f"{path} is damaged: {error}") from error


def zstandard() -> Any:
    """The package.

    Raises:
        CwmTraceError: it is missing.
    """
    try:
        import zstandard
    except ImportError:
        raise CwmTraceError("datasets need the zstandard package: pip install 'cwm-trace[data]'") from None
    return zstandard
