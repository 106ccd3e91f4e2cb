"""Trace files: JSON Lines, written as the program runs, readable wherever they were cut.

A file is a line of kind `header`, a line for each frame as it happens (the only ones without a `kind`), and
a line of kind `footer`; a further source file gets a line of kind `file` before the first frame of its code.
A file without a footer is a run that crashed or goes on: it loads up to its last whole line and is marked
incomplete. `.gz` and `.zst` are compressed, by suffix.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import pydantic

from cwm_trace.errors import CwmTraceError
from cwm_trace.files import Closing, parse_object, whole_lines, write_all
from cwm_trace.json_lines import dump_frame, dump_line
from cwm_trace.mapped_lines import MappedLines
from cwm_trace.plain import (
    SourceLines,
    checker,
    frame_fields,
    frame_from_fields,
    resting_collector,
    trace_fields,
    trace_from_fields,
)
from cwm_trace.records import (
    Capture,
    Cost,
    Decoding,
    Frame,
    FrameFields,
    Limits,
    Outcome,
    Problem,
    SourceFile,
    Trace,
)
from cwm_trace.streams import OwnFile, compressing, open_again, open_alone, open_to_read
from cwm_trace.tracer.interrupts import TRACE_FUNCTIONS, came_at_a_start
from cwm_trace.versions import TRACE_VERSION, check_version, migrate_trace_line

if TYPE_CHECKING:
    from cwm_trace.tracer._recorder import Log

_FLUSH_SECONDS = 0.5  # of a compressed stream: flushing each line would undo the compression


class _Line(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")


class HeaderLine(_Line):
    """What is known before the first frame."""

    kind: Literal["header"] = "header"
    schema_version: int
    files: tuple[SourceFile, ...]
    entry: str
    entry_line: int
    arguments: tuple[str, ...]
    python: str
    recorder: str = ""
    profile: str
    limits: Limits
    mode: str
    given: int
    decoding: Decoding | None = None
    not_recorded: tuple[str, ...] = ()
    capture: Capture = Capture()


class FileLine(_Line):
    """A further source file."""

    kind: Literal["file"] = "file"
    name: str
    text: str


class FooterLine(_Line):
    """What is known after the last frame."""

    kind: Literal["footer"] = "footer"
    outcome: Outcome
    frames: int
    skipped: int
    exit_code: int | None
    output: str | None
    warnings: tuple[str, ...]
    problems: tuple[Problem, ...]
    entry: str
    entry_line: int
    cost: Cost | None = None


_FRAME: pydantic.TypeAdapter[FrameFields] = checker(FrameFields)


def _named(kind: type[_Line], trace: Trace) -> dict[str, Any]:
    return {name: value for name, value in trace_fields(trace).items() if name in kind.model_fields}


class TraceWriter(Closing):
    """Writes one trace file; every line is handed to the operating system before the next one is made.

    Args:
        path: where to; the suffix decides about compression.

    Raises:
        CwmTraceError: the file cannot be created.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        try:
            self._file = open_alone(self.path)
        except OSError as error:
            raise CwmTraceError(f"cannot write {self.path}: {error.strerror}") from error
        self._descriptor = self._file.fileno()
        compressed = compressing(self.path, self._file)
        self._compressed = compressed is not None
        self._stream: Any = compressed or self._file
        self._lock = threading.RLock()  # a signal handler may write again, or end the process
        self._ended = self._failed = False
        self._flushed = time.monotonic()
        self._frames = self._bytes = 0
        self._log: Log | MappedLines | None = None
        self._mapped: OwnFile | None = None
        self._process = os.getpid()

    @property
    def frames(self) -> int:
        """Lines of frames so far."""
        return self._frames if self._log is None else self._frames + self._log.frames

    @property
    def size(self) -> int:
        """Bytes of all lines so far, before they are compressed."""
        return self._bytes if self._log is None else self._bytes + self._log.size

    def open_log(self, make: type[Log]) -> Log:
        """Let all lines, those of the compiled recorder too, go through a log: see its docs.

        Of a plain file that is memory mapped from it, which costs no system call for each line and keeps what
        was written even if the process is killed. Elsewhere lines wait until there are many, but not long.
        """
        assert self._log is None, "one file is one recording"
        log: Log | None = self._map(make)
        if log is None:
            TRACE_FUNCTIONS.add(TraceWriter._put.__code__)  # is called at events; signals have to wait
            log = make(write=self._put)
        self._log = log
        return log

    def map_lines(self) -> None:
        """Let all lines go into memory that is mapped from the file, if it is plain: see `MappedLines`."""
        assert self._log is None, "one file is one recording"
        self._log = self._map(MappedLines)

    def _map(self, make: Any) -> Any:
        if self._compressed or not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            return None
        try:
            self._mapped = open_again(self._file)
            return make(descriptor=self._mapped.fileno())
        except OSError:  # a file system that maps no files, or reserves no blocks
            return None

    def rewrite_line(self, line: bytes) -> bytes:
        """A line of the compiled recorder that holds a lone surrogate."""
        return dump_line(json.loads(line.decode("utf-8", "surrogatepass"))) + b"\n"

    def header(self, trace: Trace) -> None:
        """Write the header from what `trace` says about the program; its frames are not looked at."""
        line = HeaderLine(schema_version=TRACE_VERSION, **_named(HeaderLine, trace))
        self._hand_on(dump_line, line)

    def file(self, file: SourceFile) -> None:
        """Add a source file that was not known when the header was written."""
        self._hand_on(_dump_file, file)

    def frame(self, fields: FrameFields) -> None:
        """Write one frame; what a thread still has to say after the footer is left out."""
        self._hand_on(dump_frame, fields, 1)

    def footer(self, trace: Trace) -> None:
        """Write the footer from how `trace` ended."""
        with self._lock:
            self._ended = True
            if self._log is not None:
                self._log.end()
            self._hand_on(dump_line, FooterLine(frames=self.frames, **_named(FooterLine, trace)))

    def flush(self) -> None:
        """Empty the buffers there are, and cut a mapped file to size."""
        self._leave_to_parent()
        with self._lock:
            if self._log is not None:
                self._log.flush()
            if self._compressed:
                self._stream.flush()

    def abandon(self) -> None:
        """In a forked child: the file is the parent's, whatever this process still writes goes nowhere."""
        self._lock = threading.RLock()  # another thread of the parent may hold the one there was
        if self._log is not None:
            self._log.abandon()
        self._file.abandon()

    def _leave_to_parent(self) -> None:
        """In a child that C code has forked without a word to Python, which calls `abandon` nowhere."""
        if os.getpid() != self._process:
            self.abandon()

    def close(self) -> None:
        """Close the file; without a footer it reads as incomplete.

        Raises:
            OSError: not all could be written, and no line before has said so.
        """
        was_said = self._failed
        self._leave_to_parent()
        try:
            try:
                if self._log is not None:
                    self._log.flush()
                self._stream.close()
            finally:
                self._file.close()
                if self._mapped is not None:
                    self._mapped.close()
        except OSError:
            if not was_said:
                raise

    def _hand_on(self, dump: Callable[[Any], bytes], content: object, frames: int = 0) -> None:
        """Write a line.

        An exception from another thread comes before anything was done (`came_at_a_start`), or behind all.
        """
        try:
            data = dump(content)
            is_childs = self._log is None and os.getpid() != self._process  # a log knows itself
        except MemoryError:
            raise
        except BaseException as error:
            if not came_at_a_start(error):
                self._put_line(dump(content), frames)
            raise
        if not is_childs:
            self._put_line(data, frames)

    def _put_line(self, data: bytes, frames: int) -> None:
        with self._lock:
            if not (frames and self._ended):
                self._add(data + b"\n")
                self._frames += frames

    def _add(self, data: bytes) -> None:
        if self._log is None:
            self._put(data)
            return
        try:
            self._log.write(data)
        except OSError:
            self._failed = True
            raise

    def _put(self, data: bytes) -> None:
        """Write a line with its ending in one call, which two could tear apart."""
        if self._log is None:
            self._bytes += len(data)
        try:
            if not self._compressed:
                written = self._stream.write(data)
                if written != len(data):  # as of a disk that is nearly full
                    write_all(self._stream, data[written or 0 :])
                return
            self._stream.write(data)
            if time.monotonic() - self._flushed > _FLUSH_SECONDS:
                self._stream.flush()
                self._flushed = time.monotonic()
        except OSError:
            self._failed = True
            raise


