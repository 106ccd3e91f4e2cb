"""Shards: rows as compressed JSON Lines, and the same rows as Parquet."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from cwm_trace.datasets.item import SPLITS
from cwm_trace.datasets.rows import Row, arrow_schema
from cwm_trace.errors import CwmTraceError

_PARQUET_ROWS = 1000
"""Of one row group, which is what a reader takes into memory."""


def compress(lines: list[bytes]) -> bytes:
    """Lines as one Zstandard frame, the same bytes for the same lines."""
    compressor = zstandard().ZstdCompressor(level=6).compressobj()
    parts = [compressor.compress(line) for line in lines]
    return b"".join([*parts, compressor.flush()])


def decompress(data: bytes) -> list[bytes]:
    """The lines, each with its ending."""
    with zstandard().ZstdDecompressor().stream_reader(data, read_across_frames=True) as stream:
        text: bytes = stream.read()
    return text.splitlines(keepends=True)


def to_parquet(lines: list[bytes]) -> bytes:
    """Rows as Parquet.

    Raises:
        CwmTraceError: the package pyarrow is missing.
    """
    try:
        import pyarrow
        import pyarrow.json
        import pyarrow.parquet
    except ImportError:
        raise CwmTraceError("Parquet needs the pyarrow package: pip install 'cwm-trace[data]'") from None
    schema = arrow_schema()
    sink = io.BytesIO()
    with pyarrow.parquet.ParquetWriter(sink, schema, compression="zstd") as writer:
        for start in range(0, len(lines), _PARQUET_ROWS):
            data = b"".join(lines[start : start + _PARQUET_ROWS])
            table = pyarrow.json.read_json(
                io.BytesIO(data),
                read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(data) + 1),
                parse_options=pyarrow.json.ParseOptions(explicit_schema=schema),
            )
            writer.write_table(table.select(schema.names).cast(schema).combine_chunks())
    return sink.getvalue()


def shard_paths(folder: Path, split: str) -> list[Path]:
    """The JSON Lines shards of a split, in their order."""
    return sorted((folder / "jsonl").glob(f"{split}-*.jsonl.zst"))


def read_rows(folder: str | Path, split: str | None = None) -> Iterator[tuple[str, Row]]:
    """The rows of a dataset folder, each with its split, in their order.

    Raises:
        CwmTraceError: there are none, or a shard is damaged.
    """
    folder = Path(folder)
    found = [(name, path) for name in SPLITS if split in (None, name) for path in shard_paths(folder, name)]
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
