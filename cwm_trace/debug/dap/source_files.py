"""Source files as a client knows them: real files where they are, else texts that it asks for."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

from cwm_trace.debug.dap.arguments import Arguments
from cwm_trace.debug.session import Session
from cwm_trace.errors import CwmTraceError
from cwm_trace.records import Frame


def source_of(session: Session, frame: Frame) -> dict[str, Any] | None:
    """The source that a frame is in; None: it is not known."""
    if frame.file >= len(session.program.files):
        return None
    return source_of_file(session, frame.file, frame.line)


def source_of_file(session: Session, index: int, line: int = 0) -> dict[str, Any]:
    """A source file: a path, if there is such a file with this text and this line; else a number."""
    file = session.program.files[index]
    name = os.path.basename(file.name)
    path = os.path.abspath(file.name)
    if line <= _same_lines(path, file.text):
        return {"name": name, "path": path}
    return {"name": f"{name} (as recorded)", "sourceReference": index + 1}


def _same_lines(path: str, text: str) -> int:
    """Up to which line a file on disk is what was recorded; -1: it is another one.

    The text of a recorded call ends with lines of its own, which make the call.
    """
    try:
        stamp = os.stat(path).st_mtime_ns
    except (OSError, ValueError):
        return -1
    return _compare(path, text, stamp)


@lru_cache(maxsize=256)
def _compare(path: str, text: str, _stamp: int) -> int:
    try:
        with open(path, encoding="utf-8", errors="replace", newline="") as stream:
            on_disk = _plain(stream.read(len(text) + 1))
    except OSError:
        return -1
    recorded = _plain(text)
    if on_disk == recorded or recorded.startswith(on_disk.rstrip("\n") + "\n"):
        return on_disk.rstrip("\n").count("\n") + 1
    return -1


def _plain(text: str) -> str:
    """`text` with the line endings that Python reads."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def file_of_source(session: Session, source: Arguments) -> int:
    """The index of a client's source.

    Raises:
        CwmTraceError: the program has no such file.
    """
    files = session.program.files
    reference = source.integer("sourceReference", 0)
    if 1 <= reference <= len(files):
        return reference - 1
    path = source.text("path", "") or source.text("name", "")
    for index, file in enumerate(files):
        if path and _real(file.name) == _real(path):
            return index
    raise CwmTraceError(
        f"{path or 'this source'} is no file of the program, which has {', '.join(f.name for f in files)}"
    )


def _real(path: str) -> str:
    return os.path.realpath(path) if "\0" not in path else path
