"""Python files as they are: each one a script."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from cwm_trace.datasets.item import Item
from cwm_trace.errors import CwmTraceError
from cwm_trace.tracer.program import read_source


def load_scripts(path: str) -> Iterator[Item]:
    """Each Python file of a folder, or one file, as a script.

    Raises:
        CwmTraceError: there is no such file, or one cannot be read.
    """
    for name, file in python_files(path):
        source = read_source(str(file))
        yield Item(f"python/{name}", source if source.endswith("\n") else source + "\n", "", "python")


def python_files(path: str) -> Iterator[tuple[str, Path]]:
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
