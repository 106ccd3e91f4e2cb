"""The bytes below a trace file: descriptors, compression by suffix."""

from __future__ import annotations

import fcntl
import gzip
import io
import resource
from pathlib import Path
from typing import Any, BinaryIO, cast

from cwm_trace.errors import CwmTraceError

_HIGH, _ROOM = 1024, 64


def move_out_of_the_way(file: BinaryIO, mode: str = "wb") -> BinaryIO:
    """The same file under a high descriptor.

    A program that closes every descriptor and opens files of its own gets the low ones: it must not find that
    one of them is written to by us.
    """
    try:
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        low = (_HIGH if soft == resource.RLIM_INFINITY else min(soft, _HIGH)) - _ROOM
        number = fcntl.fcntl(file.fileno(), fcntl.F_DUPFD_CLOEXEC, max(low, 0))
    except OSError:
        return file
    file.close()
    return open(number, mode, buffering=0)  # type: ignore[return-value]


def open_again(file: BinaryIO) -> BinaryIO:
    """The same file, open for reading too, which mapping it needs."""
    return open(f"/proc/self/fd/{file.fileno()}", "r+b", buffering=0)


def compressing(path: Path, file: BinaryIO) -> BinaryIO | None:
    """A stream that compresses into `file`, if the suffix says so."""
    if path.suffix == ".gz":
        return cast(BinaryIO, gzip.GzipFile(path.name, "wb", fileobj=file))
    if path.suffix == ".zst":
        return cast(BinaryIO, _zstandard().ZstdCompressor().stream_writer(file, closefd=False))
    return None


def open_to_read(path: Path) -> BinaryIO:
    """The file as it was before it was compressed."""
    if path.suffix == ".gz":
        return cast(BinaryIO, gzip.open(path, "rb"))
    if path.suffix == ".zst":
        file = open(path, "rb")  # noqa: SIM115 (closed by its reader)
        reader = _zstandard().ZstdDecompressor().stream_reader(file, read_across_frames=True)
        return io.BufferedReader(reader)
    return open(path, "rb")


def _zstandard() -> Any:
    try:
        import zstandard
    except ImportError:
        raise CwmTraceError(
            "a .zst file needs the zstandard package: pip install 'cwm-trace[zstd]'"
        ) from None
    return zstandard
