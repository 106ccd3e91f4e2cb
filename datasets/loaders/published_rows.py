"""Rows of published data sets: from a JSON Lines file, or from the Hugging Face hub."""

from __future__ import annotations

import gzip
import importlib
import json
from collections.abc import Iterator
from typing import Any, TypeVar

import pydantic

from cwm_trace.errors import CwmTraceError

Model = TypeVar("Model", bound=pydantic.BaseModel)


def read_models(path: str, model: type[Model], what: str) -> Iterator[Model]:
    """The rows of a JSON Lines file, or of a JSON array (`.gz` too).

    Raises:
        CwmTraceError: the file cannot be read, or a line is not `what`.
    """
    for where, row in read_values(path, what):
        yield _validate(row, model, f"{where}: not {what}")


def read_values(path: str, what: str, *, may_be_array: bool = True) -> Iterator[tuple[str, Any]]:
    """What stands in the lines of a file that others wrote, or in one array, and where each stands.

    Unlike a log of ours it may begin with a byte order mark, have empty lines, and end without a newline.

    Raises:
        CwmTraceError: the file cannot be read, is not JSON, or is an empty array.
    """
    try:
        opened: Any = gzip.open if path.endswith(".gz") else open
        with opened(path, "rt", encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, start=1):
                if may_be_array and number == 1 and line.lstrip().startswith("["):
                    rows = json.loads(line + lines.read())
                    if not rows:
                        raise CwmTraceError(f"{path}, line 1: not {what}, but an empty array")
                    yield from ((f"{path}, row {place}", row) for place, row in enumerate(rows, start=1))
                    return
                if line.strip():
                    yield f"{path}, line {number}", json.loads(line)
    except OSError as error:
        raise CwmTraceError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, EOFError) as error:
        raise CwmTraceError(f"{path} is not a JSON Lines file: {error}") from error


def read_hub(
    name: str, split: str, model: type[Model], what: str, *, configuration: str | None = None
) -> Iterator[Model]:
    """The rows of a data set on the Hugging Face hub, through its own library and cache.

    Raises:
        CwmTraceError: the library is missing, or the hub cannot be reached and nothing is cached.
    """
    try:
        hub: Any = importlib.import_module("datasets")
    except ImportError:
        raise CwmTraceError("the hub needs the datasets package: pip install 'cwm-trace[data]'") from None
    try:
        table: Any = hub.load_dataset(name, configuration, split=split)
    except Exception as error:  # whatever the network, the hub and the cache may say
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise CwmTraceError(
            f"cannot load {name} from the hub ({reason}): give the path of its file instead"
        ) from error
    for number, row in enumerate(table, start=1):
        yield _validate(row, model, f"{name}, row {number}: not {what}")


def _validate(row: Any, model: type[Model], complaint: str) -> Model:
    """`row` as a model.

    Raises:
        CwmTraceError: it is none; the sentence names the field.
    """
    try:
        return model.model_validate(row)
    except pydantic.ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"]) or "its form"
        raise CwmTraceError(f"{complaint} ({where})") from error
