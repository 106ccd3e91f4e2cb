"""The bytes below a trace file: descriptors, compression by suffix."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import gzip
import io
import os
import resource
import stat
from pathlib import Path
from typing import Any, BinaryIO, cast

from cwm_trace.errors import CwmTraceError

_HIGH, _ROOM = 1024, 64


class OwnFile(io.FileIO):
    """A file whose descriptor the program may close and give to a file of its own: that is left alone."""

    def __init__(self, descriptor: int, mode: str) -> None:
        super().__init__(descriptor, mode, closefd=False)
        self._is = identity(descriptor)
        self._is_abandoned = False

    def _is_ours(self) -> bool:
        """Whether the descriptor is still that of this file."""
        try:
            return identity(self.fileno()) == self._is
        except OSError:
            return False

    def write(self, data: Any, /) -> int:
        """Write to this file and no other.

        Raises:
            OSError: not all can be written, or the descriptor is no longer that of this file.
        """
        if self._is_abandoned:
            return len(data)
        try:
            found = os.fstat(self.fileno())
        except OSError:
            found = None
        except BaseException:  # sent by another thread, which the system call has let run
            io.FileIO.write(self, data)
            raise
        if found is None or (found.st_dev, found.st_ino) != self._is:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return io.FileIO.write(self, data)

    def abandon(self) -> None:
        """Let go of the file, and let whatever is still written go nowhere."""
        self._is_abandoned = True
        if self._is_ours():
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno(), inheritable=False)
            os.close(nowhere)
            self._is = identity(self.fileno())

    def close(self) -> None:
        """Close the descriptor, if it is still that of this file."""
        if not self.closed:
            descriptor, is_ours = self.fileno(), self._is_ours()
            super().close()
            if is_ours:
                with contextlib.suppress(OSError):  # a child that was forked meanwhile may have it open, too
                    fcntl.flock(descriptor, fcntl.LOCK_UN)
                os.close(descriptor)


def identity(descriptor: int) -> tuple[int, int]:
    """Which file a descriptor is of.

    Raises:
        OSError: of none.
    """
    is_of = os.fstat(descriptor)
    return is_of.st_dev, is_of.st_ino


def open_alone(path: Path) -> OwnFile:
    """Open a file to write it anew.

    Raises:
        CwmTraceError: somebody else has it open in this way, and would be ended by SIGBUS if it were cut.
        OSError: it cannot be opened.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            with contextlib.suppress(OSError):  # a file system without locks
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise CwmTraceError(
                        f"cannot write {path}: another recording is being written to it; give each a file"
                    ) from None
            os.ftruncate(descriptor, 0)
    except BaseException:
        os.close(descriptor)
        raise
    return _move_out_of_the_way(descriptor, "wb")


def _move_out_of_the_way(descriptor: int, mode: str) -> OwnFile:
    """The same file under a high descriptor.

    A program that closes every descriptor and opens files of its own gets the low ones: it must not find that
    one of them is written to by us.
    """
    try:
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        low = (_HIGH if soft == resource.RLIM_INFINITY else min(soft, _HIGH)) - _ROOM
        number = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, max(low, 0))
    except OSError:
        return OwnFile(descriptor, mode)
    os.close(descriptor)
    return OwnFile(number, mode)


def open_again(file: OwnFile) -> OwnFile:
    """The same file, open for reading too, which mapping it needs."""
    number = os.open(f"/proc/self/fd/{file.fileno()}", os.O_RDWR | os.O_CLOEXEC)
    return _move_out_of_the_way(number, "r+b")


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
