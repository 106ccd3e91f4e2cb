"""Python files as they are: each one a script."""

from __future__ import annotations

import io
import os
import tokenize
from collections.abc import Iterator
from pathlib import Path

from cwm_trace.datasets.item import Item
from cwm_trace.errors import CwmTraceError
from cwm_trace.tracer.program import read_source


def load_scripts(path: str) -> Iterator[Item]:
    """Each Python file of a folder, or one file, as a script.

    Raises:
        CwmTraceError: there is no such file, or it cannot be read.
    """
    for name, source in read_files(path):
        yield Item(f"python/{name}", source, "", "python")


def read_files(path: str) -> Iterator[tuple[str, str]]:
    """Names and texts of the Python files of a folder, or of one file; each text ends its last line.

    In a folder an empty file (an `__init__.py`) is no program, and of one that is not Python source stands a
    text that does not compile: it is counted, and the others go on.

    Raises:
        CwmTraceError: there is none; one cannot be opened; the one that was named is not Python source.
    """
    is_folder = Path(path).is_dir()
    for name, file in _python_files(path):
        if is_folder and not _is_source(file):
            source = "" if not _read(file).strip() else _NO_SOURCE
        else:
            source = read_source(str(file))
        if source:
            yield name, source if source.endswith("\n") else source + "\n"


_NO_SOURCE = "\0\n"


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise CwmTraceError(f"cannot read {file}: {error.strerror}") from error


def _is_source(file: Path) -> bool:
    """Whether it has text in the encoding that it says."""
    data = _read(file)
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        return bool(data.decode(encoding).strip())
    except (SyntaxError, UnicodeDecodeError, LookupError):
        return False


def _python_files(path: str) -> Iterator[tuple[str, Path]]:
    """The Python files of a folder with their names in it, sorted; or one file.

    Raises:
        CwmTraceError: there is none.
    """
    root = Path(path)
    if root.is_file():
        yield root.name, root
        return
    files = sorted(
        file
        for file in root.rglob("*.py")
        if not any(part[0] == "." for part in file.parts[len(root.parts) :])
    )
    if not path or not files:
        raise CwmTraceError(f"{path or 'the loader'} has no Python files: give a file or a folder")
    for file in files:
        yield file.relative_to(root).as_posix().replace(os.sep, "/"), file
