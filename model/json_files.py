"""JSON files of a checkpoint folder: read with errors that name them, written whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cwm_trace.errors import CwmTraceError
from cwm_trace.files import write_whole


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
    write_whole(path, json.dumps(value, indent=2) + "\n")
