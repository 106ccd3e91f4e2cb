"""Files of ours: written whole or not at all, added to line by line, read up to their last whole line."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
import threading
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Protocol, cast

import jsonlines
from typing_extensions import Self

from cwm_trace.errors import CwmTraceError

_PART = ".part"


@contextmanager
def open_whole(path: Path, *, shared: bool = False) -> Iterator[BinaryIO]:
    """Open a file that gets its name only once all of it is on the disk; until then the old one stays.

    A process killed in between leaves `.NAME.part`, which the next attempt overwrites. What is no file, such
    as `/dev/stdout`, is written to as it is.

    Args:
        path: of the file. What a link leads to is written, the link stays.
        shared: other processes may write it at the same time: the last one wins.

    Raises:
        CwmTraceError: the disk is full, or the folder cannot be written to.
    """
    try:
        target = Path(os.path.realpath(path))
        if target.exists() and not stat.S_ISREG(target.stat().st_mode):
            with open(target, "wb") as file:
                yield file
            return
        writer = f".{os.getpid()}-{threading.get_ident()}" if shared else ""
        part = target.with_name(f".{target.name}{writer}{_PART}")
        try:
            with open(part, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            part.replace(target)
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise
        sync_folder(target.parent)
    except OSError as error:
        raise CwmTraceError(f"cannot write {path}: {error.strerror or error}") from error


def write_whole(path: str | os.PathLike[str], data: bytes | str, *, shared: bool = False) -> None:
    """Write a file as `open_whole` does; a text in UTF-8.

    Raises:
        CwmTraceError: it cannot be written; what was there before still is.
    """
    with open_whole(Path(path), shared=shared) as file:
        file.write(data if isinstance(data, bytes) else data.encode())


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, where there is none.

    Raises:
        CwmTraceError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise CwmTraceError(f"cannot write into {path}: it is no folder") from error
    except OSError as error:
        raise CwmTraceError(f"cannot write {path}: {error.strerror or error}") from error


@contextmanager
def temporary_folder() -> Iterator[str]:
    """A folder of its own that goes with the block.

    That for temporary files is made again, if somebody has removed it since this process began.

    Raises:
        OSError: there cannot be one.
    """
    os.makedirs(tempfile.gettempdir(), exist_ok=True)
    folder = tempfile.mkdtemp(prefix="cwm-trace-")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, or a rename may not survive a crash of the machine."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_part(path: Path) -> bool:
    """Whether this is what a killed process left half written."""
    return path.name.startswith(".") and path.name.endswith(_PART)


def remove_parts(folder: Path) -> None:
    """Remove what a killed process left half written in a folder and below it."""
    for path in folder.rglob(f".*{_PART}"):
        path.unlink(missing_ok=True)


class _Writable(Protocol):
    def write(self, data: bytes, /) -> int | None: ...


def write_all(file: _Writable, data: bytes) -> None:
    """Write to a file without a buffer, which may take only a part of it, just before its disk is full."""
    while data:
        data = data[file.write(data) :]


class Closing:
    """A context that ends with `close`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Write what is left, and let go of the file."""
        raise NotImplementedError


class LineFile(Closing):
    """A file that lines are added to; each is handed to the operating system before the next one is made.

    A kill can cut the last line alone, and a write that fails leaves nothing of its line.

    Args:
        path: of the file, made if it is not there.
        alone: keep every other writer out until it is closed; else they take turns, line by line.

    Raises:
        CwmTraceError: it cannot be written, or is being written by another process that is alone.
    """

    def __init__(self, path: Path, *, alone: bool = True) -> None:
        self.path = path
        self._alone = alone
        try:
            self._file = open(path, "a+b", buffering=0)  # noqa: SIM115 (closed by `close`)
        except OSError as error:
            raise CwmTraceError(f"cannot write {path}: {error.strerror}") from error
        if alone:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                self._file.close()
                raise CwmTraceError(f"{path} is being written by another process") from error

    def whole_length(self) -> int:
        """Bytes up to the end of the last whole line."""
        with open(self.path, "rb") as stream:
            return sum(map(len, whole_lines(stream)))

    def truncate(self, length: int) -> None:
        """Leave the first `length` bytes."""
        self._file.truncate(length)

    def write(self, line: bytes) -> int:
        """Add a line, its ending included; a line before it that was cut gets an ending too.

        Returns:
            Where it begins, in bytes from the start of the file.

        Raises:
            OSError: the disk is full, or the like; the file ends where it ended before.
        """
        if not self._alone:
            fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            end = os.fstat(self._file.fileno()).st_size
            is_cut = end > 0 and os.pread(self._file.fileno(), 1, end - 1) != b"\n"
            try:
                write_all(self._file, b"\n" + line if is_cut else line)
            except BaseException:
                self._file.truncate(end)
                raise
            return end + is_cut
        finally:
            if not self._alone:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def read(self, start: int, length: int) -> bytes:
        """A part of the file, in bytes."""
        return os.pread(self._file.fileno(), length, start)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def whole_lines(stream: Iterable[bytes]) -> Iterator[bytes]:
    """Lines that end in a newline, up to where the data stops, damaged or not."""
    try:
        for line in stream:
            if not line.endswith(b"\n") or line.startswith(b"\0"):  # zeros: reserved, or cut by a kill
                return
            yield line
    except (EOFError, zlib.error):
        return
    except Exception as error:
        if type(error).__name__ != "ZstdError":  # an optional package: its error type cannot be named here
            raise


def parse_object(path: Path, number: int, line: bytes) -> dict[str, Any]:
    """The JSON object on a line.

    Raises:
        CwmTraceError: there is none; the sentence names the file and the line.
    """
    try:
        return jsonlines.Reader(cast(Any, [line])).read(type=dict)
    except (jsonlines.InvalidLineError, RecursionError) as error:
        raise CwmTraceError(f"{path} is damaged: line {number} is not a JSON object") from error


def read_objects(path: Path) -> Iterator[dict[str, Any]]:
    """The JSON objects on the whole lines of a file.

    Raises:
        CwmTraceError: it cannot be read, or is damaged before its last line.
    """
    try:
        with open(path, "rb") as stream:
            for number, line in enumerate(whole_lines(stream), start=1):
                yield parse_object(path, number, line)
    except OSError as error:
        raise CwmTraceError(f"cannot read {path}: {error.strerror or error}") from error
