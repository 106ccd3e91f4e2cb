"""Files of a checkpoint folder: read with errors that name them, written whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from cwm_trace.errors import CwmTraceError


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        CwmTraceError: The file is missing, cannot be read, or holds something else.
    """
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise CwmTraceError(
            f"there is no {path.name} in {path.parent}: name the folder of a checkpoint"
        ) from error
    except OSError as error:
        raise CwmTraceError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise CwmTraceError(f"{path} is not JSON ({error}): copy it again from its source") from error
    if not isinstance(value, dict):
        raise CwmTraceError(f"{path} holds a {type(value).__name__} where an object was expected")
    return value


def write_json(path: Path, value: object) -> None:
    """Write a JSON file, whole or not at all."""
    with write_whole(path) as file:
        file.write((json.dumps(value, indent=2) + "\n").encode())


@contextmanager
def write_whole(path: Path) -> Iterator[BinaryIO]:
    """Open a file that gets its name only once all of it is on the disk.

    A process killed in between leaves `.NAME.part`, which the next attempt overwrites.

    Raises:
        CwmTraceError: The disk is full or the folder cannot be written to.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise CwmTraceError(f"cannot write {path}: {error.strerror or error}") from error
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, or a rename may not survive a crash of the machine."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