def write_trace(trace: Trace, path: str | os.PathLike[str]) -> None:
    """Write a whole trace.

    Raises:
        CwmTraceError: the file cannot be written.
    """
    sources = SourceLines(trace.files)
    try:
        with TraceWriter(path) as writer:
            writer.header(trace)
            for frame in trace.frames:
                writer.frame(frame_fields(frame, sources))
            writer.footer(trace)
    except OSError as error:
        raise CwmTraceError(f"cannot write {path}: {error.strerror or error}") from error


def read_trace(path: str | os.PathLike[str]) -> Trace:
    """Read a trace file, up to its last whole line.

    Returns:
        The trace; its outcome is `incomplete` if the file has no footer.

    Raises:
        CwmTraceError: the file cannot be read, is not a trace, is damaged before its last line, or has a
            newer schema.
    """
    path = Path(path)
    try:
        with open_to_read(path) as stream, resting_collector():
            return _assemble(path, _read_lines(path, stream))
    except OSError as error:
        raise CwmTraceError(f"cannot read {path}: {error.strerror or error}") from error


def _assemble(path: Path, lines: Iterator[_AnyLine]) -> Trace:
    header = next(lines, None)
    if header is None:
        raise CwmTraceError(f"{path} is empty or was cut inside its header: there is no trace in it")
    if not isinstance(header, HeaderLine):
        raise CwmTraceError(f"{path} does not start with the header of a trace")
    files = list(header.files)
    sources = SourceLines(files)
    frames: list[Frame] = []
    footer: FooterLine | None = None
    for line in lines:
        if footer is not None:
            raise CwmTraceError(f"{path} goes on after its footer: write each trace to a file of its own")
        if isinstance(line, FooterLine):
            if line.frames > len(frames):  # an interrupt may come between a frame and its count
                raise CwmTraceError(
                    f"{path} is damaged: it has {len(frames)} frames and its footer says {line.frames}"
                )
            footer = line
        elif isinstance(line, FileLine):
            files.append(SourceFile(line.name, line.text))
        elif isinstance(line, HeaderLine):
            raise CwmTraceError(f"{path} has a second header: write each trace to a file of its own")
        elif line.get("file", 0) >= max(len(files), 1):
            raise CwmTraceError(
                f"{path} is damaged: frame {len(frames)} is of file {line['file']}, and it has {len(files)}"
            )
        else:
            frames.append(frame_from_fields(line, sources))
    known = {**vars(header), "files": tuple(files), **(vars(footer) if footer is not None else {})}
    return trace_from_fields(known, frames)


