"""Files that are there whole or not at all, whenever the process is killed."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from cwm_trace.errors import CwmTraceError

_PARTIAL = ".partial"


def write_whole(path: Path, data: bytes) -> None:
    """Write a file under another name and give it its own when all of it is on the disk.

    Raises:
        CwmTraceError: it cannot be written; nothing of it is left, and what was there before still is.
    """
    partial = path.with_name(path.name + _PARTIAL)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(partial, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise CwmTraceError(
            f"cannot write {path}: {error.strerror or error}; what was finished before is intact:"
            " mend that and run the same command again"
        ) from error


def remove_partial(folder: Path) -> None:
    """Remove what a killed process left half written."""
    for path in folder.rglob(f"*{_PARTIAL}"):
        path.unlink(missing_ok=True)