_AnyLine = HeaderLine | FileLine | FooterLine | FrameFields


def _no_trace_file(path: Path, start: bytes) -> str:
    """What a file is whose first line is no JSON object."""
    if start.lstrip().startswith(b"<|"):
        return f"{path} is the text of a trace: cwm-trace convert {path} {path.stem}.jsonl makes a file of it"
    for suffix, magic in (".gz", b"\x1f\x8b"), (".zst", b"\x28\xb5\x2f\xfd"):
        if start.startswith(magic):
            return f"{path} is compressed: name it {path.name}{suffix}"
    return f"{path} is no trace file: cwm-trace run writes one"


def _read_lines(path: Path, stream: BinaryIO) -> Iterator[_AnyLine]:
    """Every whole line; a last line that is cut is left out."""
    version = TRACE_VERSION
    for number, data in enumerate(whole_lines(stream), 1):
        frame = _read_frame(data) if number > 1 and version == TRACE_VERSION else None
        if frame is not None:
            yield frame
            continue
        if number == 1 and not data.lstrip().startswith(b"{"):
            raise CwmTraceError(_no_trace_file(path, data))
        line = parse_object(path, number, data)
        if number == 1 and line.get("kind") == "header":
            version = check_version(path, line.get("schema_version"), TRACE_VERSION)
        try:
            yield _validate(migrate_trace_line(line, version))
        except pydantic.ValidationError as error:
            where = ".".join(str(part) for part in error.errors()[0]["loc"]) or "its kind"
            raise CwmTraceError(f"{path} is damaged: line {number} is wrong in {where}") from error


def _read_frame(data: bytes) -> FrameFields | None:
    """A frame as this version writes it; None: anything else, or it is not valid."""
    with contextlib.suppress(pydantic.ValidationError):
        return _FRAME.validate_json(data) if data.startswith(b'{"event"') else None
    return None


def _validate(line: dict[str, Any]) -> _AnyLine:
    match line.get("kind"):
        case "header":
            return HeaderLine.model_validate(line)
        case "file":
            return FileLine.model_validate(line)
        case "footer":
            return FooterLine.model_validate(line)
        case _:
            return _FRAME.validate_python(line)


def _dump_file(file: SourceFile) -> bytes:
    return dump_line(FileLine(name=file.name, text=file.text))
